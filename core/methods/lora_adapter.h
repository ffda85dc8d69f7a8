#pragma once
// The adapter of one site: y = x Wᵀ + bias + s · (dropout(x) Aᵀ) Bᵀ (METHODS 0, 2). Owned by its site; the tensors are
// shared with the method that trains them.

#include <ATen/core/Tensor.h>

#include "core/models/linear_site.h"

namespace rankscope {

class LoraAdapter final : public SiteAdapter {
 public:
  LoraAdapter(at::Tensor a, at::Tensor b, double scaling, double dropout);

  at::Tensor forward(const LinearSite& site, const at::Tensor& x, ForwardContext& context) const override;
  at::Tensor deltaWeight() const override;
  std::optional<LowRankTerm> lowRankTerm() const override;

 private:
  at::Tensor m_a, m_b;
  double m_scaling, m_dropout;
};

}  // namespace rankscope
