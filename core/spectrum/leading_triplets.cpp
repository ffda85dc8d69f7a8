#include "core/spectrum/leading_triplets.h"

#include <algorithm>
#include <cmath>

namespace rankscope {
namespace {

// Poles d_i² nearest to λ that are kept as rows of the counting matrix.
constexpr int64_t kBorder = 4;
constexpr int kBisections = 62;  // halves a bracket of any width to the last bit of a double

// The inertia problem for a batch of values λ. With S(λ) = diag(d² − λ) and the border set b of nearest poles,
//   H(λ) = [ S_b        F_b                                  ]
//          [ F_bᵀ   −C⁻¹ − Σ_{i∉b} f_i f_iᵀ / (d_i² − λ)     ]
// and  #{eigenvalues of MᵀM < λ} = #{i ∉ b : d_i² < λ} + neg(H) − neg(−C⁻¹).
class Slicer {
 public:
  Slicer(const at::Tensor& diagonal, int64_t columns, const at::Tensor& P, const at::Tensor& Q) {
    r = P.size(1);
    n = columns;
    d = at::zeros({n}, at::kDouble);
    d.narrow(0, 0, diagonal.size(0)).copy_(diagonal);
    at::Tensor DP = at::zeros({n, r}, at::kDouble);  // Dᵀ P
    DP.narrow(0, 0, diagonal.size(0)).copy_(P.narrow(0, 0, diagonal.size(0)) * diagonal.unsqueeze(1));
    F = at::cat({DP, Q}, 1).contiguous();
    const at::Tensor eye = at::eye(r, at::kDouble);
    negCInverse = at::cat({at::cat({P.t().matmul(P), -eye}, 1), at::cat({-eye, at::zeros({r, r}, at::kDouble)}, 1)}, 0);
    outer = (F.unsqueeze(2) * F.unsqueeze(1)).reshape({n, 4 * r * r});
    border = std::min<int64_t>(kBorder, n);
  }

  // d_i² − λ for each λ = sigma². (d − σ)(d + σ) keeps its relative accuracy where the two are close. Never zero: more
  // equal poles than the border holds may coincide with λ, and then the residual decides.
  at::Tensor gaps(const at::Tensor& sigma) const {
    const at::Tensor gap = (d.unsqueeze(0) - sigma.unsqueeze(1)) * (d.unsqueeze(0) + sigma.unsqueeze(1));
    const at::Tensor tiny = (sigma * sigma * 1e-28).clamp_min(1e-280).unsqueeze(1);
    return at::where(gap.abs() < tiny, tiny, gap);
  }

  // H [batch, border + 2r, border + 2r] at λ = sigma², and the border sets [batch, border].
  std::pair<at::Tensor, at::Tensor> assemble(const at::Tensor& sigma) const {
    const at::Tensor gap = gaps(sigma);
    const at::Tensor nearest = std::get<1>(gap.abs().topk(border, 1, /*largest=*/false));
    const at::Tensor weight = gap.reciprocal().scatter(1, nearest, 0.0);
    const at::Tensor K = weight.matmul(outer).reshape({-1, 2 * r, 2 * r});
    const at::Tensor borderRows = F.index({nearest});  // [batch, border, 2r]
    const at::Tensor borderGap = at::diag_embed(gap.gather(1, nearest));
    const at::Tensor H = at::cat({at::cat({borderGap, borderRows}, 2),
                                  at::cat({borderRows.transpose(1, 2), negCInverse.unsqueeze(0) - K}, 2)}, 1);
    return {H, nearest};
  }

  // Number of eigenvalues of MᵀM below sigma², for each sigma.
  at::Tensor countBelow(const at::Tensor& sigma) const {
    const auto [H, nearest] = assemble(sigma);
    const at::Tensor below = (d.unsqueeze(0) < sigma.unsqueeze(1)).to(at::kLong);
    const at::Tensor outside = below.sum(1) - below.gather(1, nearest).sum(1);
    const at::Tensor negatives = (at::linalg_eigvalsh(scaled(H).first) < 0).sum(1);
    return outside + negatives - r;  // neg(−C⁻¹) = r
  }

  // E H E with a diagonal E that brings the rows to comparable size, and E [batch, size]: a congruence leaves the inertia
  // alone, and no row drowns another.
  static std::pair<at::Tensor, at::Tensor> scaled(const at::Tensor& H) {
    at::Tensor scale = H.abs().amax(2).clamp_min(1e-300).rsqrt();
    for (int pass = 0; pass < 2; ++pass) {
      const at::Tensor rows = (H * scale.unsqueeze(2) * scale.unsqueeze(1)).abs().amax(2).clamp_min(1e-300);
      scale = scale * rows.rsqrt();
    }
    return {H * scale.unsqueeze(2) * scale.unsqueeze(1), scale};
  }

