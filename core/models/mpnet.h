#pragma once
// MPNet: RoBERTa's embeddings and heads without token types, and a learned bias of the attention scores for each distance
// between tokens, shared by all blocks. Checkpoints of sentence encoders name their tensors without "mpnet.".

#include "core/models/registry.h"

namespace rankscope {

Result<std::unique_ptr<Model>> loadMpnet(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options);
Result<std::vector<SiteShape>> mpnetSiteShapes(const nlohmann::json& config);

}  // namespace rankscope
