#pragma once
// The adapter of one site: y = x Wᵀ + bias + s · (dropout(x) Aᵀ) Bᵀ (METHODS 0, 2). Owned by its site; the tensors are
// shared with the method that trains them.

#include <ATen/core/Tensor.h>

#include "core/models/linear_site.h"

namespace rankscope {

// x Wᵀ + bias + scaling · (dropout(x) Aᵀ) Bᵀ at a site with a frozen weight; dropout acts in training only, and on no
// lookup. At a convolution A is one of the same geometry to r channels and B a 1×1 one (METHODS 21).
at::Tensor lowRankForward(const LinearSite& site, const at::Tensor& x, const LowRankTerm& term, ForwardContext& context);

class LoraAdapter final : public SiteAdapter {
 public:
  explicit LoraAdapter(LowRankTerm term);

  at::Tensor forward(const LinearSite& site, const at::Tensor& x, ForwardContext& context) const override;
  at::Tensor deltaWeight() const override;
  std::optional<LowRankTerm> lowRankTerm() const override;

 private:
  LowRankTerm m_term;
};

}  // namespace rankscope
