#pragma once
// A child process in a group of its own, its output in files, so that it outlives whoever started it. One thread.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

class ChildProcess {
 public:
  // `line` is the program and its arguments; `environment` is added to this program's ("NAME=value").
  static Result<std::unique_ptr<ChildProcess>> start(const std::vector<std::string>& line,
                                                     const std::vector<std::string>& environment,
                                                     const std::filesystem::path& output,
                                                     const std::filesystem::path& errors);
  bool ended();  // looks without waiting; afterwards the next two are valid
  int exitCode() const { return m_exitCode; }
  int signal() const { return m_signal; }  // 0 unless a signal ended it
  void signalGroup(int number) const;
  pid_t pid() const { return m_pid; }

 private:
  explicit ChildProcess(pid_t pid) : m_pid(pid) {}
  pid_t m_pid;
  int m_exitCode = -1, m_signal = 0;
  bool m_ended = false;
};

uint64_t processStartTicks(pid_t pid);  // field 22 of /proc/<pid>/stat; 0 when there is no such process

}  // namespace rankscope
