#pragma once
// LLaMA 1, 2 and 3: grouped queries, biases where config.json asks for them, scaled rotary positions.

#include "core/models/registry.h"

namespace rankscope {

Result<std::unique_ptr<Model>> loadLlama(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options);
Result<std::vector<SiteShape>> llamaSiteShapes(const nlohmann::json& config);

}  // namespace rankscope
