#include "core/optim/state_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "core/config/files.h"

namespace rankscope {

namespace {

constexpr size_t kAlignment = 64;  // a cache line, and the widest vector register

size_t roomFor(const at::Tensor& like) { return (like.nbytes() + kAlignment - 1) / kAlignment * kAlignment; }

// A file without a name. Not every file system makes one at once.
int openUnnamed(const std::filesystem::path& folder) {
  int file = -1;
#ifdef O_TMPFILE
  file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
#endif
  std::string name = (folder / "optimizer.XXXXXX").string();
  file = ::mkostemp(name.data(), O_CLOEXEC);
  if (file >= 0) ::unlink(name.c_str());
  return file;
}

}  // namespace

struct StateMemory::Mapping {
  char* data = nullptr;
  size_t size = 0;
  Mapping() = default;
  ~Mapping() {
    if (data) ::munmap(data, size);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
};

Result<StateMemory> StateMemory::make(const std::filesystem::path& folder,
                                      const std::vector<OptimizedParameter>& parameters, int slots) {
  StateMemory memory;
  size_t size = 0;
  for (const OptimizedParameter& parameter : parameters) size += static_cast<size_t>(slots) * roomFor(parameter.tensor);
  if (folder.empty() || size == 0) return memory;
  const auto failed = [&folder](int reason) {
    Error error = systemError(reason, "there is no room for the paged optimizer state", folder);
    error.code = ErrorCode::Io;
    error.hint += " optim.paged = false keeps it in memory.";
    return error;
  };
  const int file = openUnnamed(folder);
  if (file < 0) return failed(errno);
  int reason;
  do reason = ::posix_fallocate(file, 0, static_cast<off_t>(size));
  while (reason == EINTR);
  void* at = MAP_FAILED;
  if (reason == 0) {
    at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED) reason = errno;
  }
  ::close(file);
  if (reason != 0) return failed(reason);
  memory.m_mapping = std::make_shared<Mapping>();
  memory.m_mapping->data = static_cast<char*>(at);
  memory.m_mapping->size = size;
  return memory;
}

at::Tensor StateMemory::zerosLike(const at::Tensor& like) {
  if (!m_mapping || !like.is_cpu()) return at::zeros_like(like);
  char* const begin = m_mapping->data + m_used;
  m_used += roomFor(like);
  if (m_used > m_mapping->size) throw std::length_error("more optimizer state than was asked for");
  // As zeros_like: the same layout where it leaves no gaps. A new file reads as zeros.
  const at::Tensor layout = like.is_non_overlapping_and_dense() ? like : like.contiguous();
  return at::from_blob(begin, layout.sizes(), layout.strides(), [mapping = m_mapping](void*) {},
                       layout.options().requires_grad(false));
}

}  // namespace rankscope
