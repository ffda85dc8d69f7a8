#include "app/trainer/child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <sstream>

#include "core/config/files.h"

namespace rankscope {

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(const std::vector<std::string>& line,
                                                          const std::vector<std::string>& environment,
                                                          const std::filesystem::path& output,
                                                          const std::filesystem::path& errors) {
  std::error_code failure;
  std::filesystem::create_directories(output.parent_path(), failure);
  if (failure)
    return systemError(failure.value(), "the folder for the job's output cannot be made", output.parent_path());
  std::vector<char*> arguments, variables;
  for (const std::string& each : line) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  for (char** each = environ; *each; ++each) variables.push_back(*each);
  for (const std::string& each : environment) variables.push_back(const_cast<char*>(each.c_str()));
  variables.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  // A group of its own: Ctrl+C at the runner's terminal reaches only the runner, which then asks in its own time.
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) sigaddset(&defaults, number);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int problem = posix_spawn(&pid, arguments[0], &actions, &attributes, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (problem != 0) return systemError(problem, "the job's process cannot be started", line[0]);
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid));
}

bool ChildProcess::ended() {
  if (m_ended) return true;
  int status = 0;
  const pid_t found = ::waitpid(m_pid, &status, WNOHANG);
  if (found == 0 || (found < 0 && errno == EINTR)) return false;
  m_ended = true;
  if (found == m_pid && WIFEXITED(status)) m_exitCode = WEXITSTATUS(status);
  if (found == m_pid && WIFSIGNALED(status)) m_signal = WTERMSIG(status);
  return true;
}

void ChildProcess::signalGroup(int number) const {
  if (!m_ended) ::kill(-m_pid, number);
}

uint64_t processStartTicks(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  // The name in brackets may itself hold blanks and brackets.
  const size_t close = text.rfind(')');
  if (close == std::string::npos) return 0;
  std::istringstream rest(text.substr(close + 1));
  std::string word;
  for (int field = 3; field <= 22; ++field)
    if (!(rest >> word)) return 0;
  return std::strtoull(word.c_str(), nullptr, 10);
}

}  // namespace rankscope
