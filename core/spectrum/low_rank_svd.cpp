#include "core/spectrum/low_rank_svd.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace rankscope {

LowRankSvd LowRankSvd::truncated(int64_t most) const {
  const int64_t kept = std::min(most, rank());
  return {left.narrow(1, 0, kept), sigma.narrow(0, 0, kept), right.narrow(1, 0, kept)};
}

LowRankSvd lowRankSvd(const at::Tensor& B, const at::Tensor& A, double scaling) {
  const at::Tensor a = A.to(at::kDouble), b = B.to(at::kDouble) * scaling;
  const auto [qb, rb] = at::linalg_qr(b);
  const auto [qa, ra] = at::linalg_qr(a.t());
  const auto [X, sigma, Yh] = at::linalg_svd(rb.matmul(ra.t()), false);
  const double top = sigma.numel() > 0 ? sigma.max().item<double>() : 0;
  const double nothing = std::max(top * 1e-13, 1e-14 * a.norm().item<double>() * b.norm().item<double>());
  const LowRankSvd whole{qb.matmul(X), sigma, qa.matmul(Yh.t())};
  return whole.truncated((sigma > nothing).sum().item<int64_t>());
}

}  // namespace rankscope
