#pragma once
// LoRA-Pro (Wang et al., 2024; METHODS 8): Adam on the equivalent gradient g = s B g̃A + s g̃B A of the whole matrix, the
// projection of ∂ℓ/∂W that changes of A and B can reach, and its step projected back to the pair. Old A and B throughout,
// no decay. The moments have the matrix's own size, out × in twice a site. The published code counts its bias correction
// one step further than the paper and rounds what enters the second moment to bfloat16 from the second step on; both are
// options, off.

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<TrainingRule>> makeLoraProRule(const MethodSettings& settings);

}  // namespace rankscope