  int64_t r = 0, n = 0, border = 0;
  at::Tensor d, F, negCInverse, outer;
};

LeadingTriplets fromRightVectors(const at::Tensor& diagonal, const at::Tensor& P, const at::Tensor& Q, at::Tensor V) {
  const int64_t n0 = diagonal.size(0), rows = P.size(0), k = V.size(0);
  const auto times = [&](const at::Tensor& v) {  // rows of v -> (M v)ᵀ
    at::Tensor y = v.matmul(Q).matmul(P.t());
    y.narrow(1, 0, n0).add_(v.narrow(1, 0, n0) * diagonal);
    return y;
  };
  const auto timesTransposed = [&](const at::Tensor& u) {
    at::Tensor x = u.matmul(P).matmul(Q.t());
    x.narrow(1, 0, n0).add_(u.narrow(1, 0, n0) * diagonal);
    return x;
  };
  V = V / V.norm(2, 1, true).clamp_min(1e-300);
  at::Tensor U = times(V);
  LeadingTriplets result;
  result.sigma = U.norm(2, 1);
  U = U / result.sigma.unsqueeze(1).clamp_min(1e-300);
  const double top = std::max(result.sigma.max().item<double>(), 1e-300);
  const at::Tensor residual = timesTransposed(U) - V * result.sigma.unsqueeze(1);
  result.residual = residual.norm(2, 1).max().item<double>() / top;
  const at::Tensor gram = U.matmul(U.t()) - at::eye(k, at::kDouble);
  result.orthogonality = gram.abs().max().item<double>();
  result.left = U.reshape({k, rows});
  return result;
}

at::Tensor assembleDense(const at::Tensor& diagonal, const at::Tensor& P, const at::Tensor& Q) {
  at::Tensor M = P.matmul(Q.t());
  M.diagonal().narrow(0, 0, diagonal.size(0)).add_(diagonal);
  return M;
}

}  // namespace

LeadingTriplets leadingTripletsDense(const at::Tensor& matrix, int64_t k) {
  const auto [U, S, Vh] = at::linalg_svd(matrix.to(at::kDouble), false);
  k = std::min(k, S.size(0));
  LeadingTriplets result;
  result.sigma = S.narrow(0, 0, k).clone();
  result.left = U.narrow(1, 0, k).t().contiguous();
  const at::Tensor residual =
      matrix.to(at::kDouble).t().matmul(U.narrow(1, 0, k)) - Vh.narrow(0, 0, k).t() * result.sigma.unsqueeze(0);
  result.residual = k == 0 ? 0 : residual.norm(2, 0).max().item<double>() / std::max(S[0].item<double>(), 1e-300);
  result.dense = true;
  return result;
}

LeadingTriplets leadingTriplets(const at::Tensor& diagonal, const at::Tensor& P, const at::Tensor& Q, int64_t k,
                                double tolerance) {
  const int64_t rows = P.size(0), columns = Q.size(0), r = P.size(1);
  k = std::min(k, std::min(rows, columns));
  // Eigenvalue counts of (border + 2r)-sized matrices pay only while those are small.
  if (4 * (2 * r + kBorder) > columns) return leadingTripletsDense(assembleDense(diagonal, P, Q), k);

  const Slicer slicer(diagonal, columns, P, Q);
  // ‖M‖ ≤ d_1 + ‖P‖‖Q‖; the j-th largest eigenvalue (j from 1) is where the count passes columns − j.
  const double bound = (diagonal.max().item<double>() + P.norm().item<double>() * Q.norm().item<double>()) * (1 + 1e-12);
  at::Tensor low = at::zeros({k}, at::kDouble), high = at::full({k}, bound, at::kDouble);
  const at::Tensor rankFromBelow = columns - at::arange(1, k + 1, at::kLong);
  for (int round = 0; round < kBisections; ++round) {
    const at::Tensor middle = (low + high) * 0.5;
    const at::Tensor above = slicer.countBelow(middle) > rankFromBelow;  // the wanted eigenvalue lies below `middle`
    high = at::where(above, middle, high);
    low = at::where(above, low, middle);
  }
  const at::Tensor sigma = (low + high) * 0.5;
  const auto [H, nearest] = slicer.assemble(sigma);
  // v solves S v + F z = 0 with [v_b; z] the null vector of H: E times that of E H E.
  const auto [even, scale] = Slicer::scaled(H);
  const auto [values, vectors] = at::linalg_eigh(even);
  const at::Tensor which = values.abs().argmin(1);
  const at::Tensor null =
      vectors.gather(2, which.reshape({-1, 1, 1}).expand({k, H.size(1), 1})).squeeze(2) * scale;
  const at::Tensor z = null.narrow(1, slicer.border, 2 * r);
  at::Tensor V = -z.matmul(slicer.F.t()) / slicer.gaps(sigma);
  V = V.scatter(1, nearest, null.narrow(1, 0, slicer.border));

  LeadingTriplets result = fromRightVectors(diagonal, P, Q, V);
  const bool good = std::isfinite(result.residual) && result.residual < tolerance && result.orthogonality < 1e-7;
  return good ? result : leadingTripletsDense(assembleDense(diagonal, P, Q), k);
}

}  // namespace rankscope
