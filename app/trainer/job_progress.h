#pragma once
// How far a command is: a redrawn line on a terminal, and with --json a line of JSON on stderr that the queue's runner
// reads (queue_job.h). Any thread, one at a time.

#include <string>

#include "app/trainer/command.h"

namespace rankscope {

void sayProgress(const CommandContext& context, int64_t done, int64_t total, const std::string& what);

}  // namespace rankscope
