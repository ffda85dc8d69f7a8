#pragma once
// Gradient checkpointing: a block keeps only its inputs and computes itself again in backward. The block must be a pure
// function of its inputs and of tensors that do not change before backward (dropout is counter-based, so it is).

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace rankscope {

using BlockFunction = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

// Inputs may be undefined tensors, outputs not; all are of floating point.
std::vector<at::Tensor> checkpointed(const BlockFunction& block, const std::vector<at::Tensor>& inputs);

}  // namespace rankscope
