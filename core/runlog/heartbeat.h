#pragma once
// Signs of life of a run: heartbeat.json, rewritten atomically at most once a second by a thread of the trainer, so
// that a live run can be told from a dead one without asking it. Process number and start time together name a process
// (numbers are used again), the boot id tells a reboot, the host tells a run on another machine.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "core/config/result.h"
#include "core/runlog/events.h"

namespace rankscope {

struct HeartbeatRecord {
  int64_t pid = 0;
  uint64_t startTicks = 0;  // field 22 of /proc/<pid>/stat
  std::string bootId, host;
  double time = 0;  // unix seconds of the last rewrite
  event::RunState state = event::RunState::Loading;
  int64_t step = 0;
};

class Heartbeat {
 public:
  // Writes the first record before it returns, then starts the thread.
  static Result<std::unique_ptr<Heartbeat>> start(const std::filesystem::path& runFolder);
  ~Heartbeat();  // stops the thread; the record stays as it was last written
  // Any thread, never waits. The thread writes it within a second (a change of state at once).
  void set(event::RunState state, int64_t step);
  // Writes a last record with a final state and stops.
  void finish(event::RunState finalState, int64_t step);

 private:
  struct Impl;
  explicit Heartbeat(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> m_impl;
};

enum class Liveness {
  Absent,  // no heartbeat: never started
  Live,
  Dead,      // its process is gone without having said how it ended
  Finished,  // ended by itself: finished, stopped, interrupted or failed
  Unknown    // made on another host, which cannot be asked from here
};
Result<HeartbeatRecord> readHeartbeat(const std::filesystem::path& runFolder);
Liveness runLiveness(const std::filesystem::path& runFolder);
Liveness livenessOf(const HeartbeatRecord& record);

std::string hostName();
std::string bootId();

}  // namespace rankscope
