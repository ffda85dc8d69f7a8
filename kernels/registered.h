#pragma once
// The registered operators below autograd, as dispatching calls: each goes to the implementation of its tensors' device.
// ops.h is what models use; this is what the autograd formulas are written with.

#include <ATen/core/Tensor.h>

#include <optional>
#include <tuple>
#include <vector>

#include "kernels/four_bit_ops.h"

namespace rankscope::kernels::op {

using OptionalTensor = std::optional<at::Tensor>;

struct MaskArgs {
  double p = 0;
  int64_t seed = 0, place = 0;
};

// -> y, sum (empty without a residual), rstd
std::tuple<at::Tensor, at::Tensor, at::Tensor> rmsNorm(const at::Tensor& x, const OptionalTensor& residual,
                                                       const at::Tensor& weight, double eps);
// -> gradient of sum, of weight (empty unless asked for)
std::tuple<at::Tensor, at::Tensor> rmsNormBackward(const at::Tensor& gradY, const OptionalTensor& gradSum,
                                                   const at::Tensor& sum, const at::Tensor& weight,
                                                   const at::Tensor& rstd, bool weightGrad);
// -> y, sum (empty when it is x), mean, rstd
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> layerNorm(const at::Tensor& x,
                                                                     const OptionalTensor& residual,
                                                                     const at::Tensor& weight, const at::Tensor& bias,
                                                                     double eps, const MaskArgs& mask);
// -> gradient of x, of the residual, of weight and bias (empty unless asked for)
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> layerNormBackward(
    const at::Tensor& gradY, const at::Tensor& sum, const at::Tensor& weight, const at::Tensor& mean,
    const at::Tensor& rstd, const MaskArgs& mask, bool weightGrad);
at::Tensor swiglu(const at::Tensor& gateUp);
at::Tensor swigluBackward(const at::Tensor& gradY, const at::Tensor& gateUp);
at::Tensor gelu(const at::Tensor& x);
at::Tensor geluBackward(const at::Tensor& gradY, const at::Tensor& x);
at::Tensor dropout(const at::Tensor& x, const MaskArgs& mask);

// ‖w + scaling · b a‖ of each row of a float32 or bfloat16 weight; a and b in float32 -> [out] float32
at::Tensor doraRowNorms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling);
// x + (x − shift) · excess by columns, shift and excess [columns] in float32
at::Tensor rescaleColumns(const at::Tensor& x, const OptionalTensor& shift, const at::Tensor& excess);
// -> gradient of x, Σ gradY · (x − shift), Σ gradY by columns, in float32
std::tuple<at::Tensor, at::Tensor, at::Tensor> rescaleColumnsBackward(const at::Tensor& gradY, const at::Tensor& x,
                                                                      const OptionalTensor& shift,
                                                                      const at::Tensor& excess);

struct AttentionArgs {
  int64_t heads = 1, kvHeads = 1, headDim = 1;
  bool causal = false;
  double scale = 1;
  MaskArgs mask;
  int64_t window = 0;
};
// -> out [T, heads · headDim], log-sums [heads, T] float32
std::tuple<at::Tensor, at::Tensor> attention(const at::Tensor& qkv, at::IntArrayRef starts, const OptionalTensor& cos,
                                             const OptionalTensor& sin, const AttentionArgs& args);
at::Tensor attentionBackward(const at::Tensor& gradOut, const at::Tensor& qkv, const at::Tensor& out,
                             const at::Tensor& logSums, at::IntArrayRef starts, const OptionalTensor& cos,
                             const OptionalTensor& sin, const AttentionArgs& args);

// Low-rank pairs of a stack of linears: pair i belongs to rows rows[2i] … rows[2i + 1] of the weight.
struct LowRankArgs {
  at::TensorList a, b;
  at::IntArrayRef rows;
  at::ArrayRef<double> scalings;
  MaskArgs mask;  // dropout of the low-rank input
};
// A weight that does not train: a plain matrix in x's dtype, or matrices kept in 4 bits, one below the other.
struct FrozenWeight {
  at::Tensor plain;
  std::vector<FourBitWeight> coded;

  FrozenWeight(at::Tensor matrix) : plain(std::move(matrix)) {}  // NOLINT: a plain matrix is the usual case
  FrozenWeight(std::vector<FourBitWeight> weights) : coded(std::move(weights)) {}  // NOLINT
};
// Stacked 4-bit weights as an operator's arguments: their tensors, and for each {format, out, in, block, its tensors}.
std::vector<at::Tensor> fourBitParts(const std::vector<FourBitWeight>& weights);
std::vector<int64_t> fourBitShape(const std::vector<FourBitWeight>& weights);
std::vector<FourBitWeight> fourBitOfParts(at::TensorList parts, at::IntArrayRef shape);
// Their rows together, and all of them as one matrix [rows, in].
int64_t rowsOf(const std::vector<FourBitWeight>& weights);
at::Tensor dequantised(const std::vector<FourBitWeight>& weights, at::ScalarType type);

// -> y, u [T, Σ r] (the low-rank inputs' products x Aᵀ, kept for backward; empty without pairs)
std::tuple<at::Tensor, at::Tensor> lowRankLinear(const at::Tensor& x, const FrozenWeight& weight,
                                                 const OptionalTensor& bias, const LowRankArgs& args);
// -> gradient of x (empty unless asked for), of all A stacked [Σ r, in], of each B
std::tuple<at::Tensor, at::Tensor, std::vector<at::Tensor>> lowRankLinearBackward(
    const at::Tensor& gradY, const at::Tensor& x, const FrozenWeight& weight, const at::Tensor& u,
    const LowRankArgs& args, bool needX);
// gradYᵀ x in float32.
at::Tensor weightGradient(const at::Tensor& gradY, const at::Tensor& x);

// -> loss, gradient of hidden, of weight (empty unless asked for); rows with a negative label do not count.
std::tuple<at::Tensor, at::Tensor, at::Tensor> linearCrossEntropy(const at::Tensor& hidden, const at::Tensor& weight,
                                                                  const at::Tensor& labels, double factor,
                                                                  bool hiddenGrad, bool weightGrad);

}  // namespace rankscope::kernels::op
