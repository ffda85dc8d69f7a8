#pragma once
// The SVD of a product B A of thin factors, through two QRs and one r × r SVD; B A is never formed. float64.

#include <ATen/core/Tensor.h>

namespace rankscope {

// ΔW = left diag(sigma) rightᵀ with left [out, k], sigma [k], falling, right [in, k], k ≤ r: what carries something.
// Directions below 1e-13 of the largest are left out, as well as what rounding leaves where the factors' halves cancel (a
// start that was taken out of W0).
struct LowRankSvd {
  at::Tensor left, sigma, right;
  int64_t rank() const { return sigma.size(0); }
  LowRankSvd truncated(int64_t most) const;
};

// B [out, r], A [r, in] of any floating dtype; ΔW = scaling · B A.
LowRankSvd lowRankSvd(const at::Tensor& B, const at::Tensor& A, double scaling = 1);

}  // namespace rankscope
