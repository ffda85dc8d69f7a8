#include "app/trainer/job_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "core/config/json_text.h"

namespace rankscope {

void sayProgress(const CommandContext& context, int64_t done, int64_t total, const std::string& what) {
  if (isatty(STDERR_FILENO) != 0) {
    // The next line, whatever it is, overwrites this one.
    context.note(fmt::format("\r\x1b[K{}/{} {}\x1b[A", done, total, what));
  } else if (context.json) {
    fmt::print(stderr, "{}\n", jsonText({{"progress", {{"done", done}, {"total", total}, {"what", what}}}}));
    std::fflush(stderr);
  } else {
    context.detail(what);
  }
}

void ShareProgress::say(double share) {
  const auto now = std::chrono::steady_clock::now();
  if (now - m_last < std::chrono::milliseconds(200) || (!m_context.json && isatty(STDERR_FILENO) == 0)) return;
  m_last = now;
  sayProgress(m_context, std::lround(100 * share), 100, m_what);
}

}  // namespace rankscope
