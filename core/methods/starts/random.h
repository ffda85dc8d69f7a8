#pragma once
// Random starts, each a function of (seed, site) alone. kaiming (METHODS 2, PEFT's default): A uniform in ±1/√in, B = 0;
// the output at the start is the base model's bit for bit, and ∂ℓ/∂A = 0 there. gaussian: A ~ N(0, 1/r²), B = 0. redraw
// (METHODS 4, warm-up 0): A and B both Kaiming-uniform, and s B A is taken out of the weight. normal (METHODS 7): A and B
// ~ N(0, 0.02²), for the svd form, whose E = 0 keeps the function. kaiming and gaussian at an embedding: A = 0, B ~ N(0, 1).

#include "core/methods/low_rank_parts.h"

namespace rankscope {

Result<std::unique_ptr<LowRankStart>> makeKaimingStart(const MethodSettings& settings);
Result<std::unique_ptr<LowRankStart>> makeGaussianStart(const MethodSettings& settings);
Result<std::unique_ptr<LowRankStart>> makeRedrawStart(const MethodSettings& settings);
Result<std::unique_ptr<LowRankStart>> makeNormalStart(const MethodSettings& settings);

}  // namespace rankscope
