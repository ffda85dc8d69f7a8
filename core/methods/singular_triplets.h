#pragma once
// Leading singular triplets of a matrix, for starts that begin with them: from the whole decomposition, or by rounds of
// subspace iteration from a seeded sketch, which is what large matrices want. Kept by the matrix' content where there is a
// cache. Functions, any thread.

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "core/methods/low_rank_parts.h"

namespace rankscope {

// M ≈ u diag(sigma) vh, sigma falling. A triplet's two vectors share a free sign: the largest entry of the right one is
// positive here.
struct Triplets {
  at::Tensor u, sigma, vh;  // [out, k], [k], [k, in]
};

// The `count` leading ones; at most the smaller side of the matrix. 0 iterations: of the whole decomposition.
Triplets leadingTriplets(const at::Tensor& matrix, int64_t count, int64_t iterations, uint64_t seed,
                         const std::string& name);

// The same, kept by the matrix' values and everything else that the result depends on.
Triplets cachedTriplets(const TensorCache& cache, const at::Tensor& matrix, int64_t count, int64_t iterations,
                        uint64_t seed, const std::string& name);

// Values that the whole decomposition of a matrix takes: a copy, both factors and LAPACK's work space (gesdd).
inline int64_t decompositionWork(int64_t outFeatures, int64_t inFeatures) {
  const int64_t shorter = std::min(outFeatures, inFeatures);
  return outFeatures * inFeatures + shorter * (outFeatures + inFeatures) + 4 * shorter * shorter;
}

// Why a site has not so many triplets for its start, or cannot be started by them.
Result<void> checkTriplets(const AdaptedSite& adapted, int64_t count);

}  // namespace rankscope
