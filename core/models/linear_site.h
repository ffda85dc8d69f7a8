#pragma once
// A linear map of a model to which a method can attach an adapter: y = x Wᵀ + bias, W [out, in]. Convolutions and lookups
// are such maps as well: of patches [in = channels · k · k], and of one-hot tokens [in = vocabulary]. Methods see the matrix
// alone; how it acts on its input and how the checkpoint lays it out is told here.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/four_bit_ops.h"

namespace rankscope {

class LinearSite;

enum class SiteOperation { Linear, Convolution, Embedding };
const char* operationName(SiteOperation operation);  // "linear", …

// A square kernel without groups or dilation, as residual networks have them.
struct ConvolutionShape {
  int64_t channels = 0, kernel = 1, stride = 1, padding = 0;
};

// What a family tells of a site without building a model (headers only), for pickers and estimates.
struct SiteShape {
  std::string name;  // module path as in the checkpoint: "model.layers.0.self_attn.q_proj"
  std::string kind;  // what it is called in every layer: "q_proj"
  int64_t layer = -1;  // index of the block, -1 outside the blocks
  int64_t inFeatures = 0, outFeatures = 0;  // of the matrix
  bool hasBias = false;
  // The parameter of that name is [in, out] (GPT-2's Conv1D, PEFT's fan_in_fan_out), a transposed view of the matrix's
  // memory. Whoever replaces the parameter goes through Model::replaceSiteWeight.
  bool transposed = false;
  SiteOperation operation = SiteOperation::Linear;
  ConvolutionShape convolution{};  // of a convolution

  // [out, in], [in, out] where transposed; [out, channels, k, k]; [vocabulary, width].
  std::vector<int64_t> parameterShape() const;
  // A parameter's values as a matrix [out, in], and back. Views where the layouts allow it.
  at::Tensor matrixOf(const at::Tensor& parameter) const;
  at::Tensor parameterOf(const at::Tensor& matrix) const;
};

SiteShape convolutionSite(std::string name, std::string kind, int64_t layer, int64_t outChannels,
                          const ConvolutionShape& shape);
SiteShape embeddingSite(std::string name, int64_t vocabulary, int64_t width);

// The tensors of a plain low-rank adapter: site output = base + scaling · (dropout(x) Aᵀ) Bᵀ.
struct LowRankTerm {
  at::Tensor a;  // [r, in], float32
  at::Tensor b;  // [out, r], float32
  double scaling = 1;
  double dropout = 0;
};

// What an adapter does to the site's output behind the low-rank form: (y − bias) · magnitude / norm + bias by columns.
struct ColumnScale {
  at::Tensor magnitude, norm;  // [out], the site's parameter and what it divides by
};

// What one pass through the model needs to know beside its input. One object per forward pass.
struct ForwardContext {
  bool training = false;     // dropout acts, activations are kept for backward
  uint64_t dropoutSeed = 0;  // counter-based masks: a function of (seed, step, micro-batch, place), never of hidden state
  int64_t step = 0;          // optimizer step, from 0
  int64_t microBatch = 0;    // accumulation index within the step
  uint64_t nextPlace = 0;    // running number of dropout places within this pass, so that masks differ between places
};

// The part of a site that a method owns. forward() computes the whole output of the site, so that a method may fuse its
// work with the frozen product.
class SiteAdapter {
 public:
  virtual ~SiteAdapter() = default;
  // As LinearSite::forward.
  virtual at::Tensor forward(const LinearSite& site, const at::Tensor& x, ForwardContext& context) const = 0;
  // ΔW [out, in] in float32 that merging would add; undefined when the method does not merge into the weight.
  virtual at::Tensor deltaWeight() const = 0;
  // Set by an adapter whose forward() is exactly the plain low-rank form on an untouched base weight, rescaled by
  // columnScale() where there is one. Sites that read the same input (query, key, value; gate, up) are then computed in
  // one product.
  virtual std::optional<LowRankTerm> lowRankTerm() const { return std::nullopt; }
  // Of such an adapter whose columns are rescaled behind it; absent: they are not.
  virtual std::optional<ColumnScale> columnScale() const { return std::nullopt; }
};

class LinearSite : public SiteShape {
 public:
  // References into the model's parameter table (the tensors share storage with it). [out, in] and [out] or undefined.
  at::Tensor weight;
  at::Tensor bias;
  // Set in place of `weight` where the frozen weight is kept in 4 bits (Model::codeSite); it is then no parameter.
  kernels::FourBitWeight coded;
  std::shared_ptr<SiteAdapter> adapter;  // null: the plain map
  int64_t paddingRow = -1;               // of an embedding: the token whose row gets no gradient

  // Through the adapter when there is one. Linear: x [T, in] in the compute dtype -> [T, out]. Convolution: images
  // [N, channels, height, width] -> [N, out, …]. Embedding: token ids [T] -> [T, out].
  at::Tensor forward(const at::Tensor& x, ForwardContext& context) const;
  // Without the adapter; casts a weight that trains in float32 to x's dtype (tracked by autograd).
  at::Tensor baseForward(const at::Tensor& x) const;
  // The site's operation on x by another matrix [n, in] (of an adapter), without a bias, and then n columns or channels
  // to the site's own by b [out, n].
  at::Tensor through(const at::Tensor& x, const at::Tensor& matrix) const;
  at::Tensor spread(const at::Tensor& x, const at::Tensor& b) const;
  // Adds to `sum` [out, in] the gradient of the weight, from baseForward()'s input and the gradient of its result.
  void addWeightGradient(at::Tensor& sum, const at::Tensor& x, const at::Tensor& gradient) const;
  // The weight as a matrix [out, in], detached: `weight` as it is, or the values in float32 that its 4 bits stand for.
  at::Tensor denseWeight() const;
};

}  // namespace rankscope
