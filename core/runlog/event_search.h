#pragma once
// Looks for single events in a run's whole log without parsing the rest of it: a log holds a metrics record per step,
// but only one start and one end per life. Any thread; also while the log grows.

#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

#include "core/config/result.h"
#include "core/runlog/events.h"

namespace rankscope {

// Visits the events of one kind ("start", "end", …) in their order. Where the log is damaged the visit ends; a log that
// cannot be read at all is an error.
Result<void> visitEvents(const std::filesystem::path& eventsFile, std::string_view kind,
                         const std::function<void(const event::Event&)>& visitor);

// How the run's newest finished life ended; empty where none has ended or the log cannot be read.
std::optional<event::End> lastEnd(const std::filesystem::path& eventsFile);

}  // namespace rankscope
