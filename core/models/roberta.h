#pragma once
// RoBERTa (and XLM-RoBERTa, the same network): BERT's blocks, positions counted from behind the padding's row, a
// two-layer classifier on the first token. Classification or regression, masked tokens, answer spans, or the bare encoder.

#include "core/models/registry.h"

namespace rankscope {

Result<std::unique_ptr<Model>> loadRoberta(const std::filesystem::path& folder, const nlohmann::json& config,
                                           const ModelLoadOptions& options);
Result<std::vector<SiteShape>> robertaSiteShapes(const nlohmann::json& config);

}  // namespace rankscope
