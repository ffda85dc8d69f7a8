#pragma once
// A file mapped into memory, private and copy-on-write: a caller that writes into the view changes its own copy, never
// the file. Owned through shared_ptr; whoever hands out views keeps one. The file must not be cut while it is mapped.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "core/config/result.h"

namespace rankscope {

class MappedFile {
 public:
  enum class Access { Sequential, Random };

  static Result<std::shared_ptr<MappedFile>> open(const std::filesystem::path& path, Access access = Access::Random);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const { return m_path; }
  size_t size() const { return m_size; }
  const char* data() const { return m_data; }
  char* data() { return m_data; }
  std::string_view bytes() const { return {m_data, m_size}; }
  // Gives back the memory of the whole pages inside this range: they are read again when they are looked at again. What a
  // caller wrote into them is lost.
  void release(size_t begin, size_t size) const;

 private:
  MappedFile() = default;
  std::filesystem::path m_path;
  char* m_data = nullptr;
  size_t m_size = 0;
};

}  // namespace rankscope
