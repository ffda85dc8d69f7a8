#include "core/runlog/heartbeat.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <optional>
#include <thread>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"
#include "core/config/log.h"

namespace rankscope {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr auto kBeat = std::chrono::seconds(1);
constexpr auto kLeastGap = std::chrono::milliseconds(100);  // between rewrites for changes of state

fs::path heartbeatFile(const fs::path& runFolder) { return runFolder / "heartbeat.json"; }

struct ProcessState {
  char letter = '?';
  uint64_t startTicks = 0;
};

// /proc/<pid>/stat: "pid (name) state ppid … " with the start time as field 22. The name may hold anything, so fields
// are counted from its last closing bracket.
std::optional<ProcessState> processState(int64_t pid) {
  Result<std::string> text = readFileBounded(fmt::format("/proc/{}/stat", pid), 4096);
  if (!text) return std::nullopt;
  const size_t bracket = text->rfind(')');
  if (bracket == std::string::npos || bracket + 2 >= text->size()) return std::nullopt;
  ProcessState state;
  state.letter = (*text)[bracket + 2];
  size_t at = bracket + 2;
  for (int field = 3; field < 22; ++field) {
    at = text->find(' ', at);
    if (at == std::string::npos) return std::nullopt;
    ++at;
  }
  const auto [end, code] = std::from_chars(text->data() + at, text->data() + text->size(), state.startTicks);
  if (code != std::errc()) return std::nullopt;
  return state;
}

std::string recordText(const HeartbeatRecord& record) {
  return jsonText({{"pid", record.pid},
                   {"start_time", record.startTicks},
                   {"boot_id", record.bootId},
                   {"host", record.host},
                   {"t", record.time},
                   {"state", event::runStateName(record.state)},
                   {"step", record.step}}) +
         '\n';
}

}  // namespace

std::string hostName() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] ? cleanUtf8(name, 255) : "unknown";
}

std::string bootId() {
  Result<std::string> text = readFileBounded("/proc/sys/kernel/random/boot_id", 256);
  if (!text) return {};
  while (!text->empty() && static_cast<unsigned char>(text->back()) <= ' ') text->pop_back();
  return *text;
}

struct Heartbeat::Impl {
  fs::path file;
  std::mutex mutex;
  std::condition_variable changed;
  std::thread thread;
  HeartbeatRecord record;  // under `mutex`
  bool stateChanged = false, stopping = false;

  Result<void> write() {
    HeartbeatRecord copy;
    {
      const std::lock_guard lock(mutex);
      record.time = event::unixTime();
      stateChanged = false;
      copy = record;
    }
    return writeFileAtomically(file, recordText(copy), Durability::Renamed);
  }

  void loop() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    pthread_setname_np(pthread_self(), "rs-heartbeat");
    bool complained = false;
    std::unique_lock lock(mutex);
    while (!stopping) {
      changed.wait_for(lock, kBeat, [&] { return stopping || stateChanged; });
      if (stopping) return;
      lock.unlock();
      Result<void> done = write();
      if (!done && !complained) logWarning("runlog", "heartbeat: {}", done.error().message());
      complained = !done;
      lock.lock();
      changed.wait_for(lock, kLeastGap, [&] { return stopping; });
    }
  }
};

Heartbeat::Heartbeat(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}

Result<std::unique_ptr<Heartbeat>> Heartbeat::start(const fs::path& runFolder) {
  auto impl = std::make_unique<Impl>();
  impl->file = heartbeatFile(runFolder);
  impl->record.pid = ::getpid();
  if (const auto self = processState(impl->record.pid)) impl->record.startTicks = self->startTicks;
  impl->record.bootId = bootId();
  impl->record.host = hostName();
  if (Result<void> done = impl->write(); !done) return done.error();
  impl->thread = std::thread([raw = impl.get()] { raw->loop(); });
  return std::unique_ptr<Heartbeat>(new Heartbeat(std::move(impl)));
}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(m_impl->mutex);
    m_impl->stopping = true;
  }
  m_impl->changed.notify_one();
  if (m_impl->thread.joinable()) m_impl->thread.join();
}

