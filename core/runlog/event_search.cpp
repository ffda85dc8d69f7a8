#include "core/runlog/event_search.h"

#include <fmt/format.h>

#include "core/runlog/event_log.h"

namespace rankscope {

Result<void> visitEvents(const std::filesystem::path& eventsFile, std::string_view kind,
                         const std::function<void(const event::Event&)>& visitor) {
  Result<EventReader> reader = EventReader::open(eventsFile);
  if (!reader) return reader.error();
  const std::string quoted = fmt::format("\"{}\"", kind);
  const Result<LogTail> tail = reader->read([&](const EventRecord& record) {
    // Cheap first. The kind's name may also occur inside other events: whoever visits looks at what was parsed.
    if (record.payload.find(quoted) == std::string_view::npos) return true;
    if (const Result<event::Event> parsed = event::parseEvent(record.payload)) visitor(*parsed);
    return true;
  });
  if (!tail) return tail.error();
  return {};
}

std::optional<event::End> lastEnd(const std::filesystem::path& eventsFile) {
  std::optional<event::End> found;
  const Result<void> read = visitEvents(eventsFile, "end", [&found](const event::Event& item) {
    if (const auto* end = std::get_if<event::End>(&item.body)) found = *end;
  });
  if (!read) return std::nullopt;
  return found;
}

}  // namespace rankscope
