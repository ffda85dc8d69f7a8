#pragma once
// The product's operators as typed calls. Each one is registered as rankscope::<name> with an autograd formula, a CPU
// and a CUDA implementation, and has a plain ATen composite of the same name in kernels/reference/reference.h, which
// tests hold both against. Callers never ask which device a tensor is on.
//
// Activations are [T, features] in the compute dtype (float32 or bfloat16); arithmetic and reductions are in float32.
// Dropout masks are functions of (seed, place, element) and are drawn again in backward instead of being kept.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace rankscope::kernels {

// One number for the masks of one micro-batch; `place` then tells the dropout layers of a pass apart.
uint64_t dropoutSeed(uint64_t seed, int64_t step, int64_t microBatch);
// x · mask / (1 - p).
at::Tensor dropout(const at::Tensor& x, double p, uint64_t seed, uint64_t place);

// x / rms(x) · weight. The weight is float32 or x's dtype.
at::Tensor rmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps);
// sum = x + residual; first = rmsNorm(sum), second = sum.
std::pair<at::Tensor, at::Tensor> addRmsNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                                             double eps);
// layerNorm(dropout(x) + residual). `residual` may be undefined.
at::Tensor addLayerNorm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                        const at::Tensor& bias, double eps, double dropoutP = 0, uint64_t seed = 0, uint64_t place = 0);

// silu(gate) · up of the two halves of gateUp [T, 2 · I] -> [T, I].
at::Tensor swiglu(const at::Tensor& gateUp);
// Exact (erf) GELU.
at::Tensor gelu(const at::Tensor& x);

struct AttentionSpec {
  int64_t heads = 1;
  int64_t kvHeads = 1;  // heads is a multiple of it
  int64_t headDim = 1;
  bool causal = false;
  double scale = 1;  // of the scores: 1 / sqrt(headDim) unless the model says otherwise
  double dropoutP = 0;
  uint64_t seed = 0, place = 0;
  int64_t window = 0;  // a causal query sees this many keys, its own the last of them; 0: all before it
};
// Attention within each sequence of a packed batch. qkv [T, (heads + 2 · kvHeads) · headDim] holds the three side by
// side; starts are the S + 1 sequence boundaries; cos and sin [T, headDim / 2] float32 rotate queries and keys (halves
// convention) or are undefined. -> [T, heads · headDim].
at::Tensor packedAttention(const at::Tensor& qkv, const std::vector<int64_t>& starts, const at::Tensor& cos,
                           const at::Tensor& sin, const AttentionSpec& spec);

// x Wᵀ + bias, also for a weight that trains (then in float32 or x's dtype; its gradient has its dtype).
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

// x Wᵀ + bias + scaling · (dropout(x) Aᵀ) Bᵀ. W [out, in] frozen, in x's dtype; A [r, in], B [out, r] float32, their
// gradients float32. `bias` may be undefined; a bias that trains gets its gradient.
at::Tensor loraLinear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& a,
                      const at::Tensor& b, double scaling, double dropoutP, uint64_t seed, uint64_t place);

// Several such maps of one input without dropout: weight [sum of outs, in] holds them one below the other. a[i], b[i]
// are undefined where map i has no adapter. -> [T, sum of outs].
at::Tensor loraLinearGroup(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const std::vector<int64_t>& outs, const std::vector<at::Tensor>& a,
                           const std::vector<at::Tensor>& b, const std::vector<double>& scalings);

// Σ over rows with label >= 0 of the cross-entropy of hidden Wᵀ, divided by `normaliser` (<= 0: the number of such
// rows). hidden [N, in], weight [V, in], labels [N] int64. Logits exist only in blocks. A float32 scalar.
at::Tensor linearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& labels,
                              double normaliser);
// The same from logits [N, C].
at::Tensor crossEntropy(const at::Tensor& logits, const at::Tensor& labels, double normaliser);

// Whether this CPU multiplies bfloat16 in hardware, so that bfloat16 compute pays.
bool cpuHasBf16();
// Loads the CUDA half (librankscope_cuda.so beside the executable or in ../lib) where a GPU and LibTorch's CUDA
// libraries are present; false otherwise. Safe to call again.
bool loadCudaIfPresent();

}  // namespace rankscope::kernels
