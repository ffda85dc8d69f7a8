#pragma once
// The weights of a model folder as one table of names, whatever the format and whether they lie in one file or in
// shards. Owned by the loader; reading is const and thread-safe.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/io/safetensors.h"
#include "core/io/weight_file.h"

namespace rankscope {

class WeightSource {
 public:
  // A folder or a file of weights (see findWeightFiles).
  static Result<WeightSource> open(const std::filesystem::path& path);

  std::vector<std::string> names() const;  // sorted
  bool contains(const std::string& name) const { return m_fileOf.count(name) != 0; }
  const TensorInfo* info(const std::string& name) const;
  // A view onto the file where the format allows it (see tensorFrom). The error names the nearest tensor there is.
  Result<at::Tensor> tensor(const std::string& name) const;
  // Converted when the file holds another dtype; a view otherwise.
  Result<at::Tensor> tensor(const std::string& name, at::ScalarType dtype) const;
  // The tensor was copied and its part of the file is not needed in memory any more. Unknown names are passed over.
  void release(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const { return m_files.front()->metadata(); }

 private:
  WeightSource() = default;
  std::vector<WeightFilePtr> m_files;
  std::map<std::string, size_t> m_fileOf;
};

}  // namespace rankscope
