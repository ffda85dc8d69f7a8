#include "kernels/ops.h"

#include "kernels/philox.h"
#include "kernels/reference/reference.h"

namespace rankscope::kernels {

uint64_t dropoutSeed(uint64_t seed, int64_t step, int64_t microBatch) {
  // The generator itself mixes: a step and micro-batch are a counter under the run's seed.
  const auto mixed = philox(seed, static_cast<uint64_t>(microBatch), static_cast<uint64_t>(step));
  return (static_cast<uint64_t>(mixed.v[1]) << 32) | mixed.v[0];
}

at::Tensor dropout(const at::Tensor& x, double p, uint64_t seed, uint64_t place) {
  return reference::dropout(x, p, seed, place);
}
at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  return reference::rmsNorm(x, weight, eps);
}
std::pair<at::Tensor, at::Tensor> addRmsNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                                             double eps) {
  return reference::addRmsNorm(x, residual, weight, eps);
}
at::Tensor addLayerNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                        const at::Tensor& bias, double eps, double dropoutP, uint64_t seed, uint64_t place) {
  return reference::addLayerNorm(x, residual, weight, bias, eps, dropoutP, seed, place);
}
at::Tensor swiglu(const at::Tensor& gateUp) { return reference::swiglu(gateUp); }
at::Tensor gelu(const at::Tensor& x) { return at::gelu(x); }
at::Tensor packedAttention(const at::Tensor& qkv, const std::vector<int64_t>& starts, const at::Tensor& cos,
                           const at::Tensor& sin, const AttentionSpec& spec) {
  return reference::packedAttention(qkv, starts, cos, sin, spec);
}
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return reference::linear(x, weight, bias);
}
at::Tensor loraLinear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& a,
                      const at::Tensor& b, double scaling, double dropoutP, uint64_t seed, uint64_t place) {
  return reference::loraLinear(x, weight, bias, a, b, scaling, dropoutP, seed, place);
}
at::Tensor loraLinearGroup(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const std::vector<int64_t>& outs, const std::vector<at::Tensor>& a,
                           const std::vector<at::Tensor>& b, const std::vector<double>& scalings) {
  return reference::loraLinearGroup(x, weight, bias, outs, a, b, scalings);
}
at::Tensor linearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
                              double normaliser) {
  return reference::linearCrossEntropy(hidden, weight, labels, normaliser);
}
at::Tensor crossEntropy(const at::Tensor& logits, const at::Tensor& labels, double normaliser) {
  return reference::crossEntropy(logits, labels, normaliser);
}
bool cpuHasBf16() {
  return __builtin_cpu_supports("avx512bf16") != 0;
}
bool loadCudaIfPresent() { return false; }

}  // namespace rankscope::kernels
