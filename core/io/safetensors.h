#pragma once
// Tensors of a mapped safetensors file. tensor() returns a view onto the mapping (no copy); the view keeps the mapping
// alive. The mapping is copy-on-write: writing into a view changes memory, never the file. Reading is thread-safe.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>

#include "core/config/result.h"
#include "core/io/mapped_file.h"
#include "core/io/safetensors_header.h"
#include "core/io/torch_tensor.h"

namespace rankscope {

class SafetensorsFile {
 public:
  static Result<std::shared_ptr<const SafetensorsFile>> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return m_file->path(); }
  const SafetensorsHeader& header() const { return m_header; }
  bool contains(const std::string& name) const { return m_index.count(name) != 0; }
  const TensorInfo* info(const std::string& name) const;
  // Zero copy, except where the file places a tensor off its natural alignment (then a copy).
  Result<at::Tensor> tensor(const std::string& name) const;

 private:
  SafetensorsFile() = default;
  std::shared_ptr<MappedFile> m_file;
  SafetensorsHeader m_header;
  std::unordered_map<std::string, size_t> m_index;
};

}  // namespace rankscope
