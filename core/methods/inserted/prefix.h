#pragma once
// Prefix tuning (Li and Liang 2021; METHODS 17): n rows in front of every layer's keys and values. One table
// [n, 2 · layers · kvHeads · headDim], read as (layer, key | value, head), as PEFT keeps it; or, with a projection, the
// output of Embedding[n, d] → Linear → tanh → Linear, d the width of a layer's keys, of which only the result is saved. Prefix keys are not rotated;
// real tokens take positions n, n + 1, …

#include "core/methods/inserted.h"

namespace rankscope {

Result<std::unique_ptr<InsertedModules>> makePrefix(const Model& model, const MethodSettings& settings);
Result<InsertedCost> prefixCost(const MethodSettings& settings, const ModelOutline& outline, int64_t layer);

}  // namespace rankscope
