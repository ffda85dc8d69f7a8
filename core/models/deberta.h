#pragma once
// DeBERTa-v2 and v3 (He et al., 2021): disentangled attention, in which content and relative position score each other by
// maps of their own; logarithmic buckets of distance; optionally a convolution beside the first block. Classification or
// regression (context pooler), masked tokens, answer spans, or the bare encoder.

#include "core/models/registry.h"

namespace rankscope {

Result<std::unique_ptr<Model>> loadDeberta(const std::filesystem::path& folder, const nlohmann::json& config,
                                           const ModelLoadOptions& options);
Result<std::vector<SiteShape>> debertaSiteShapes(const nlohmann::json& config);

}  // namespace rankscope
