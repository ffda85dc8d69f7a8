#pragma once
// Bottleneck adapters behind the sub-layers of a block (METHODS 16): f(z) = Up(act(Down(z))) with biases.
//   Houlsby et al. 2019:  h + f(h)               behind attention and feed-forward
//   Pfeiffer et al. 2021: h + f(LN(x + h))       behind the feed-forward; the block's own norm, none in pre-norm models
//   He et al. 2022 (parallel): h + λ f(x)        beside the feed-forward
// h is the sub-layer's output after dropout, x the residual that it joins; the norm of the sum follows as in the base
// model. Names are those of the adapters library.

#include "core/methods/inserted.h"

namespace rankscope {

Result<std::unique_ptr<InsertedModules>> makeBottleneck(const Model& model, const MethodSettings& settings);
Result<InsertedCost> bottleneckCost(const MethodSettings& settings, const ModelOutline& outline, int64_t layer);

}  // namespace rankscope
