#pragma once
// Takes jobs of the queue in order and runs each as a child process of this program, one per device slot, until nothing
// waits. The children write only to their run folders; the runner keeps the queue's rows and takes the runs' events
// into the store. Killed at any moment it loses nothing: its children go on, the next runner adopts them, and a job
// whose process is gone waits again and is resumed from its last checkpoint. One thread.

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "core/config/places.h"
#include "core/store/store.h"

namespace rankscope {

struct QueueRunnerSettings {
  std::string program;                          // rankscope-train itself
  std::vector<std::string> slots;               // empty: one per GPU, else "cpu"
  std::string group;                            // only jobs of this group; empty: all
  bool keepWaiting = false;                     // stay when the queue is empty
  std::function<void(const std::string&)> say;  // progress for people
};

struct QueueRunnerReport {
  int64_t done = 0, failed = 0, cancelled = 0;
  std::vector<std::string> busySlots;  // another runner looks after these
  bool stopped = false;                // asked to leave before the queue was empty
};

// Lets SIGINT and SIGTERM set the flag that is returned; for runQueue().
const std::atomic<bool>& stopOnSignals();

// `stop` (set by a signal handler) makes children checkpoint and leave; their jobs wait again.
Result<QueueRunnerReport> runQueue(const Places& places, const QueueRunnerSettings& settings,
                                   const std::atomic<bool>& stop);

}  // namespace rankscope
