#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/log.h"
#include "core/runlog/event_log.h"
#include "core/runlog/frame.h"

namespace rankscope {

namespace fs = std::filesystem;

namespace {

constexpr size_t kEagerBytes = 1u << 20;      // written without waiting for the flush interval
constexpr size_t kKeepTailBytes = 64u << 10;  // a cut tail larger than one plausible frame is kept for a person
constexpr auto kRetryPause = std::chrono::milliseconds(500);

Error copyFailed(const fs::path& file, int number) {
  return systemError(number, "cannot keep the damaged end of the log", file);
}

// Puts the bytes from `from` on beside the log. They are of no use to the program, but may be to a person.
Result<fs::path> saveTail(int file, uint64_t from, uint64_t to, const fs::path& log) {
  std::error_code code;
  fs::path beside;
  for (int i = 1; i < 10000; ++i) {
    beside = log;
    beside += fmt::format(".damaged-{}", i);
    if (!fs::exists(beside, code)) break;
  }
  const int out = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (out < 0) return copyFailed(beside, errno);
  std::string chunk(1u << 20, '\0');
  int failed = 0;
  while (from < to && failed == 0) {
    const ssize_t n =
        ::pread(file, chunk.data(), std::min<uint64_t>(chunk.size(), to - from), static_cast<off_t>(from));
    if (n == 0) break;
    if (n < 0 || ::write(out, chunk.data(), static_cast<size_t>(n)) != n) failed = errno ? errno : EIO;
    from += static_cast<uint64_t>(std::max<ssize_t>(n, 0));
  }
  if (::fsync(out) != 0 && failed == 0) failed = errno;
  ::close(out);
  if (failed != 0) {
    ::unlink(beside.c_str());
    return copyFailed(beside, failed);
  }
  return beside;
}

Result<void> syncFile(int file, const fs::path& path) {
  return ::fsync(file) == 0 ? Result<void>() : systemError(errno, "cannot write the event log to disk", path);
}

}  // namespace

struct EventWriter::Impl {
  fs::path path;
  int file = -1;
  EventWriterSettings settings;
  Opened opened;

  mutable std::mutex mutex;
  std::condition_variable work;  // for the thread: something to do
  std::condition_variable done;  // for flush(): something was done
  std::thread thread;

  // All below under `mutex`; `writing` and `offset` are the thread's own while it is not waiting.
  std::string pending;  // encoded frames not yet handed to the disk
  uint64_t accepted = 0, written = 0, refused = 0, refusedTold = 0;
  uint64_t failures = 0;    // failed attempts, so that flush() can tell its own from an old one
  size_t writingBytes = 0;  // still to be written of the frames taken out of `pending`
  std::optional<Error> error;
  double errorSince = 0;
  bool flushAsked = false, stopping = false, closed = false;

  std::string writing;
  uint64_t offset = 0;

  ~Impl() {
    if (file >= 0) ::close(file);
  }

