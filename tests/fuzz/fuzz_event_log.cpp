// Any bytes as events.log: readers stop at the first frame that is not whole, parse what is, and the writer that
// re-opens the file goes on behind exactly the events that a reader saw.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/config/json_text.h"
#include "core/config/log.h"
#include "core/runlog/event_log.h"
#include "core/runlog/frame.h"

using namespace rankscope;
namespace fs = std::filesystem;

namespace {

struct Scratch {
  // In memory where possible: the writer syncs at every opening.
  fs::path folder = (fs::exists("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()) /
                    ("rankscope-fuzz-" + std::to_string(::getpid()));
  Scratch() {
    fs::create_directories(folder);
    startLog({LogLevel::Error, false, {}});
  }
  ~Scratch() { fs::remove_all(folder); }
};

uint64_t countEvents(const fs::path& file) {
  Result<EventReader> reader = EventReader::open(file);
  if (!reader) std::abort();
  uint64_t count = 0;
  const Result<LogTail> tail = reader->read([&](const EventRecord& record) {
    if (record.sequence != ++count) std::abort();
    const Result<event::Event> event = event::parseEvent(record.payload);
    if (!event && event.error().hint.empty()) std::abort();
    // An event that is understood is written and understood again.
    if (event && !event::fromJson(event::toJson(*event))) std::abort();
    return true;
  });
  if (!tail || reader->cursor().offset > fs::file_size(file)) std::abort();
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Scratch scratch;
  const fs::path file = scratch.folder / "events.log";
  const std::string bytes(reinterpret_cast<const char*>(data), size);

  // Payloads alone, since a mutated frame seldom keeps its checksum.
  static_cast<void>(event::parseEvent(bytes));
  const auto write = [&](const std::string& content) {
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
  };
  const auto header = frame::header(1, bytes);
  write(std::string(frame::kMagic) + std::string(header.data(), header.size()) + bytes);
  if (countEvents(file) != (bytes.size() >= 2 && bytes.size() <= limits::kEventBytes ? 1 : 0)) std::abort();

  // The bytes as the file itself.
  write(bytes);
  if (!EventReader::open(file)) return 0;  // a foreign beginning
  const uint64_t before = countEvents(file);
  {
    Result<std::unique_ptr<EventWriter>> writer = EventWriter::open(file);
    if (!writer || (*writer)->opened().lastSequence != before) std::abort();
    if ((*writer)->appendPayload("{}") != before + 1 || !(*writer)->flush().ok()) std::abort();
  }
  if (countEvents(file) != before + 1) std::abort();
  for (const auto& entry : fs::directory_iterator(scratch.folder)) fs::remove(entry.path());
  return 0;
}
