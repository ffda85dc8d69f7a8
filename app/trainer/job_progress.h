#pragma once
// How far a command is: a redrawn line on a terminal, and with --json a line of JSON on stderr that the queue's runner
// reads (queue_job.h). Any thread, one at a time.

#include <chrono>
#include <string>

#include "app/trainer/command.h"

namespace rankscope {

void sayProgress(const CommandContext& context, int64_t done, int64_t total, const std::string& what);

// Shares of a long piece of work, told a few times a second.
class ShareProgress {
 public:
  ShareProgress(const CommandContext& context, std::string what) : m_context(context), m_what(std::move(what)) {}
  void say(double share);

 private:
  const CommandContext& m_context;
  std::string m_what;
  std::chrono::steady_clock::time_point m_last{};
};

}  // namespace rankscope
