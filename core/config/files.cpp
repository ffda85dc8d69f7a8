#include "core/config/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/config/atomic_file.h"
#include "core/config/text_shown.h"

namespace rankscope {

namespace fs = std::filesystem;

namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : m_number(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (m_number >= 0) ::close(m_number);
  }
  int get() const { return m_number; }

 private:
  int m_number;
};

std::string hintFor(int errorNumber) {
  switch (errorNumber) {
    case ENOSPC: return "The disk is full. Free some space or choose a place on another disk.";
    case EDQUOT: return "Your quota on this disk is used up. Free some space or choose another place.";
    case EFBIG: return "The file has reached the largest size allowed here. Raise the limit or choose another place.";
    case EROFS: return "The file system is read-only. Choose a place that can be written (--home).";
    case EACCES:
    case EPERM: return "Permission is missing. Check the owner and rights of the file and of its folder.";
    case ENOENT: return "Check the path: the file or a folder above it does not exist.";
    case ENOTDIR: return "A part of the path is a file where a folder should be.";
    case EISDIR: return "This is a folder; a file is needed.";
    case EMFILE:
    case ENFILE: return "Too many files are open. Close other programs or raise the limit (ulimit -n).";
    case EIO: return "The disk reports an error. Check the disk and the system's log.";
    case ENAMETOOLONG: return "The path is too long. Choose a shorter one.";
    default: return "Check the path, its rights and the disk.";
  }
}

}  // namespace

Error systemError(int errorNumber, const std::string& what, const fs::path& path) {
  const std::error_code code(errorNumber, std::generic_category());
  const bool absent = errorNumber == ENOENT || errorNumber == ENOTDIR;
  return {absent ? ErrorCode::BadInput : ErrorCode::Io, what, pathText(path), code.message(), "", hintFor(errorNumber)};
}

Result<void> writeFileAtomically(const fs::path& path, std::string_view bytes, Durability durability) {
  const fs::path folder = path.parent_path();
  std::error_code code;
  if (!folder.empty()) fs::create_directories(folder, code);
  if (code) return systemError(code.value(), "cannot create the folder", folder);

  Result<AtomicFile> file = AtomicFile::create(path, durability);
  if (!file) return file.error();
  if (Result<void> written = file->write(bytes); !written) return written;
  return file->commit();
}

Result<std::string> readFileBounded(const fs::path& path, size_t limit) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO must not hang us
  if (file.get() < 0) return systemError(errno, "cannot open the file", path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return systemError(errno, "cannot read the file", path);
  if (S_ISDIR(info.st_mode)) return systemError(EISDIR, "cannot read the file", path);
  if (!S_ISREG(info.st_mode))
    return Error{ErrorCode::BadInput, "not a regular file", pathText(path), "", "", "Give the path of a plain file."};
  const auto tooLarge = [&](size_t size) {
    return Error{ErrorCode::BadInput,
                 "the file is too large",
                 pathText(path),
                 fmt::format("{} bytes", size),
                 fmt::format("at most {} bytes", limit),
                 "Check that this is the right file."};
  };
  if (static_cast<size_t>(info.st_size) > limit) return tooLarge(static_cast<size_t>(info.st_size));
  std::string bytes;
  bytes.resize(static_cast<size_t>(info.st_size));
  size_t have = 0;
  while (true) {
    // One byte more than announced shows whether the file grew while it was read.
    if (have == bytes.size()) bytes.resize(have + std::max<size_t>(1, std::min<size_t>(limit + 1 - have, 4096)));
    const ssize_t n = ::read(file.get(), bytes.data() + have, bytes.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return systemError(errno, "cannot read the file", path);
    if (n == 0) break;
    have += static_cast<size_t>(n);
    if (have > limit) return tooLarge(have);
  }
  bytes.resize(have);
  return bytes;
}

std::string pathText(const fs::path& path) { return cleanUtf8(path.native(), 4096); }

std::string cleanUtf8(std::string_view text, size_t limit) {
  std::string out;
  out.reserve(std::min(text.size(), limit));
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8Length(text, i);
    const std::string_view piece = length > 0 ? text.substr(i, length) : std::string_view("\xEF\xBF\xBD");
    if (out.size() + piece.size() > limit) return out + "…";
    out += piece;
    i += std::max<size_t>(length, 1);
  }
  return out;
}

}  // namespace rankscope
