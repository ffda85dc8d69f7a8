#include "core/store/folder_move.h"

#include "core/config/files.h"
#include "core/runlog/uuid.h"

namespace rankscope {
namespace fs = std::filesystem;

Result<void> copyFolder(const fs::path& from, const fs::path& to) {
  std::error_code failure;
  fs::create_directories(to.parent_path(), failure);
  if (failure) return systemError(failure.value(), "the folder cannot be made", to.parent_path());
  const fs::path part = to.parent_path() / (".copying-" + newUuid());
  fs::copy(from, part, fs::copy_options::recursive | fs::copy_options::copy_symlinks, failure);
  if (!failure) fs::rename(part, to, failure);
  if (!failure) return {};
  const Error error = systemError(failure.value(), "the run's folder cannot be copied to " + pathText(to), from);
  fs::remove_all(part, failure);
  return error;
}

Result<void> moveFolder(const fs::path& from, const fs::path& to) {
  std::error_code failure;
  if (fs::exists(to, failure))
    return Error{ErrorCode::Io, "a folder of that name exists", pathText(to), "", "", "Move it away, then try again."};
  fs::create_directories(to.parent_path(), failure);
  if (failure) return systemError(failure.value(), "the folder cannot be made", to.parent_path());
  fs::rename(from, to, failure);
  if (!failure) return {};
  if (failure != std::errc::cross_device_link)
    return systemError(failure.value(), "the run's folder cannot be moved to " + pathText(to), from);
  if (Result<void> copied = copyFolder(from, to); !copied) return copied;
  if (Result<int64_t> removed = removeFolder(from); !removed) return removed.error();
  return {};
}

int64_t folderSize(const fs::path& folder) {
  int64_t bytes = 0;
  std::error_code failure;
  for (fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, failure), end;
       !failure && entry != end; entry.increment(failure)) {
    std::error_code unreadable;
    if (entry->is_symlink(unreadable) || !entry->is_regular_file(unreadable)) continue;
    const auto size = entry->file_size(unreadable);
    if (!unreadable) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

Result<int64_t> removeFolder(const fs::path& folder) {
  const int64_t bytes = folderSize(folder);
  std::error_code failure;
  fs::remove_all(folder, failure);
  if (failure) return systemError(failure.value(), "the folder cannot be removed", folder);
  return bytes;
}

}  // namespace rankscope
