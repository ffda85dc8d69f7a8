#pragma once
// LLaMA: RMSNorm, rotary positions, grouped-query attention, SwiGLU; causal language model or sequence classification.

#include "core/models/registry.h"

namespace rankscope {

Result<std::unique_ptr<Model>> loadLlama(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options);
Result<std::vector<SiteShape>> llamaSiteShapes(const nlohmann::json& config);

}  // namespace rankscope
