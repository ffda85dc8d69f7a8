#pragma once
// AdamW with decoupled decay, the update of torch.optim.AdamW (METHODS 0):
//   p ← p(1 − lr·wd); m ← β1 m + (1−β1) g; v ← β2 v + (1−β2) g²; p ← p − lr · (m/(1−β1ᵗ)) / (√(v/(1−β2ᵗ)) + eps)
// Each parameter is updated in one fused pass over p, g, m and v. One thread at a time (the training thread).

#include <memory>
#include <vector>

#include "core/optim/optimizer.h"
#include "core/optim/state_memory.h"

namespace rankscope {

std::unique_ptr<Optimizer> makeAdamW(std::vector<OptimizedParameter> parameters, const OptimizerSettings& settings,
                                     StateMemory memory);

}  // namespace rankscope
