#pragma once
// A file that appears whole or not at all: written beside its final name, synced, renamed, folder synced. For streams
// too large to hold as one string. One thread; dropped without commit() the temporary file is removed.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/config/result.h"

namespace rankscope {

enum class Durability {
  Synced,  // survives a power cut: file and folder are synced
  Renamed  // whole after a crash of the program; not synced (heartbeats, rewritten every second)
};

class AtomicFile {
 public:
  // The folder must exist. Errors: Io with a hint that fits the system's reason.
  static Result<AtomicFile> create(const std::filesystem::path& path, Durability durability = Durability::Synced);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  Result<void> write(const void* data, size_t size);
  Result<void> write(std::string_view bytes) { return write(bytes.data(), bytes.size()); }
  uint64_t written() const { return m_written; }
  Result<void> commit();

 private:
  AtomicFile() = default;
  std::filesystem::path m_path, m_temporary;
  int m_fd = -1;
  Durability m_durability = Durability::Synced;
  uint64_t m_written = 0;
};

}  // namespace rankscope
