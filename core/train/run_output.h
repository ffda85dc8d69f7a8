#pragma once
// What a finished run leaves for others: adapter/ in PEFT's layout, or model/ as a whole Hugging Face folder. Folders
// are written beside their name and renamed, so that a reader never sees half of one.

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/methods/method.h"
#include "core/models/model.h"

namespace rankscope {

// adapter_config.json and adapter_model.safetensors into `folder`. `basePath` is what base_model_name_or_path says.
Result<void> saveAdapter(const std::filesystem::path& folder, const Method& method, const Model& model,
                         const std::string& basePath);
inline constexpr uint64_t kShardBytes = uint64_t{5} << 30;
// config.json, weights (in shards above `shardBytes`), the tokenizer's files of `baseFolder` (or those made of its GGUF
// file's tokenizer) and the settings of generation, into `folder`: what transformers loads. Weights in `dtype`. Gives what
// has to be told of it, such as a tokenizer that could not be written.
Result<std::vector<std::string>> saveModelFolder(const std::filesystem::path& folder, const Model& model,
                             const std::filesystem::path& baseFolder, at::ScalarType dtype,
                             const std::vector<std::string>& labels, uint64_t shardBytes = kShardBytes);

struct SavedOutput {
  std::string name;  // "adapter" or "model", relative to the run's folder
  int64_t bytes = 0;
  std::vector<std::string> remarks;
};
// Whichever of the two fits the method.
Result<SavedOutput> saveRunOutput(const std::filesystem::path& runFolder, const Method& method, const Model& model,
                                  const std::filesystem::path& baseFolder, const std::vector<std::string>& labels);

}  // namespace rankscope
