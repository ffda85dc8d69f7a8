#pragma once
// RefLoRA (Zhang et al., 2025; METHODS 4). Among all factorisations of one update, each step acts as if it were taken
// from the balanced one: with S = M_A⁻¹ # M_B, M_A = A Aᵀ, M_B = Bᵀ B, the gradients become gA ← S⁻¹ gA and gB ← gB S
// before they enter the optimizer; A and B themselves are not moved. Under plain SGD the trajectory of B A is the same
// from (A, B) and (R A, B R⁻¹) for any invertible R; where A Aᵀ = Bᵀ B already, S = I and the step is LoRA's. The first
// warmup_steps steps use plain gradients (M_B is singular at B = 0); then one step in `interval` is preconditioned and
// the others are plain. warmup_steps = 0 starts from random A and B with s B A taken out of W.

#include <memory>
#include <utility>

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<TrainingRule>> makeRefLoraRule(const MethodSettings& settings);

// Machine epsilon of the factors' dtype: what is added to the square roots of eigenvalues.
double refloraEpsilon(at::ScalarType dtype);

// The refactoring itself, for analysis: (Pᵀ A, B P⁻ᵀ) with P Pᵀ = S. Afterwards A Aᵀ = Bᵀ B, and B A is unchanged.
std::pair<at::Tensor, at::Tensor> refloraRefactor(const at::Tensor& a, const at::Tensor& b);

}  // namespace rankscope
