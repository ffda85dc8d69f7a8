#include "core/store/writer_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <thread>

#include "core/config/files.h"

namespace rankscope {
namespace {

std::string programName() {
  std::ifstream file("/proc/self/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

// The file may have been removed and made again (a home that was cleared while we had it open): a lock on a file that
// no longer has a name keeps nobody out.
bool stillNamed(int descriptor, const std::filesystem::path& file) {
  struct stat open {
  }, named{};
  return fstat(descriptor, &open) == 0 && stat(file.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
         open.st_dev == named.st_dev;
}

}  // namespace

WriterLock::~WriterLock() {
  release();
  if (m_descriptor >= 0) ::close(m_descriptor);
}

Result<void> WriterLock::acquire(std::chrono::milliseconds timeout) {
  const auto start = std::chrono::steady_clock::now();
  auto pause = std::chrono::milliseconds(1);
  while (true) {
    if (m_descriptor < 0) {
      m_descriptor = ::open(m_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
      if (m_descriptor < 0) return systemError(errno, "the store's lock file cannot be opened", m_file);
    }
    if (::flock(m_descriptor, LOCK_EX | LOCK_NB) == 0) {
      if (stillNamed(m_descriptor, m_file)) break;
      ::close(m_descriptor);
      m_descriptor = -1;
      continue;
    }
    if (errno != EWOULDBLOCK && errno != EINTR) return systemError(errno, "the store cannot be locked", m_file);
    const auto waited = std::chrono::steady_clock::now() - start;
    if (waited >= timeout)
      return Error{
          ErrorCode::Store,
          "the store is busy",
          pathText(m_file),
          fmt::format("another program writing for over {:.1f} s{}", std::chrono::duration<double>(waited).count(),
                      holder()),
          "",
          "Wait until it is done and try again; if that program hangs, end it. The lock goes with its process."};
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(16));
  }
  m_held = true;
  // For the message of whoever waits in vain; failing to write it (a full disk) costs nothing.
  static const std::string name = programName();
  const std::string text = fmt::format("{} {}\n", ::getpid(), name);
  if (::pwrite(m_descriptor, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()))
    (void)!::ftruncate(m_descriptor, static_cast<off_t>(text.size()));
  return {};
}

void WriterLock::release() {
  if (!m_held) return;
  ::flock(m_descriptor, LOCK_UN);
  m_held = false;
}

std::string WriterLock::holder() const {
  char text[128];
  const ssize_t size = ::pread(m_descriptor, text, sizeof text - 1, 0);
  if (size <= 0) return {};
  std::string line(text, static_cast<size_t>(size));
  line = line.substr(0, line.find('\n'));
  const size_t space = line.find(' ');
  if (space == std::string::npos) return {};
  return fmt::format(" ({}, process {})", cleanUtf8(line.substr(space + 1), 64), cleanUtf8(line.substr(0, space), 20));
}

}  // namespace rankscope
