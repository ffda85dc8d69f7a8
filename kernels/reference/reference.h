#pragma once
// Plain ATen composites of every operator: clear before fast, differentiable by ATen's own autograd. Tests hold the
// fused implementations against these; nothing in training calls them.

#include "kernels/ops.h"

namespace rankscope::kernels::reference {

at::Tensor dropoutMask(at::IntArrayRef sizes, double p, uint64_t seed, uint64_t place);  // 0 or 1 / (1 - p), float32
// Factors of attention's probabilities, [heads, length, length] float32, of the sequence that starts at a token.
at::Tensor attentionDropout(const AttentionSpec& spec, int64_t start, int64_t length);
at::Tensor dropout(const at::Tensor& x, double p, uint64_t seed, uint64_t place);
at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps);
std::pair<at::Tensor, at::Tensor> addRmsNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                                             double eps);
at::Tensor addLayerNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                        const at::Tensor& bias, double eps, double dropoutP = 0, uint64_t seed = 0, uint64_t place = 0);
at::Tensor swiglu(const at::Tensor& gateUp);
at::Tensor gelu(const at::Tensor& x);
at::Tensor packedAttention(const at::Tensor& qkv, const std::vector<int64_t>& starts, const at::Tensor& cos,
                           const at::Tensor& sin, const AttentionSpec& spec);
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
at::Tensor loraLinear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& a,
                      const at::Tensor& b, double scaling, double dropoutP, uint64_t seed, uint64_t place);
at::Tensor loraLinearGroup(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const std::vector<int64_t>& outs, const std::vector<at::Tensor>& a,
                           const std::vector<at::Tensor>& b, const std::vector<double>& scalings);
at::Tensor linearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
                              double normaliser);
at::Tensor crossEntropy(const at::Tensor& logits, const at::Tensor& labels, double normaliser);

}  // namespace rankscope::kernels::reference
