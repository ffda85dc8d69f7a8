#pragma once
// Implementations in plain ATen calls below autograd, with hand-written backward: used on every device for what has no
// kernel of its own there (float32 on the CPU, products on a GPU, CPUs without bfloat16 instructions).

#include "kernels/registered.h"

namespace rankscope::kernels::generic {

std::tuple<at::Tensor, at::Tensor> attention(const at::Tensor& qkv, at::IntArrayRef starts,
                                             const op::OptionalTensor& cos, const op::OptionalTensor& sin,
                                             const op::AttentionArgs& args);
at::Tensor attentionBackward(const at::Tensor& gradOut, const at::Tensor& qkv, const at::Tensor& out,
                             const at::Tensor& logSums, at::IntArrayRef starts, const op::OptionalTensor& cos,
                             const op::OptionalTensor& sin, const op::AttentionArgs& args);
std::tuple<at::Tensor, at::Tensor> lowRankLinear(const at::Tensor& x, const at::Tensor& weight,
                                                 const op::OptionalTensor& bias, const op::LowRankArgs& args);
// Adds the low-rank terms to y, the product without them; gives u, all A x side by side.
at::Tensor addLowRank(at::Tensor& y, const at::Tensor& x, const op::LowRankArgs& args);
std::tuple<at::Tensor, at::Tensor, std::vector<at::Tensor>> lowRankLinearBackward(
    const at::Tensor& gradY, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& u,
    const op::LowRankArgs& args, bool needX);
at::Tensor weightGradient(const at::Tensor& gradY, const at::Tensor& x);
std::tuple<at::Tensor, at::Tensor, at::Tensor> linearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight,
                                                                  const at::Tensor& labels, double factor,
                                                                  bool hiddenGrad, bool weightGrad);

}  // namespace rankscope::kernels::generic
