#pragma once
// A stays as it was drawn and B alone trains (METHODS 20; with orthonormal rows of A, the experiment of Shuttleworth et
// al., 2024, in which all singular values of A are 1).

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<TrainingRule>> makeOnlyBRule(const MethodSettings& settings);

}  // namespace rankscope
