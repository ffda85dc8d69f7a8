// Products, attention and the loss on a GPU: the plain ATen forms, which run on its matrix libraries. Registered in the
// program itself, because they need nothing of CUDA at build time.

#include "kernels/generic/generic.h"

#include <torch/library.h>

namespace rankscope::kernels::generic {

namespace {

using op::OptionalTensor;

std::tuple<at::Tensor, at::Tensor> attentionOp(const at::Tensor& qkv, at::IntArrayRef starts, const OptionalTensor& cos,
                                               const OptionalTensor& sin, int64_t heads, int64_t kvHeads,
                                               int64_t headDim, bool causal, double scale, double p, int64_t seed,
                                               int64_t place, int64_t window) {
  return attention(qkv, starts, cos, sin, {heads, kvHeads, headDim, causal, scale, {p, seed, place}, window});
}

at::Tensor attentionBackwardOp(const at::Tensor& gradOut, const at::Tensor& qkv, const at::Tensor& out,
                               const at::Tensor& logSums, at::IntArrayRef starts, const OptionalTensor& cos,
                               const OptionalTensor& sin, int64_t heads, int64_t kvHeads, int64_t headDim, bool causal,
                               double scale, double p, int64_t seed, int64_t place, int64_t window) {
  return attentionBackward(gradOut, qkv, out, logSums, starts, cos, sin,
                           {heads, kvHeads, headDim, causal, scale, {p, seed, place}, window});
}

std::tuple<at::Tensor, at::Tensor> lowRankLinearOp(const at::Tensor& x, const at::Tensor& weight,
                                                   const OptionalTensor& bias, at::TensorList a, at::TensorList b,
                                                   at::IntArrayRef rows, at::ArrayRef<double> scalings, double p,
                                                   int64_t seed, int64_t place) {
  return lowRankLinear(x, weight, bias, {a, b, rows, scalings, {p, seed, place}});
}

std::tuple<at::Tensor, at::Tensor, std::vector<at::Tensor>> lowRankLinearBackwardOp(
    const at::Tensor& gradY, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& u, at::TensorList a,
    at::TensorList b, at::IntArrayRef rows, at::ArrayRef<double> scalings, double p, int64_t seed, int64_t place,
    bool needX) {
  return lowRankLinearBackward(gradY, x, weight, u, {a, b, rows, scalings, {p, seed, place}}, needX);
}

std::tuple<at::Tensor, at::Tensor> fourBitLinearOp(const at::Tensor& x, at::TensorList parts, at::IntArrayRef shape,
                                                   const OptionalTensor& bias, at::TensorList a, at::TensorList b,
                                                   at::IntArrayRef rows, at::ArrayRef<double> scalings, double p,
                                                   int64_t seed, int64_t place) {
  const auto weight = op::dequantised(op::fourBitOfParts(parts, shape), x.scalar_type());
  return lowRankLinear(x, weight, bias, {a, b, rows, scalings, {p, seed, place}});
}

std::tuple<at::Tensor, at::Tensor, std::vector<at::Tensor>> fourBitLinearBackwardOp(
    const at::Tensor& gradY, const at::Tensor& x, at::TensorList parts, at::IntArrayRef shape, const at::Tensor& u,
    at::TensorList a, at::TensorList b, at::IntArrayRef rows, at::ArrayRef<double> scalings, double p, int64_t seed,
    int64_t place, bool needX) {
  const auto weight = op::dequantised(op::fourBitOfParts(parts, shape), gradY.scalar_type());
  return lowRankLinearBackward(gradY, x, weight, u, {a, b, rows, scalings, {p, seed, place}}, needX);
}

}  // namespace

void registerForCuda(torch::Library& m) {
  m.impl("attention", attentionOp);
  m.impl("attention_backward", attentionBackwardOp);
  m.impl("low_rank_linear", lowRankLinearOp);
  m.impl("low_rank_linear_backward", lowRankLinearBackwardOp);
  m.impl("four_bit_linear", fourBitLinearOp);
  m.impl("four_bit_linear_backward", fourBitLinearBackwardOp);
  m.impl("weight_gradient", weightGradient);
  m.impl("linear_cross_entropy", linearCrossEntropy);
}

}  // namespace rankscope::kernels::generic
