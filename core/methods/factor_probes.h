#pragma once
// Measures of the update for all sites in one call: ‖A‖_F, ‖B‖_F, the balance gap ‖A Aᵀ − BᵀB‖_F, and the relative
// update ‖ΔW‖_F/‖W0‖_F. For low-rank methods everything follows from the r×r Gram matrices, so B A is never formed: ‖s
// B A‖_F² = s² ⟨A Aᵀ, BᵀB⟩; for DoRA also from W Aᵀ. For full fine-tuning ‖W − W0‖ is read in one pass over both weights. ‖W0‖ is measured once,
// at construction. Sums run in float64 in an order that does not depend on the number of threads. Training thread; the
// object must not outlive the method and the model.

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/methods/method.h"

namespace rankscope {

// One value a site, in the order of Method::changedSites(). The first three are empty without factors.
struct FactorStats {
  std::vector<double> normA, normB, balanceGap, relativeUpdate;
};

class FactorProbes {
 public:
  explicit FactorProbes(const Method& method);
  FactorStats measure() const;

 private:
  at::Tensor originalOf(const LinearSite& site) const;  // W0

  const Method& m_method;
  std::vector<const LinearSite*> m_sites;
  std::vector<double> m_originalNorm;
};

// ‖t‖_F in float64, and ‖a − b‖_F for two tensors of one shape and any floating dtypes, without copies of their size.
double frobeniusNorm(const at::Tensor& t);
double frobeniusDistance(const at::Tensor& a, const at::Tensor& b);

// Median and the 10 % and 90 % quantiles (linear between neighbours) of the finite values; NaN when there are none.
struct Band {
  double median, low, high;
};
Band bandOf(std::vector<double> values);

}  // namespace rankscope
