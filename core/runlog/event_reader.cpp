#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/config/files.h"
#include "core/runlog/event_log.h"
#include "core/runlog/frame.h"

namespace rankscope {

namespace fs = std::filesystem;

namespace {

constexpr size_t kChunk = 256u << 10;

// Up to `bytes` at `offset`; fewer at the file's end. -1 on failure (errno).
ssize_t readAt(int file, char* to, size_t bytes, uint64_t offset) {
  size_t have = 0;
  while (have < bytes) {
    const ssize_t n = ::pread(file, to + have, bytes - have, static_cast<off_t>(offset + have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  return static_cast<ssize_t>(have);
}

}  // namespace

EventReader::EventReader(int file, fs::path path, EventCursor cursor)
    : m_file(file), m_path(std::move(path)), m_cursor(cursor) {}

EventReader::EventReader(EventReader&& other) noexcept
    : m_file(std::exchange(other.m_file, -1)),
      m_path(std::move(other.m_path)),
      m_cursor(other.m_cursor),
      m_buffer(std::move(other.m_buffer)) {}

EventReader& EventReader::operator=(EventReader&& other) noexcept {
  if (this != &other) {
    if (m_file >= 0) ::close(m_file);
    m_file = std::exchange(other.m_file, -1);
    m_path = std::move(other.m_path);
    m_cursor = other.m_cursor;
    m_buffer = std::move(other.m_buffer);
  }
  return *this;
}

EventReader::~EventReader() {
  if (m_file >= 0) ::close(m_file);
}

Result<EventReader> EventReader::open(const fs::path& path, EventCursor cursor) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return systemError(errno, "cannot open the event log", path);
  EventReader reader(file, path, cursor);
  struct stat info {};
  if (::fstat(file, &info) != 0) return systemError(errno, "cannot read the event log", path);
  if (!S_ISREG(info.st_mode))
    return Error{ErrorCode::BadInput,      "the event log is not a regular file", pathText(path), "", "",
                 "Check the run's folder."};
  char magic[8];
  const ssize_t have = readAt(file, magic, sizeof magic, 0);
  if (have < 0) return systemError(errno, "cannot read the event log", path);
  // A writer that has just made the file may not have written all eight bytes yet.
  if (std::string_view(magic, static_cast<size_t>(have)) != frame::kMagic.substr(0, static_cast<size_t>(have)))
    return Error{ErrorCode::BadInput,
                 "not an event log",
                 pathText(path),
                 "another beginning",
                 std::string(frame::kMagic),
                 "Check that the run's folder was copied whole, and that this is its events.log."};
  return reader;
}

uint64_t EventReader::fileBytes() const {
  struct stat info {};
  return ::fstat(m_file, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

Result<LogTail> EventReader::read(const std::function<bool(const EventRecord&)>& visitor, size_t maxBytes) {
  if (m_cursor.offset == 0 && m_cursor.sequence != 0) return LogTail::Replaced;
  if (fileBytes() < m_cursor.offset) return LogTail::Replaced;
  if (m_cursor.offset == 0) {
    if (fileBytes() < frame::kMagic.size()) return fileBytes() == 0 ? LogTail::Clean : LogTail::Torn;
    m_cursor.offset = frame::kMagic.size();
  }
  const EventCursor first = m_cursor;
  // The buffer holds bytes [m_cursor.offset - used, …); `used` of it are behind the cursor.
  size_t have = 0, used = 0, visited = 0;
  bool atEnd = false;
  while (true) {
    std::string_view payload;
    size_t needed = frame::kHeaderBytes;
    frame::Check found = frame::Check::Torn;
    if (have > used)
      found =
          frame::check(std::string_view(m_buffer).substr(used, have - used), m_cursor.sequence + 1, payload, needed);
    if (found == frame::Check::Whole) {
      const EventRecord record{m_cursor.sequence + 1, payload};
      const bool goOn = visitor(record);
      m_cursor.offset += needed;
      ++m_cursor.sequence;
      used += needed;
      visited += needed;
      if (!goOn || visited >= maxBytes) return LogTail::More;
      continue;
    }
    if (found == frame::Check::Damaged)
      return m_cursor == first && !isFrameStart(first) ? LogTail::Replaced : LogTail::Damaged;
    if (atEnd) return have == used ? LogTail::Clean : LogTail::Torn;
    std::copy(m_buffer.begin() + static_cast<ptrdiff_t>(used), m_buffer.begin() + static_cast<ptrdiff_t>(have),
              m_buffer.begin());
    have -= used;
    used = 0;
    const size_t want = std::max(kChunk, needed);
    if (m_buffer.size() < want) m_buffer.resize(want);
    const ssize_t n = readAt(m_file, m_buffer.data() + have, m_buffer.size() - have, m_cursor.offset + have);
    if (n < 0) return systemError(errno, "cannot read the event log", m_path);
    atEnd = static_cast<size_t>(n) < m_buffer.size() - have;
    have += static_cast<size_t>(n);
  }
}

// Where a log was cut by a crash and written anew, an old cursor points into the middle of a frame. Only asked when
// something is wrong at a cursor, because it walks the file from its start.
bool EventReader::isFrameStart(const EventCursor& cursor) const {
  EventCursor at{frame::kMagic.size(), 0};
  std::array<char, frame::kHeaderBytes> header;
  while (at.offset < cursor.offset) {
    if (readAt(m_file, header.data(), header.size(), at.offset) != static_cast<ssize_t>(header.size())) return false;
    const uint64_t length = frame::getLittle(header.data(), 4);
    if (length > limits::kEventBytes || frame::getLittle(header.data() + 8, 8) != at.sequence + 1) return false;
    at.offset += frame::kHeaderBytes + length;
    ++at.sequence;
  }
  return at == cursor;
}

Result<std::vector<event::Event>> readAllEvents(const fs::path& file) {
  Result<EventReader> reader = EventReader::open(file);
  if (!reader) return reader.error();
  std::vector<event::Event> events;
  std::optional<Error> failure;
  const Result<LogTail> tail = reader->read([&](const EventRecord& record) {
    Result<event::Event> event =
        event::parseEvent(record.payload, fmt::format("{}, event {}", pathText(file), record.sequence));
    if (!event) {
      failure = event.error();
      return false;
    }
    events.push_back(std::move(*event));
    return true;
  });
  if (!tail) return tail.error();
  if (failure) return *failure;
  return events;
}

}  // namespace rankscope
