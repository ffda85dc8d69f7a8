#pragma once
// PiSSA (Meng et al., 2024; METHODS 12): the factors begin as the r leading singular triplets of W, A = √(Σ/s) Vᵀ and
// B = U √(Σ/s), taken out of the weight; training moves the principal part and the residual is frozen. Balanced: A Aᵀ =
// BᵀB = Σ/s. `svd_iterations` 0 takes the whole decomposition; else so many rounds of subspace iteration from a seeded
// sketch, which is what large matrices want.

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<LowRankStart>> makePissaStart(const MethodSettings& settings);

}  // namespace rankscope
