#pragma once
// Riemannian preconditioned LoRA (Zhang & Pilanci, 2024; METHODS 10): gA ← (BᵀB + δI)⁻¹ gA, gB ← gB (A Aᵀ + δI)⁻¹. With
// SGD this is scaled gradient descent, with AdamW scaled AdamW. Two forms: `peft` takes both old factors and leaves the
// step to the optimizer (δ = 1e-2); `released` is the published code's own AdamW (δ = 1e-6), which takes the optimizer's
// betas and decay and leaves it the other parameters: A moves first, B is then
// preconditioned with the new A, eps stands inside before any bias correction, and decay comes after the step.

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<TrainingRule>> makeScaledRule(const MethodSettings& settings);

}  // namespace rankscope
