#pragma once
// Progress of a run on stderr: one redrawn line on a terminal, a line every few seconds elsewhere.

#include <chrono>
#include <string>

#include "core/train/run_recorder.h"

namespace rankscope {

class ProgressBar {
 public:
  explicit ProgressBar(bool quiet);
  ~ProgressBar();
  void show(const TrainProgress& progress);

 private:
  void clear();
  bool m_quiet, m_terminal;
  bool m_drawn = false;
  event::RunState m_lastState = event::RunState::Queued;
  std::chrono::steady_clock::time_point m_lastLine{};
};

}  // namespace rankscope
