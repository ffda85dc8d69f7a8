#pragma once
// Stochastic gradient descent as torch.optim.SGD: g ← g + wd·p; b ← momentum·b + g; p ← p − lr·b. Without momentum no
// buffer is kept. One thread at a time (the training thread).

#include <memory>
#include <vector>

#include "core/optim/optimizer.h"
#include "core/optim/state_memory.h"

namespace rankscope {

std::unique_ptr<Optimizer> makeSgd(std::vector<OptimizedParameter> parameters, const OptimizerSettings& settings,
                                   StateMemory memory);

}  // namespace rankscope
