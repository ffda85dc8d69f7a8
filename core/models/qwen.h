#pragma once
// Qwen2 (biases on queries, keys and values) and Qwen3 (norms over each head's queries and keys instead).

#include "core/models/registry.h"

namespace rankscope {

Result<std::unique_ptr<Model>> loadQwen2(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options);
Result<std::vector<SiteShape>> qwen2SiteShapes(const nlohmann::json& config);
Result<std::unique_ptr<Model>> loadQwen3(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options);
Result<std::vector<SiteShape>> qwen3SiteShapes(const nlohmann::json& config);

}  // namespace rankscope
