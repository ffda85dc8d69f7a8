#pragma once
// NoRA+ (METHODS 11): gA ← P_B gA / ‖P_B‖_F with P_B = (BᵀB + 1e-6 I)⁻¹ and gB ← gB P_A / ‖P_A‖_F with
// P_A = (A Aᵀ + 1e-6 I)⁻¹, both of the old factors, before gradients are clipped; A's gradient is left alone at the first
// step, where B is 0. Multiplying either P by a constant changes nothing. Once a step, whatever the accumulation.

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<TrainingRule>> makeNoraPlusRule(const MethodSettings& settings);

}  // namespace rankscope
