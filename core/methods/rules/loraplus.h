#pragma once
// LoRA+ (Hayou et al., 2024; METHODS 14): B, and what trains beside the factors in one dimension (biases, norm weights,
// DoRA's magnitudes), learn at `lr_ratio` times the learning rate of A. With a ratio of 1 it is LoRA. An
// embedding's factors, whose B is not the one that starts at 0, both learn at A's rate (PEFT fixes theirs at 1e-6).

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<TrainingRule>> makeLoraPlusRule(const MethodSettings& settings);

}  // namespace rankscope
