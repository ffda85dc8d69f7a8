#pragma once
// One model as JSON, from its headers alone: for `models`, the library and the pickers. (Lists: library_scan.h.)

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/config/places.h"
#include "core/config/result.h"
#include "core/io/shard_index.h"
#include "core/models/linear_site.h"

namespace rankscope {

bool isModelFolder(const std::filesystem::path& folder);
// What a list shows of a model folder (or of one GGUF file); one that cannot be used says why in "problem".
nlohmann::json modelSummary(const std::filesystem::path& folder, const Places& places);
Result<std::vector<SiteShape>> sitesOfModel(const std::filesystem::path& folder);
// Everything about one model: sites, tensors, heads, default targets.
Result<nlohmann::json> inspectModel(const std::filesystem::path& folder, const Places& places);
// All that can be told of a folder, for the library: as inspectModel where the model can be used; files, dtypes, the heads
// that are in it, what is missing or misshapen, and every problem, where it cannot.
nlohmann::json describeModel(const std::filesystem::path& folder, const Places& places);
// Loads the tokenizer: its kind, size of vocabulary and special tokens.
Result<nlohmann::json> describeTokenizer(const std::filesystem::path& folder);

// Parts of these documents that adapters have as well: what the weights are in sum, files with their sizes, tensors with
// type and shape.
void describeWeights(const WeightSummary& weights, nlohmann::json& document);
nlohmann::json weightFileList(const std::filesystem::path& folder);
nlohmann::json tensorList(const WeightSummary& weights);

}  // namespace rankscope
