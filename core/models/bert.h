#pragma once
// BERT: token, position and type embeddings, post-norm blocks attending in both directions, pooler; sequence
// classification or regression, or the bare encoder.

#include "core/models/registry.h"

namespace rankscope {

Result<std::unique_ptr<Model>> loadBert(const std::filesystem::path& folder, const nlohmann::json& config,
                                        const ModelLoadOptions& options);
Result<std::vector<SiteShape>> bertSiteShapes(const nlohmann::json& config);

}  // namespace rankscope
