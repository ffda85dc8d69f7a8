#include "core/config/log.h"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>

namespace rankscope {

namespace {

constexpr size_t kRingLines = 2000;

spdlog::level::level_enum toSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::Debug: return spdlog::level::debug;
    case LogLevel::Info: return spdlog::level::info;
    case LogLevel::Warning: return spdlog::level::warn;
    case LogLevel::Error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> makeLogger(std::vector<spdlog::sink_ptr> sinks) {
  auto logger = std::make_shared<spdlog::logger>("rankscope", sinks.begin(), sinks.end());
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
  logger->flush_on(spdlog::level::info);
  return logger;
}

struct State {
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> logger = makeLogger({std::make_shared<spdlog::sinks::stderr_sink_mt>()});
  std::deque<LogLine> ring;
  std::vector<std::pair<int, LogListener>> listeners;
  int nextListener = 1;
};

// Never destroyed: lines may still come from other threads while the program ends.
State& state() {
  static State* instance = new State;
  return *instance;
}

thread_local bool t_inListener = false;

}  // namespace

const char* logLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::Debug: return "debug";
    case LogLevel::Info: return "info";
    case LogLevel::Warning: return "warning";
    case LogLevel::Error: return "error";
  }
  return "info";
}

std::optional<LogLevel> logLevelFromName(std::string_view name) {
  for (const LogLevel level : {LogLevel::Debug, LogLevel::Info, LogLevel::Warning, LogLevel::Error})
    if (name == logLevelName(level)) return level;
  return std::nullopt;
}

void startLog(const LogSettings& settings) {
  std::vector<spdlog::sink_ptr> sinks;
  if (settings.toStderr) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
  std::string problem;
  if (!settings.file.empty()) {
    try {
      sinks.push_back(std::make_shared<spdlog::sinks::rotating_file_sink_mt>(settings.file.string(), 5u << 20, 3));
    } catch (const spdlog::spdlog_ex& e) {
      problem = e.what();
    }
  }
  auto logger = makeLogger(std::move(sinks));
  logger->set_level(toSpdlog(settings.level));
  {
    const std::lock_guard lock(state().mutex);
    state().logger = std::move(logger);
  }
  if (!problem.empty()) logWarning("log", "the log file cannot be written, going on without it: {}", problem);
}

void setLogLevel(LogLevel level) {
  const std::lock_guard lock(state().mutex);
  state().logger->set_level(toSpdlog(level));
}

void logLine(LogLevel level, std::string_view category, std::string_view text) {
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  LogLine line{now, level, std::string(category), std::string(text)};
  std::shared_ptr<spdlog::logger> logger;
  std::vector<LogListener> listeners;
  {
    const std::lock_guard lock(state().mutex);
    state().ring.push_back(line);
    if (state().ring.size() > kRingLines) state().ring.pop_front();
    logger = state().logger;
    if (!t_inListener)
      for (const auto& entry : state().listeners) listeners.push_back(entry.second);
  }
  logger->log(toSpdlog(level), "[{}] {}", category, text);
  if (listeners.empty()) return;
  t_inListener = true;
  for (const LogListener& listener : listeners) {
    try {
      listener(line);
    } catch (...) {  // a listener's failure must not turn a log line into a crash
    }
  }
  t_inListener = false;
}

std::vector<LogLine> recentLog() {
  const std::lock_guard lock(state().mutex);
  return {state().ring.begin(), state().ring.end()};
}

int addLogListener(LogListener listener) {
  const std::lock_guard lock(state().mutex);
  state().listeners.emplace_back(state().nextListener, std::move(listener));
  return state().nextListener++;
}

void removeLogListener(int id) {
  const std::lock_guard lock(state().mutex);
  std::erase_if(state().listeners, [&](const auto& entry) { return entry.first == id; });
}

}  // namespace rankscope
