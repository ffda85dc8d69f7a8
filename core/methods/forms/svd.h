#pragma once
// AdaLoRA's form (Zhang et al., 2023; METHODS 7): ΔW = α/(k + 1e-5) · B (A ⊙ E) with E [r, 1] trained, k the rank at the
// start, so that pruning triplets (a row of A, an E, a column of B) does not change the scale of the others. E starts at
// 0. In PEFT's files the factors have no module around them, and pruned triplets are left out.

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<SiteForm>> makeSvdForm(const MethodSettings& settings);

}  // namespace rankscope
