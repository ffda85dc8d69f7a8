#pragma once
// What the tests of the event log share: raw bytes of files, and payloads that tell their number.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/runlog/event_log.h"

namespace rankscope::test {

inline std::string fileBytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void setFileBytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string payload(uint64_t number, size_t padding = 0) {
  return "{\"n\":" + std::to_string(number) + ",\"x\":\"" + std::string(padding, 'x') + "\"}";
}

struct ReadLog {
  std::vector<std::string> payloads;
  LogTail tail = LogTail::Clean;
  EventCursor cursor;
};
inline Result<ReadLog> readLog(const std::filesystem::path& file, EventCursor from = {}) {
  Result<EventReader> reader = EventReader::open(file, from);
  if (!reader) return reader.error();
  ReadLog log;
  Result<LogTail> tail = reader->read([&](const EventRecord& record) {
    log.payloads.emplace_back(record.payload);
    return true;
  });
  if (!tail) return tail.error();
  log.tail = *tail;
  log.cursor = reader->cursor();
  return log;
}

// A log of `count` events with payloads of different lengths.
inline void writeLog(const std::filesystem::path& file, uint64_t count) {
  Result<std::unique_ptr<EventWriter>> writer = EventWriter::open(file);
  if (!writer) qFatal("%s", writer.error().message().c_str());
  const uint64_t before = (*writer)->opened().lastSequence;
  for (uint64_t i = 1; i <= count; ++i) (*writer)->appendPayload(payload(before + i, static_cast<size_t>(i * 7 % 40)));
  if (Result<void> closed = (*writer)->close(); !closed) qFatal("%s", closed.error().message().c_str());
}

}  // namespace rankscope::test
