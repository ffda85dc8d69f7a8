#pragma once
// The weights of a model folder as one table of names, whether they lie in model.safetensors or in shards. Shards are
// mapped on first use. Owned by the loader; not to be used from several threads before every shard is open.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/io/safetensors.h"

namespace rankscope {

class WeightSource {
 public:
  // A folder or a .safetensors file (see findWeightFiles).
  static Result<WeightSource> open(const std::filesystem::path& path);

  std::vector<std::string> names() const;  // sorted
  bool contains(const std::string& name) const { return m_fileOf.count(name) != 0; }
  const TensorInfo* info(const std::string& name) const;
  // Zero-copy view (see SafetensorsFile::tensor). The error names the nearest tensor there is.
  Result<at::Tensor> tensor(const std::string& name) const;
  // Converted when the file holds another dtype; a view otherwise.
  Result<at::Tensor> tensor(const std::string& name, at::ScalarType dtype) const;
  const std::map<std::string, std::string>& metadata() const { return m_files.front()->header().metadata; }

 private:
  WeightSource() = default;
  std::vector<std::shared_ptr<const SafetensorsFile>> m_files;
  std::map<std::string, size_t> m_fileOf;
};

}  // namespace rankscope
