#pragma once
// BERT: token, position and type embeddings, post-norm blocks, a pooler. Sequence classification or regression, masked
// tokens, answer spans, or the bare encoder.

#include "core/models/registry.h"

namespace rankscope {

Result<std::unique_ptr<Model>> loadBert(const std::filesystem::path& folder, const nlohmann::json& config,
                                        const ModelLoadOptions& options);
Result<std::vector<SiteShape>> bertSiteShapes(const nlohmann::json& config);

}  // namespace rankscope
