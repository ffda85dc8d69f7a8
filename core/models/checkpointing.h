#pragma once
// Gradient checkpointing: a block keeps only its inputs and computes itself again in backward. The block must be a pure
// function of its inputs and of tensors that do not change before backward (dropout is counter-based, so it is).

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "core/models/linear_site.h"

namespace rankscope {

using BlockFunction = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

// Inputs may be undefined tensors, outputs not; all are of floating point.
std::vector<at::Tensor> checkpointed(const BlockFunction& block, const std::vector<at::Tensor>& inputs);

// Runs `count` blocks one after the other. `state` is what one block hands to the next; `shared` is read by every block
// and is given behind the state (what autograd must reach in a block has to come this way or be a parameter). Each block
// has its own range of dropout places, so that masks are the same with and without recomputation. `seen`, when given,
// gets the state after each block.
std::vector<at::Tensor> throughBlocks(
    size_t count, std::vector<at::Tensor> state, const std::vector<at::Tensor>& shared, bool recompute,
    ForwardContext& context,
    const std::function<std::vector<at::Tensor>(size_t, const std::vector<at::Tensor>&, ForwardContext&)>& block,
    const std::function<void(const std::vector<at::Tensor>&)>& seen = {});

}  // namespace rankscope
