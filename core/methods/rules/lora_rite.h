#pragma once
// LoRA-RITE (Yen et al., 2025; METHODS 9): an optimizer whose path of B A does not depend on how the update is factored.
// With Aᵀ = QA RA and B = QB RB, the unmagnified gradients UA = gAᵀ RB⁺ and UB = gB RA⁺ are what the other factor's
// orthonormal basis sees. Each has a second moment V [r, r] in that basis, carried along as the basis turns, and a first
// moment of the normalised gradient; the step is mapped back by R⁺ᵀ. Follows the published code: gradients of a root mean
// square beyond `update_skipping` are left out, all together are clipped to `clip_unmagnified`, QR instead of polar,
// no escape mass.

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<TrainingRule>> makeLoraRiteRule(const MethodSettings& settings);

}  // namespace rankscope
