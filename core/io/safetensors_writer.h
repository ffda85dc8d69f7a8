#pragma once
// Writes safetensors: streamed to a temporary file, synced, renamed, so that a reader sees the old file or the whole new
// one. Layout is deterministic: wider dtypes first (every tensor naturally aligned), then by name; the header is padded
// with spaces to 8 bytes. Free functions, any thread.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

struct SafetensorsWriteOptions {
  std::map<std::string, std::string> metadata = {{"format", "pt"}};
  uint64_t maxShardBytes = 0;  // writeModelWeights: 0 = one file
};

// Bytes written. Tensors may lie on any device and be strided; they are made contiguous one at a time.
Result<uint64_t> writeSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                                  const SafetensorsWriteOptions& options = {});
// model.safetensors, or model-00001-of-0000N.safetensors with model.safetensors.index.json, into an existing folder.
// A tensor larger than maxShardBytes gets a shard of its own. Weights of an earlier layout are removed afterwards.
Result<uint64_t> writeModelWeights(const std::filesystem::path& folder, const NamedTensors& tensors,
                                   const SafetensorsWriteOptions& options = {});

}  // namespace rankscope
