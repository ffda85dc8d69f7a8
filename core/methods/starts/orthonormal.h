#pragma once
// A with orthonormal rows (random directions, every singular value 1) and B = 0 (METHODS 20). A function of (seed, site).

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<LowRankStart>> makeOrthonormalStart(const MethodSettings& settings);

}  // namespace rankscope
