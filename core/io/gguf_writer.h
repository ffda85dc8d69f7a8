#pragma once
// Writes a GGUF file (version 3) of plain numbers: metadata in the order given, tensors aligned to 32 bytes. The file
// appears whole or not at all. One object, one thread.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

class GgufWriter {
 public:
  void text(std::string_view key, std::string_view value);
  void number(std::string_view key, uint32_t value);
  void real(std::string_view key, float value);
  // Float32 values, rows first; the bytes are kept until write().
  void floats(std::string name, std::vector<int64_t> shape, std::string bytes);
  // Bytes written.
  Result<uint64_t> write(const std::filesystem::path& path) const;

 private:
  struct Tensor {
    std::string name;
    std::vector<int64_t> shape;
    std::string bytes;
  };
  std::string m_metadata;
  uint64_t m_entries = 0;
  std::vector<Tensor> m_tensors;
};

}  // namespace rankscope
