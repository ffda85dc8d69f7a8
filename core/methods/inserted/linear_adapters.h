#pragma once
// The adapters of LLM-Adapters (Hu et al. 2023; METHODS 16) at linear maps: f(z) = Up(tanh(Down(z))) without biases.
//   Series: a map that widens reads z + f(z); behind every other map, y + f(y).
//   Parallel: y + f(z), f: in → out.

#include "core/methods/inserted.h"

namespace rankscope {

Result<std::unique_ptr<InsertedModules>> makeLinearAdapters(const Model& model, const MethodSettings& settings);
Result<InsertedCost> linearAdapterCost(const MethodSettings& settings, const ModelOutline& outline, int64_t layer);

}  // namespace rankscope
