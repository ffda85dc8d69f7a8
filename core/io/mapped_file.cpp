#include "core/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rankscope {

Result<std::shared_ptr<MappedFile>> MappedFile::open(const std::filesystem::path& path, Access access) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return Error{ErrorCode::BadInput, "file cannot be opened", path.string(), std::strerror(errno), "",
                 errno == ENOENT ? "Check the path." : "Check the permissions of the file."};
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return Error{ErrorCode::BadInput, "not a regular file", path.string(), "", "", "Give the path of a file."};
  }
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->m_path = path;
  file->m_size = static_cast<size_t>(info.st_size);
  if (file->m_size > 0) {
    void* at = ::mmap(nullptr, file->m_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    const int failure = errno;
    if (at == MAP_FAILED) {
      ::close(fd);
      return Error{ErrorCode::Io, "file cannot be mapped into memory", path.string(), std::strerror(failure), "",
                   "Copy it to a local disk, or free address space (ulimit -v)."};
    }
    file->m_data = static_cast<char*>(at);
    ::madvise(at, file->m_size, access == Access::Sequential ? MADV_SEQUENTIAL : MADV_NORMAL);
  }
  ::close(fd);
  return file;
}

void MappedFile::release(size_t begin, size_t size) const {
  static const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t first = (begin + page - 1) / page * page, last = std::min(begin + size, m_size) / page * page;
  if (first < last) ::madvise(m_data + first, last - first, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (m_data) ::munmap(m_data, m_size);
}

}  // namespace rankscope