void Heartbeat::set(event::RunState state, int64_t step) {
  bool wake = false;
  {
    const std::lock_guard lock(m_impl->mutex);
    if (m_impl->stopping) return;
    wake = state != m_impl->record.state;
    m_impl->record.state = state;
    m_impl->record.step = step;
    m_impl->stateChanged |= wake;
  }
  if (wake) m_impl->changed.notify_one();
}

void Heartbeat::finish(event::RunState finalState, int64_t step) {
  {
    const std::lock_guard lock(m_impl->mutex);
    m_impl->stopping = true;
    m_impl->record.state = finalState;
    m_impl->record.step = step;
  }
  m_impl->changed.notify_one();
  if (m_impl->thread.joinable()) m_impl->thread.join();
  if (Result<void> done = m_impl->write(); !done) logWarning("runlog", "heartbeat: {}", done.error().message());
}

Result<HeartbeatRecord> readHeartbeat(const fs::path& runFolder) {
  const fs::path file = heartbeatFile(runFolder);
  Result<std::string> bytes = readFileBounded(file, limits::kSmallJsonBytes);
  if (!bytes) return bytes.error();
  Result<json> document = parseJson(*bytes, pathText(file));
  if (!document) return document.error();
  const auto bad = [&](const char* key) {
    return Error{ErrorCode::BadInput,
                 "the heartbeat is malformed",
                 pathText(file) + ", " + key,
                 "",
                 "",
                 "Delete the file if the run is not going."};
  };
  if (!document->is_object()) return bad("the document");
  const auto whole = [&](const char* key) -> std::optional<int64_t> {
    const auto it = document->find(key);
    if (it == document->end() || !it->is_number_integer()) return std::nullopt;
    if (it->is_number_unsigned() && it->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    const int64_t value = it->get<int64_t>();
    return value < 0 ? std::nullopt : std::optional(value);
  };
  const auto text = [&](const char* key) -> std::optional<std::string> {
    const auto it = document->find(key);
    if (it == document->end() || !it->is_string() || it->get_ref<const std::string&>().size() > 1024)
      return std::nullopt;
    return it->get<std::string>();
  };
  HeartbeatRecord record;
  const auto pid = whole("pid"), ticks = whole("start_time"), step = whole("step");
  const auto boot = text("boot_id"), host = text("host"), state = text("state");
  if (!pid) return bad("pid");
  if (!ticks) return bad("start_time");
  if (!step) return bad("step");
  if (!boot) return bad("boot_id");
  if (!host) return bad("host");
  if (!state) return bad("state");
  const auto time = document->find("t");
  if (time == document->end() || !time->is_number()) return bad("t");
  Result<event::RunState> known = event::runStateFromName(*state);
  if (!known) return bad("state");
  record = {*pid, static_cast<uint64_t>(*ticks), *boot, *host, time->get<double>(), *known, *step};
  return record;
}

Liveness livenessOf(const HeartbeatRecord& record) {
  if (event::isFinal(record.state)) return Liveness::Finished;
  if (record.host != hostName()) return Liveness::Unknown;
  if (record.bootId != bootId()) return Liveness::Dead;  // the machine was started anew since
  const auto process = processState(record.pid);
  // A zombie has ended; only its parent has not taken notice yet.
  if (!process || process->startTicks != record.startTicks || process->letter == 'Z' || process->letter == 'X')
    return Liveness::Dead;
  return Liveness::Live;
}

Liveness runLiveness(const fs::path& runFolder) {
  std::error_code code;
  if (!fs::exists(heartbeatFile(runFolder), code)) return Liveness::Absent;
  const Result<HeartbeatRecord> record = readHeartbeat(runFolder);
  return record ? livenessOf(*record) : Liveness::Dead;
}

}  // namespace rankscope
