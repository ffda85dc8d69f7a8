#pragma once
// Moving and copying of run folders: whole, or not at all as far as the file system allows. Blocks for the disk.

#include <cstdint>
#include <filesystem>

#include "core/config/result.h"

namespace rankscope {

// Renames; across file systems copies under a temporary name, renames that, and removes the original.
Result<void> moveFolder(const std::filesystem::path& from, const std::filesystem::path& to);
// Copies under a temporary name beside `to` and renames it. Symbolic links are not followed.
Result<void> copyFolder(const std::filesystem::path& from, const std::filesystem::path& to);
int64_t folderSize(const std::filesystem::path& folder);
Result<int64_t> removeFolder(const std::filesystem::path& folder);  // bytes freed

}  // namespace rankscope
