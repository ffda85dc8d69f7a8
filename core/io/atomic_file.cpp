#include "core/io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace rankscope {

Error AtomicFile::failure(const char* what, int code) const {
  const char* hint = code == ENOSPC || code == EDQUOT ? "Free space on this disk, or choose another folder."
                     : code == EROFS || code == EACCES ? "Choose a folder that can be written to."
                                                       : "Check the disk and the folder.";
  return Error{ErrorCode::Io, what, m_path.string(), std::strerror(code), "", hint};
}

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path) {
  AtomicFile file;
  file.m_path = path;
  std::string pattern = path.string() + ".XXXXXX";
  file.m_fd = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (file.m_fd < 0) return file.failure("file cannot be created", errno);
  file.m_temporary = pattern;
  // mkostemp gives 0600; a result file should follow the user's mask like any other.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(file.m_fd, 0666 & ~mask);
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : m_path(std::move(other.m_path)),
      m_temporary(std::move(other.m_temporary)),
      m_fd(std::exchange(other.m_fd, -1)),
      m_written(other.m_written) {}

AtomicFile::~AtomicFile() {
  if (m_fd < 0) return;
  ::close(m_fd);
  ::unlink(m_temporary.c_str());
}

Result<void> AtomicFile::write(const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t count = ::write(m_fd, at, std::min(size, size_t{1} << 30));
    if (count < 0) {
      if (errno == EINTR) continue;
      return failure("file cannot be written", errno);
    }
    at += count;
    size -= static_cast<size_t>(count);
    m_written += static_cast<uint64_t>(count);
  }
  return {};
}

Result<void> AtomicFile::commit() {
  if (::fsync(m_fd) != 0) return failure("file cannot be synced to disk", errno);
  if (::close(std::exchange(m_fd, -1)) != 0 || ::rename(m_temporary.c_str(), m_path.c_str()) != 0) {
    const int code = errno;
    ::unlink(m_temporary.c_str());
    return failure("file cannot be put in place", code);
  }
  std::filesystem::path folder = m_path.parent_path();
  if (folder.empty()) folder = ".";
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
  return {};
}

}  // namespace rankscope
