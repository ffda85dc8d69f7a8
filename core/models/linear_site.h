#pragma once
// A linear map of a model to which a method can attach an adapter: y = x Wᵀ + bias, W [out, in].

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "kernels/four_bit_ops.h"

namespace rankscope {

class LinearSite;

// What a family tells of a site without building a model (headers only), for pickers and estimates.
struct SiteShape {
  std::string name;  // "model.layers.0.self_attn.q_proj"
  std::string kind;  // "q_proj"
  int64_t layer = -1, inFeatures = 0, outFeatures = 0;
  bool hasBias = false;
  bool transposed = false;  // the checkpoint keeps the weight as [in, out]
};

// The tensors of a plain low-rank adapter: site output = base + scaling · (dropout(x) Aᵀ) Bᵀ.
struct LowRankTerm {
  at::Tensor a;  // [r, in], float32
  at::Tensor b;  // [out, r], float32
  double scaling = 1;
  double dropout = 0;
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
  // x [T, in] in the compute dtype -> [T, out].
  virtual at::Tensor forward(const LinearSite& site, const at::Tensor& x, ForwardContext& context) const = 0;
  // ΔW [out, in] in float32 that merging would add; undefined when the method does not merge into the weight.
  virtual at::Tensor deltaWeight() const = 0;
  // Set by an adapter whose forward() is exactly the plain low-rank form on an untouched base weight. Sites that read
  // the same input (query, key, value; gate, up) are then computed in one product.
  virtual std::optional<LowRankTerm> lowRankTerm() const { return std::nullopt; }
};

class LinearSite {
 public:
  std::string name;  // module path as in the checkpoint: "model.layers.0.self_attn.q_proj"
  int64_t inFeatures = 0;
  int64_t outFeatures = 0;
  int64_t layer = -1;  // index of the block, -1 outside the blocks
  std::string kind;    // last component of the name: "q_proj"
  // The parameter of that name is [in, out] (GPT-2's Conv1D, PEFT's fan_in_fan_out), a transposed view of this weight's
  // memory. Whoever replaces the parameter goes through Model::replaceSiteWeight.
  bool transposed = false;
  // References into the model's parameter table (the tensors share storage with it). [out, in] and [out] or undefined.
  at::Tensor weight;
  at::Tensor bias;
  // Set in place of `weight` where the frozen weight is kept in 4 bits (Model::codeSite); it is then no parameter.
  kernels::FourBitWeight coded;
  std::shared_ptr<SiteAdapter> adapter;  // null: the plain linear

  // x [T, in] -> [T, out], through the adapter when there is one.
  at::Tensor forward(const at::Tensor& x, ForwardContext& context) const;
  // x Wᵀ + bias alone; casts a weight that trains in float32 to x's dtype (tracked by autograd).
  at::Tensor baseForward(const at::Tensor& x) const;
  // The weight as a matrix [out, in], detached: `weight` as it is, or the values in float32 that its 4 bits stand for.
  at::Tensor denseWeight() const;
};

}  // namespace rankscope
