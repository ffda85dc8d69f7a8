#pragma once
// Where a model's weights lie: one file in any of the formats (weight_formats.h), or shards named by an index. Tables
// only, so that listing a folder of models costs no more than its headers. Free functions, any thread.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/io/weight_file.h"

namespace rankscope {

struct WeightFiles {
  std::vector<std::filesystem::path> files;    // one, or the shards in order of their names
  std::map<std::string, size_t> fileOfTensor;  // from the index; empty for a single file
};

// `path` is a file of weights, an index, or a folder: model.safetensors or its index, adapter_model.safetensors,
// pytorch_model.bin or its index, adapter_model.bin, else the only file of weights that lies there.
Result<WeightFiles> findWeightFiles(const std::filesystem::path& path);

struct WeightSummary {
  uint64_t parameters = 0;
  uint64_t bytes = 0;                      // on disk, all files
  int64_t files = 0;                       // one, or the number of shards
  std::map<std::string, uint64_t> dtypes;  // "F32", "Q4_K" -> elements
  std::string format;                      // "safetensors", "torch", "gguf"
  std::string mainDtype;                   // the dtype of most elements
  std::vector<TensorInfo> tensors;         // of all files, sorted by name
};
// Total parameters, dtypes and bytes from the tables alone.
Result<WeightSummary> inspectWeights(const std::filesystem::path& path);

}  // namespace rankscope