  uint64_t append(std::string_view payload);
  uint64_t appendLocked(std::string_view payload);
  void loop();
  std::optional<Error> writeOnce(size_t& at);
  bool noteFailure(const Error& failure);
  void tellRefused();
};

uint64_t EventWriter::Impl::append(std::string_view payload) {
  const std::lock_guard lock(mutex);
  return appendLocked(payload);
}

uint64_t EventWriter::Impl::appendLocked(std::string_view payload) {
  const size_t bytes = frame::kHeaderBytes + payload.size();
  if (closed || payload.size() < 2 || payload.size() > limits::kEventBytes ||
      pending.size() + writingBytes + bytes > settings.backlogBytes) {
    ++refused;
    return 0;
  }
  const auto header = frame::header(++accepted, payload);
  const size_t before = pending.size();
  pending.append(header.data(), header.size());
  pending.append(payload);
  // One wake-up when there is something at all, one when there is much: not one per event.
  if (before == 0 || (before < kEagerBytes && pending.size() >= kEagerBytes)) work.notify_one();
  return accepted;
}

// True for the first of a row of failures: the caller then tells the program's log, without holding `mutex`, because the
// log's listeners may append to this very record.
bool EventWriter::Impl::noteFailure(const Error& failure) {
  const bool first = !error.has_value();
  if (first) errorSince = event::unixTime();
  error = failure;
  ++failures;
  return first;
}

// Events were refused while the disk was full; the record says so in the place where they are missing.
void EventWriter::Impl::tellRefused() {
  if (refused == refusedTold || closed) return;
  const uint64_t missing = refused - refusedTold;
  const event::Event note{
      event::unixTime(),
      event::Log{"warning", fmt::format("{} events could not be recorded: the log could not be written "
                                        "and its waiting room was full, or they were too large.",
                                        missing)}};
  if (appendLocked(jsonText(event::toJson(note))) != 0)
    refusedTold = refused;
  else
    --refused;  // the note itself is not one of them
}

// Writes writing[at…]; `at` moves with what the disk took, so that a later attempt goes on at the exact byte.
std::optional<Error> EventWriter::Impl::writeOnce(size_t& at) {
  while (at < writing.size()) {
    const ssize_t n = ::pwrite(file, writing.data() + at, writing.size() - at, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return systemError(n < 0 ? errno : ENOSPC, "cannot write the event log", path);
    at += static_cast<size_t>(n);
    offset += static_cast<uint64_t>(n);
  }
  struct stat info {};
  if (::fstat(file, &info) == 0 && info.st_nlink == 0)
    return Error{ErrorCode::Io,
                 "the event log was deleted while the run goes on",
                 pathText(path),
                 "",
                 "",
                 "What is recorded from now on is lost with it. Stop the run, or let it end and train again."};
  return std::nullopt;
}

void EventWriter::Impl::loop() {
  // Signals belong to the main thread; and SIGXFSZ must not kill a run whose log has reached a size limit.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pthread_setname_np(pthread_self(), "rs-event-log");

  std::unique_lock lock(mutex);
  const auto urgent = [&] { return stopping || flushAsked || pending.size() >= kEagerBytes; };
  while (true) {
    work.wait(lock, [&] { return stopping || flushAsked || !pending.empty(); });
    work.wait_for(lock, std::chrono::milliseconds(settings.flushMilliseconds), urgent);
    flushAsked = false;
    writing.clear();
    writing.swap(pending);
    writingBytes = writing.size();
    const uint64_t last = accepted;
    for (size_t at = 0;;) {
      lock.unlock();
      const std::optional<Error> failure = writeOnce(at);
      lock.lock();
      writingBytes = writing.size() - at;
      if (failure && noteFailure(*failure)) {
        lock.unlock();
        logError("runlog", "event log: {}", failure->message());
        lock.lock();
      }
      if (at == writing.size()) {
        written = last;
        if (!failure) error.reset();
        break;
      }
      done.notify_all();
      if (stopping) return;
      work.wait_for(lock, kRetryPause, [&] { return stopping || flushAsked; });
      flushAsked = false;
    }
    if (writing.capacity() > 4 * kEagerBytes) writing = {};  // after a jam, give the room back
    tellRefused();
    done.notify_all();
    if (stopping && pending.empty()) return;
  }
}

EventWriter::EventWriter(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}

Result<std::unique_ptr<EventWriter>> EventWriter::open(const fs::path& file, const EventWriterSettings& settings) {
  auto impl = std::make_unique<Impl>();
  impl->path = file;
  impl->settings = settings;
  impl->file = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (impl->file < 0) return systemError(errno, "cannot open the event log", file);
  // Held until the descriptor is closed, also by a crash. File systems without locks go without.
  if (::flock(impl->file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return Error{ErrorCode::Io,
                 "another program is writing this run",
                 pathText(file),
                 "",
                 "",
                 "The run is going already. Stop it first, or branch from it instead of resuming."};

  Result<EventReader> reader = EventReader::open(file);
  if (!reader) return reader.error();
  const uint64_t size = reader->fileBytes();
  if (size < frame::kMagic.size()) {  // new, or cut off while its first bytes were written
    if (::pwrite(impl->file, frame::kMagic.data(), frame::kMagic.size(), 0) !=
        static_cast<ssize_t>(frame::kMagic.size()))
      return systemError(errno ? errno : ENOSPC, "cannot write the event log", file);
    impl->offset = frame::kMagic.size();
  } else {
    const Result<LogTail> tail = reader->read([](const EventRecord&) { return true; });
    if (!tail) return tail.error();
    impl->offset = reader->cursor().offset;
    impl->opened.lastSequence = impl->accepted = impl->written = reader->cursor().sequence;
    impl->opened.cutBytes = size - impl->offset;
    if (impl->opened.cutBytes > 0) {
      if (*tail == LogTail::Damaged || impl->opened.cutBytes > kKeepTailBytes) {
        Result<fs::path> saved = saveTail(impl->file, impl->offset, size, file);
        if (!saved) return saved.error();
        impl->opened.cutSavedAs = *saved;
      }
      if (::ftruncate(impl->file, static_cast<off_t>(impl->offset)) != 0)
        return systemError(errno, "cannot cut the torn end of the event log", file);
      logWarning("runlog", "event log {}: {} bytes after event {} were torn and have been cut{}", pathText(file),
                 impl->opened.cutBytes, impl->opened.lastSequence,
                 impl->opened.cutSavedAs.empty() ? "" : ", kept as " + pathText(impl->opened.cutSavedAs));
    }
  }
  if (Result<void> synced = syncFile(impl->file, file); !synced) return synced.error();
  impl->thread = std::thread([raw = impl.get()] { raw->loop(); });
  return std::unique_ptr<EventWriter>(new EventWriter(std::move(impl)));
}

EventWriter::~EventWriter() {
  if (Result<void> closed = close(); !closed) logError("runlog", "event log, at its end: {}", closed.error().message());
}

const EventWriter::Opened& EventWriter::opened() const { return m_impl->opened; }

uint64_t EventWriter::append(event::Body body) { return append(event::Event{event::unixTime(), std::move(body)}); }
uint64_t EventWriter::append(const event::Event& event) { return m_impl->append(jsonText(event::toJson(event))); }
uint64_t EventWriter::appendPayload(std::string payload) { return m_impl->append(payload); }

Result<void> EventWriter::flush() {
  std::unique_lock lock(m_impl->mutex);
  const uint64_t target = m_impl->accepted, failures = m_impl->failures;
  if (m_impl->written >= target) return m_impl->error ? Result<void>(*m_impl->error) : Result<void>();
  if (m_impl->closed)  // an attempt failed while closing; there is no thread to try again
    return m_impl->error.value_or(systemError(EIO, "the event log is closed", m_impl->path));
  m_impl->flushAsked = true;
  m_impl->work.notify_one();
  m_impl->done.wait(lock, [&] { return m_impl->written >= target || m_impl->failures != failures; });
  return m_impl->error ? Result<void>(*m_impl->error) : Result<void>();
}

Result<void> EventWriter::sync() {
  if (Result<void> flushed = flush(); !flushed) return flushed;
  return syncFile(m_impl->file, m_impl->path);
}

EventWriterStatus EventWriter::status() const {
  const std::lock_guard lock(m_impl->mutex);
  const size_t waiting = m_impl->pending.size() + m_impl->writingBytes;
  return {m_impl->accepted,
          m_impl->written,
          waiting,
          m_impl->refused,
          m_impl->error,
          m_impl->error ? m_impl->errorSince : 0,
          waiting > m_impl->settings.backlogBytes / 2};
}

Result<void> EventWriter::close() {
  {
    const std::lock_guard lock(m_impl->mutex);
    if (m_impl->closed) return {};
    m_impl->closed = m_impl->stopping = true;
  }
  m_impl->work.notify_one();
  m_impl->thread.join();
  std::optional<Error> error;
  {
    const std::lock_guard lock(m_impl->mutex);
    if (m_impl->written < m_impl->accepted || m_impl->error) error = m_impl->error;
  }
  Result<void> synced = syncFile(m_impl->file, m_impl->path);
  ::flock(m_impl->file, LOCK_UN);
  if (error) return *error;
  return synced;
}

}  // namespace rankscope
