#include "app/trainer/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "app/trainer/command.h"

namespace rankscope {

ProgressBar::ProgressBar(bool quiet) : m_quiet(quiet), m_terminal(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::clear() {
  if (m_drawn) fmt::print(stderr, "\r\033[K");
  m_drawn = false;
}

void ProgressBar::show(const TrainProgress& progress) {
  if (m_quiet) return;
  if (progress.line) {
    clear();
    fmt::print(stderr, "{}\n", progress.what);
    return;
  }
  const bool running = progress.totalSteps > 0 && progress.step > 0;
  std::string text = event::runStateName(progress.state);
  if (!progress.what.empty()) text += ": " + progress.what;
  if (running)
    text = fmt::format("step {}/{}  epoch {:.2f}  loss {:.4f}  {:.0f} {}/s  {} left{}", progress.step,
                       progress.totalSteps, progress.epoch, progress.loss, progress.perSecond, progress.unit,
                       formatSeconds(progress.etaSeconds),
                       progress.state == event::RunState::Running ? "" : "  " + text);
  if (m_terminal) {
    constexpr int kWidth = 20;
    std::string bar;
    if (running) {
      const auto filled = static_cast<int>(kWidth * progress.step / std::max<int64_t>(1, progress.totalSteps));
      bar = "[" + std::string(static_cast<size_t>(filled), '#') + std::string(static_cast<size_t>(kWidth - filled), '.') + "] ";
    }
    fmt::print(stderr, "\r\033[K{}{}", bar, text);
    std::fflush(stderr);
    m_drawn = true;
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  // States that come and go with every checkpoint are not worth a line in a file.
  const bool lasting = progress.state == event::RunState::Paused && m_lastState != progress.state;
  m_lastState = progress.state;
  if (!lasting && now - m_lastLine < std::chrono::seconds(3)) return;
  m_lastLine = now;
  fmt::print(stderr, "{}\n", text);
}

}  // namespace rankscope
