#pragma once
// A run's append-only record, events.log. Layout, all little-endian:
//   8 bytes "RSEVLOG1", then frames of
//   u32 payload length · u32 CRC-32 (zlib) of the 8 sequence bytes and the payload · u64 sequence from 1 · payload
//   (JSON)
// EventWriter: one per run; append() from any thread only queues, a thread of its own writes at least every 200 ms.
// EventReader: any number, also while the log grows; a torn or damaged tail ends reading and is never believed.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/limits.h"
#include "core/config/result.h"
#include "core/runlog/events.h"

namespace rankscope {

struct EventWriterSettings {
  int flushMilliseconds = 200;
  size_t backlogBytes = limits::kEventBacklogBytes;
};

struct EventWriterStatus {
  uint64_t accepted = 0;  // last sequence number given by append()
  uint64_t written = 0;   // last one that is in the file (survives a kill -9 of this program)
  size_t waitingBytes = 0;
  uint64_t refused = 0;        // events not taken because the backlog was full
  std::optional<Error> error;  // why writing does not get on (disk full, …); it is retried, and cleared when it works
  double errorSince = 0;       // unix seconds
  bool backlogHigh = false;    // over half of the backlog is used: a good moment to pause
};

class EventWriter {
 public:
  // What opening an existing log found.
  struct Opened {
    uint64_t lastSequence = 0;         // 0: a new log
    uint64_t cutBytes = 0;             // torn or damaged tail that was removed
    std::filesystem::path cutSavedAs;  // where a damaged (not just torn) tail was put, for a person to look at
  };

  // Creates or continues a log. Another writer on the same file is an error. A torn tail is cut.
  static Result<std::unique_ptr<EventWriter>> open(const std::filesystem::path& file,
                                                   const EventWriterSettings& settings = {});
  ~EventWriter();  // as close(), the outcome is logged

  const Opened& opened() const;

  // Queue an event (with the present time when none is given). Never waits for the disk. Returns its sequence number,
  // or 0 when it was refused: backlog full, payload over limits::kEventBytes, or closed. What was accepted is written
  // in order, however often the disk has to be tried; once the disk has room again, a warning tells how many were
  // refused.
  uint64_t append(event::Body body);
  uint64_t append(const event::Event& event);
  uint64_t appendPayload(std::string payload);  // JSON text, not checked

  // Waits until everything appended so far is in the file (or the error that prevents it).
  Result<void> flush();
  // flush(), then fsync: at checkpoints and at the end.
  Result<void> sync();
  EventWriterStatus status() const;
  // sync() and stop; append() refuses from then on. On a full disk gives up after one more attempt.
  Result<void> close();

 private:
  struct Impl;
  explicit EventWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> m_impl;
};

// Where reading goes on: the byte after the last frame read, and that frame's sequence number.
struct EventCursor {
  uint64_t offset = 0;
  uint64_t sequence = 0;
  friend bool operator==(const EventCursor&, const EventCursor&) = default;
};

enum class LogTail {
  Clean,    // everything in the file was read
  More,     // the batch is full, there is more to read
  Torn,     // an unfinished frame at the end: being written, or cut off by a crash
  Damaged,  // a frame that fails its checksum, has a senseless length or a wrong number; nothing after it is read
  Replaced  // the file does not continue at the cursor (shorter than before): read it again from the start
};

struct EventRecord {
  uint64_t sequence = 0;
  std::string_view payload;  // valid during the call of the visitor
};

class EventReader {
 public:
  // `cursor` {} starts at the beginning. A file with a foreign beginning is an error; an absent one too.
  static Result<EventReader> open(const std::filesystem::path& file, EventCursor cursor = {});
  EventReader(EventReader&&) noexcept;
  EventReader& operator=(EventReader&&) noexcept;
  ~EventReader();

  // Visits checked events from the cursor on, at most about `maxBytes` of them, and moves the cursor behind them. A
  // visitor that returns false stops behind that event (More).
  Result<LogTail> read(const std::function<bool(const EventRecord&)>& visitor, size_t maxBytes = size_t{1} << 40);
  const EventCursor& cursor() const { return m_cursor; }
  uint64_t fileBytes() const;  // size now

 private:
  EventReader(int file, std::filesystem::path path, EventCursor cursor);
  bool isFrameStart(const EventCursor& cursor) const;
  int m_file = -1;
  std::filesystem::path m_path;
  EventCursor m_cursor;
  std::string m_buffer;
};

// All events of a log that can be read and parsed, for tests and small tools.
Result<std::vector<event::Event>> readAllEvents(const std::filesystem::path& file);

}  // namespace rankscope
