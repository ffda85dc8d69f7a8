#pragma once
// The program's log: category, level and one line per event, to stderr and, when asked for, to a file that rotates.
// Callable from any thread; never inside a kernel loop. The last lines are kept in memory for the log view, and a
// listener can pass lines on (the trainer copies warnings into its run's event log).

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rankscope {

enum class LogLevel { Debug, Info, Warning, Error };
const char* logLevelName(LogLevel level);  // "debug", "info", "warning", "error"
std::optional<LogLevel> logLevelFromName(std::string_view name);

struct LogLine {
  double time = 0;  // unix seconds
  LogLevel level = LogLevel::Info;
  std::string category;  // "train", "store", "ui.live"
  std::string text;
};

struct LogSettings {
  LogLevel level = LogLevel::Info;  // of stderr and the file; the ring keeps debug lines as well
  bool toStderr = true;             // never stdout, which belongs to results
  std::filesystem::path file;       // empty: none; rotates at 5 MB, three kept
};

// Called once at the start of a program; before it, lines go to stderr at level Info. A file that cannot be opened is
// reported as a warning line, and logging goes on without it.
void startLog(const LogSettings& settings);
void setLogLevel(LogLevel level);

void logLine(LogLevel level, std::string_view category, std::string_view text);
// Newest last, at most the 2000 that are kept.
std::vector<LogLine> recentLog();

// Called on the logging thread, outside the log's lock; lines that a listener itself logs are not passed to listeners.
using LogListener = std::function<void(const LogLine&)>;
int addLogListener(LogListener listener);
void removeLogListener(int id);

template <typename... Args>
void logDebug(std::string_view category, fmt::format_string<Args...> format, Args&&... args) {
  logLine(LogLevel::Debug, category, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void logInfo(std::string_view category, fmt::format_string<Args...> format, Args&&... args) {
  logLine(LogLevel::Info, category, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void logWarning(std::string_view category, fmt::format_string<Args...> format, Args&&... args) {
  logLine(LogLevel::Warning, category, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void logError(std::string_view category, fmt::format_string<Args...> format, Args&&... args) {
  logLine(LogLevel::Error, category, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace rankscope
