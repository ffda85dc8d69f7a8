#pragma once
// The SVD of a base matrix, computed once and kept by content: every run on the same checkpoint shares it.

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "core/config/result.h"

namespace rankscope {

// W0 [out, in] = U diag(S) Vᵀ, n = min(out, in); float64 in memory (float32 in the cache would lose the small cosines).
struct BaseSvd {
  at::Tensor U;  // [out, n]
  at::Tensor S;  // [n], falling
  at::Tensor V;  // [in, n]
};

BaseSvd computeBaseSvd(const at::Tensor& weight);

// Looks in cacheFolder/svd by a hash of shape and bytes; computes and stores when absent. A cache that cannot be
// written or is damaged costs time, never the result.
BaseSvd cachedBaseSvd(const at::Tensor& weight, const std::filesystem::path& cacheFolder);

}  // namespace rankscope
