#include "core/spectrum/principal_angles.h"

#include <algorithm>
#include <cmath>

namespace rankscope {

UpdateBasis updateBasis(const MatrixChange& change, int64_t most) {
  if (change.lowRank() && !change.magnitude.defined()) {
    const LowRankSvd svd = lowRankSvd(change.B, change.A, change.scaling).truncated(most);
    return {svd.left, svd.right};
  }
  const at::Tensor delta = change.matrixAfter() - change.before.to(at::kDouble);
  const at::Tensor none = at::empty({0}, at::kDouble);
  const LeadingTriplets found = leadingTriplets(delta, none.view({delta.size(0), 0}), none.view({delta.size(1), 0}), most);
  const double top = found.sigma.numel() > 0 ? found.sigma.max().item<double>() : 0;
  const int64_t kept = top > 0 ? (found.sigma > top * 1e-13).sum().item<int64_t>() : 0;
  return {found.left.t().narrow(1, 0, kept), found.right.t().narrow(1, 0, kept)};
}

std::vector<double> principalAngles(const at::Tensor& X, const at::Tensor& Y) {
  if (X.size(1) < Y.size(1)) return principalAngles(Y, X);
  if (Y.size(1) == 0) return {};
  const at::Tensor inner = X.t().matmul(Y);
  const at::Tensor cosines = at::linalg_svdvals(inner);                     // falling: angles rise
  const at::Tensor sines = at::linalg_svdvals(Y - X.matmul(inner)).flip(0);  // rising
  std::vector<double> angles;
  for (int64_t i = 0; i < Y.size(1); ++i) {
    // The cosine says little of a small angle, the sine little of a right one.
    const double cosine = cosines[i].item<double>(), sine = sines[i].item<double>();
    angles.push_back(cosine * cosine < 0.5 ? std::acos(cosine) : std::asin(std::min(1.0, sine)));
  }
  return angles;
}

double overlap(const std::vector<double>& angles) {
  double sum = 0;
  for (const double angle : angles) sum += std::cos(angle) * std::cos(angle);
  return angles.empty() ? 0 : sum / static_cast<double>(angles.size());
}

}  // namespace rankscope
