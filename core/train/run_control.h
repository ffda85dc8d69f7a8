#pragma once
// Wishes from outside while a run is going: control.json and the stop signals. A thread of its own polls ten times a
// second and acknowledges each wish in the event log at once, also while a long micro-batch is being computed; the
// trainer's thread carries them out between micro-batches.

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "core/runlog/control.h"
#include "core/runlog/event_log.h"

namespace rankscope {

class RunControl {
 public:
  // Wishes that lie there from an earlier life are passed over when `resumed`.
  RunControl(const std::filesystem::path& runFolder, EventWriter& events, bool resumed);
  ~RunControl();
  RunControl(const RunControl&) = delete;
  RunControl& operator=(const RunControl&) = delete;

  // Step that acknowledgements name.
  void setStep(int64_t step) { m_step.store(step, std::memory_order_relaxed); }

  bool pauseWanted() const { return m_pause.load(std::memory_order_acquire); }
  bool stopWanted() const { return m_stop.load(std::memory_order_acquire); }  // by a wish
  bool signalled() const;                                                     // by SIGTERM or SIGINT
  bool leaveWanted() const { return stopWanted() || signalled(); }
  // True once per wish.
  bool takeCheckpoint() { return m_checkpoint.exchange(false); }
  bool takeEvaluate() { return m_evaluate.exchange(false); }
  bool takeSample() { return m_sample.exchange(false); }
  bool anythingWanted() const;
  bool otherWanted() const;  // a checkpoint, an evaluation or a sample

  // Returns after `milliseconds`, or earlier when a wish or signal arrives.
  void waitForWish(int milliseconds);

 private:
  void loop();
  void apply(const ControlRequest& request);

  ControlReader m_reader;
  EventWriter& m_events;
  std::atomic<int64_t> m_step{0};
  std::atomic<bool> m_pause{false}, m_stop{false}, m_checkpoint{false}, m_evaluate{false}, m_sample{false};
  std::mutex m_mutex;
  std::condition_variable m_wake;
  uint64_t m_arrivals = 0;  // guarded by m_mutex
  bool m_quit = false;      // guarded by m_mutex
  std::thread m_thread;
};

}  // namespace rankscope
