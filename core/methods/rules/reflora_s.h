#pragma once
// RefLoRA-S (Zhang et al., 2025; METHODS 5): the scalar form. After the optimizer's step the factors are really
// rescaled, with S = ‖B‖_F/‖A‖_F: A ← √S A, B ← B/√S, and Adam's moments with them (m_A/√S, v_A/S; √S m_B, S v_B), so
// that both norms become √(‖A‖‖B‖) and B A stays. Gradients are left plain. Calls are counted as the released code
// counts them: one at set-up, one after each step; the first warmup_steps of them only count. So w ≥ 1 rescales first
// after step w, and w = 0 at set-up already (then from a random B, since 0/0 otherwise).

#include <memory>

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<TrainingRule>> makeRefLoraSRule(const MethodSettings& settings);

}  // namespace rankscope
