#include "core/config/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/config/files.h"

namespace rankscope {
namespace {

bool syncFolder(const std::filesystem::path& folder) {
  const int handle = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0) return false;
  // Some network file systems cannot sync a folder; the rename is then as durable as they make it.
  const bool synced = ::fsync(handle) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EBADF;
  const int code = errno;
  ::close(handle);
  errno = code;
  return synced;
}

}  // namespace

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path, Durability durability) {
  AtomicFile file;
  file.m_path = path;
  file.m_durability = durability;
  uint32_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) random = static_cast<uint32_t>(::getpid());
  file.m_temporary = path;
  file.m_temporary += fmt::format(".{:08x}.tmp", random);
  file.m_fd = ::open(file.m_temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file.m_fd < 0) return systemError(errno, "cannot write the file", path);
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : m_path(std::move(other.m_path)),
      m_temporary(std::move(other.m_temporary)),
      m_fd(std::exchange(other.m_fd, -1)),
      m_durability(other.m_durability),
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
      return systemError(errno, "cannot write the file", m_path);
    }
    at += count;
    size -= static_cast<size_t>(count);
    m_written += static_cast<uint64_t>(count);
  }
  return {};
}

Result<void> AtomicFile::commit() {
  if (m_durability == Durability::Synced && ::fsync(m_fd) != 0)
    return systemError(errno, "cannot write the file to disk", m_path);
  if (::close(std::exchange(m_fd, -1)) != 0 || ::rename(m_temporary.c_str(), m_path.c_str()) != 0) {
    const int code = errno;
    ::unlink(m_temporary.c_str());
    return systemError(code, "cannot put the file in its place", m_path);
  }
  if (m_durability == Durability::Synced && !syncFolder(m_path.parent_path()))
    return systemError(errno, "cannot sync the folder", m_path.parent_path());
  return {};
}

}  // namespace rankscope
