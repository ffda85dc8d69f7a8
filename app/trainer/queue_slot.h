#pragma once
// Who looks after a device slot: a lock file a runner holds while it lives, and the name it leaves on the jobs it
// takes.

#include <filesystem>
#include <string>
#include <vector>

#include "core/runlog/heartbeat.h"

namespace rankscope {

std::vector<std::string> deviceSlots();  // "cuda:0", … or "cpu"

// "host pid start-ticks boot-id slot": enough to tell later whether that runner still lives.
std::string workerName(const std::string& slot);
struct QueueWorker {
  HeartbeatRecord process;
  std::string slot;
};
QueueWorker workerFrom(const std::string& text);
bool workerAlive(const std::string& text);  // also when it cannot be told: on another host

// flock on queue-<slot>.lock in home; the kernel drops it with the process.
class SlotLock {
 public:
  SlotLock(const std::filesystem::path& home, const std::string& slot);
  ~SlotLock();
  SlotLock(const SlotLock&) = delete;
  SlotLock& operator=(const SlotLock&) = delete;
  bool acquire();  // does not wait
  void release();
  bool held() const { return m_held; }

 private:
  std::filesystem::path m_file;
  int m_descriptor = -1;
  bool m_held = false;
};

}  // namespace rankscope
