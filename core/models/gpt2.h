#pragma once
// GPT-2: learned positions, layer norm ahead of each part, linear maps stored as [in, out] (Conv1D); language model,
// sequence classification, or answer spans.

#include "core/models/registry.h"

namespace rankscope {

Result<std::unique_ptr<Model>> loadGpt2(const std::filesystem::path& folder, const nlohmann::json& config,
                                        const ModelLoadOptions& options);
Result<std::vector<SiteShape>> gpt2SiteShapes(const nlohmann::json& config);

}  // namespace rankscope
