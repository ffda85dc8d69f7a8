#pragma once
// NoRA's start (METHODS 11): A = (σ/s) Ω W with Gaussian Ω [r, out] and σ = 0.02, a Nyström sketch of the row space of W;
// B = 0. The published code puts it where it has no effect; here it is what the paper says.

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<LowRankStart>> makeNystromStart(const MethodSettings& settings);

}  // namespace rankscope
