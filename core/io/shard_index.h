#pragma once
// Where a model's weights lie: one model.safetensors, or shards named by model.safetensors.index.json. Headers only, so
// that listing a folder of models costs no more than its headers. Free functions, any thread.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/io/safetensors_header.h"

namespace rankscope {

struct WeightFiles {
  std::vector<std::filesystem::path> files;      // one, or the shards in order of their names
  std::map<std::string, size_t> fileOfTensor;    // from the index; empty for a single file
};

// `path` is a folder (model.safetensors, else the index, else adapter_model.safetensors) or a .safetensors file.
Result<WeightFiles> findWeightFiles(const std::filesystem::path& path);

struct WeightSummary {
  uint64_t parameters = 0;
  uint64_t bytes = 0;                        // on disk, all files
  std::map<std::string, uint64_t> dtypes;    // "F32" -> elements
  std::string mainDtype;                     // the dtype of most elements
  std::vector<TensorInfo> tensors;           // of all files, sorted by name
};
// Total parameters, dtypes and bytes from the headers alone.
Result<WeightSummary> inspectWeights(const std::filesystem::path& path);

}  // namespace rankscope
