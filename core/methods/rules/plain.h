#pragma once
// The plain rule: the optimizer moves A and B by their own gradients and nothing else happens.

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<TrainingRule>> makePlainRule(const MethodSettings& settings);

}  // namespace rankscope
