#pragma once
// Mistral: the LLaMA block whose queries see a sliding window of keys.

#include "core/models/registry.h"

namespace rankscope {

Result<std::unique_ptr<Model>> loadMistral(const std::filesystem::path& folder, const nlohmann::json& config,
                                           const ModelLoadOptions& options);
Result<std::vector<SiteShape>> mistralSiteShapes(const nlohmann::json& config);

}  // namespace rankscope
