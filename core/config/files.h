#pragma once
// Whole small files: written so that a reader or a crash sees the old or the new content and never a mixture, and read
// with a bound. Streams too large for one string are written with core/config/atomic_file.h.

#include <filesystem>
#include <string>
#include <string_view>

#include "core/config/atomic_file.h"
#include "core/config/result.h"

namespace rankscope {

// Writes "<path>.<random>.tmp" beside, syncs, renames over `path`, syncs the folder. Creates missing parent folders.
Result<void> writeFileAtomically(const std::filesystem::path& path, std::string_view bytes,
                                 Durability durability = Durability::Synced);

// The whole file, or an error that says what is wrong (absent, unreadable, a folder, larger than `limit`).
Result<std::string> readFileBounded(const std::filesystem::path& path, size_t limit);

// Error for a failed system call on a path, with a hint that fits errno (disk full, permission, read-only, …).
Error systemError(int errorNumber, const std::string& what, const std::filesystem::path& path);

// Path as UTF-8 text for messages and JSON (invalid bytes replaced).
std::string pathText(const std::filesystem::path& path);
// `text` with invalid UTF-8 replaced by U+FFFD, cut to at most `limit` bytes at a character's edge (then "…" is added).
std::string cleanUtf8(std::string_view text, size_t limit);

}  // namespace rankscope
