#include "core/spectrum/leading_triplets.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

#include "core/spectrum/updated_gram.h"

namespace rankscope {
namespace {

// Approximate eigenpairs of G, falling; vectors [count, size].
struct RitzPairs {
  at::Tensor values, vectors;
  int64_t converged = 0;  // the first so many
};

constexpr double kConverged = 1e-13;  // of a Ritz pair's residual, against its eigenvalue of the inverse

at::Tensor randomUnit(int64_t size, uint64_t seed) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  const at::Tensor v = at::randn({size}, generator, at::TensorOptions(at::kDouble));
  return v / v.norm();
}

// The eigenpairs of G nearest below the shift that `gram` has factored, by Lanczos on (shift − G)⁻¹, for which they are the
// largest. Every new vector is made orthogonal to all before it and to the rows of `locked`. Ends when `wanted` pairs have
// converged, or after `most` steps.
RitzPairs lanczos(const UpdatedGram& gram, double shift, int64_t wanted, int64_t most, const at::Tensor& locked, uint64_t seed) {
  const int64_t n = gram.size();
  most = std::min(most, n - locked.size(0));
  wanted = std::min(wanted, most);
  const at::Tensor basis = at::empty({most + 1, n}, at::kDouble);
  const auto cleanse = [&](at::Tensor w, int64_t count) {
    if (locked.size(0) > 0) w.sub_(locked.t().mv(locked.mv(w)));
    const at::Tensor before = basis.narrow(0, 0, count);
    w.sub_(before.t().mv(before.mv(w)));
  };
  at::Tensor first = randomUnit(n, seed);
  for (int pass = 0; pass < 2; ++pass) cleanse(first, 0);
  basis[0].copy_(first / first.norm());
  const at::Tensor tridiagonal = at::zeros({most + 1, most + 1}, at::kDouble);
  auto t = tridiagonal.accessor<double, 2>();
  RitzPairs pairs;
  for (int64_t j = 0; j < most; ++j) {
    at::Tensor w = basis[j + 1];
    gram.times(basis[j].const_data_ptr<double>(), w.mutable_data_ptr<double>());
    t[j][j] = basis[j].dot(w).item<double>();
    const double size = w.norm().item<double>();
    cleanse(w, j + 1);
    double next = w.norm().item<double>();
    if (next < 0.7 * size) {  // what cancelled has left rounding in the directions that were taken out
      cleanse(w, j + 1);
      next = w.norm().item<double>();
    }
    t[j][j + 1] = t[j + 1][j] = next;
    const bool exhausted = next <= 1e-14 * std::abs(t[0][0]);
    const int64_t steps = j + 1;
    if (!exhausted && steps < most && (steps < wanted + 6 || steps % 6 != 0)) {
      w.div_(next);
      continue;
    }
    const auto [theta, y] = at::linalg_eigh(tridiagonal.narrow(0, 0, steps).narrow(1, 0, steps));
    const at::Tensor falling = theta.flip(0), last = y[steps - 1].flip(0).abs() * next;
    const int64_t count = std::min(wanted + 1, steps);
    pairs.converged = 0;
    while (pairs.converged < count &&
           (exhausted || last[pairs.converged].item<double>() <= kConverged * std::abs(falling[pairs.converged].item<double>())))
      ++pairs.converged;
    if (pairs.converged >= std::min(wanted, steps) || exhausted || steps == most) {
      pairs.values = shift - falling.narrow(0, 0, count).reciprocal();
      pairs.vectors = y.flip(1).narrow(1, 0, count).t().matmul(basis.narrow(0, 0, steps));
      return pairs;
    }
    w.div_(next);
  }
  return pairs;
}

// A shift a little above the largest eigenvalue: the nearer it is, the fewer steps find the leading pairs.
double shiftAbove(UpdatedGram& gram) {
  const double bound = gram.bound() * (1 + 1e-3);
  gram.factor(bound);
  constexpr int64_t kLook = 12;
  const RitzPairs look = lanczos(gram, bound, 1, kLook, at::empty({0, gram.size()}, at::kDouble), 1);
  const double largest = look.values[0].item<double>();
  for (double room = 2e-3; largest * (1 + room) < bound; room *= 5)
    if (gram.countAbove(largest * (1 + room)) == 0) return largest * (1 + room);
  return bound;
}

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
  // The best that the span of V holds: M V = U Σ Wᵀ.
  const auto [left, sigma, W] = at::linalg_svd(times(V).t(), false);
  const at::Tensor U = left.t().contiguous();
  V = W.matmul(V);
  LeadingTriplets result;
  result.sigma = sigma;
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

// Right vectors [k, columns] of the k largest singular values, or empty where they could not be had.
at::Tensor leadingRightVectors(const at::Tensor& diagonal, const at::Tensor& P, const at::Tensor& Q, int64_t k) {
  if (Q.size(0) > P.size(0)) {  // the shorter side's vectors, and from them the longer's
    const at::Tensor U = leadingRightVectors(diagonal, Q, P, k);
    if (!U.defined()) return U;
    at::Tensor V = U.matmul(P).matmul(Q.t());
    V.narrow(1, 0, diagonal.size(0)).add_(U.narrow(1, 0, diagonal.size(0)) * diagonal);
    return std::get<0>(at::linalg_qr(V.t())).t();
  }
  UpdatedGram gram(diagonal, P, Q);
  if (!(gram.bound() > 0)) return {};
  const double shift = shiftAbove(gram);
  gram.factor(shift);
  at::Tensor values = at::empty({0}, at::kDouble), vectors = at::empty({0, gram.size()}, at::kDouble);
  // One run finds one vector of each eigenvalue: more of a repeated one are found beside those that are known.
  for (int64_t round = 0; round <= 2 * k; ++round) {
    const RitzPairs more = lanczos(gram, shift, std::max<int64_t>(1, k - vectors.size(0)), 4 * k + 160, vectors, 7 + static_cast<uint64_t>(round));
    if (!more.values.defined() || more.converged == 0) return {};
    const auto [sorted, order] = at::cat({values, more.values.narrow(0, 0, more.converged)}).sort(0, /*descending=*/true);
    values = sorted;
    vectors = at::cat({vectors, more.vectors.narrow(0, 0, more.converged)}).index_select(0, order);
    if (values.size(0) < k) continue;
    // Above the k-th value there must be as many as were found.
    const double edge = values[k - 1].item<double>() + 1e-11 * std::abs(shift);
    const int64_t found = (values > edge).sum().item<int64_t>(), there = gram.countAbove(edge);
    if (found == there) return vectors.narrow(0, 0, k);
    if (found > there) return {};
    const int64_t kept = std::max<int64_t>(found, 1);
    values = values.narrow(0, 0, kept);
    vectors = vectors.narrow(0, 0, kept);
  }
  return {};
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
  // A few vectors of a large matrix: else the whole decomposition costs no more.
  const int64_t shorter = std::min(rows, columns);
  const bool few = 4 * r <= shorter && 4 * k <= shorter;
  if (few)
    if (const at::Tensor V = leadingRightVectors(diagonal, P, Q, k); V.defined()) {
      LeadingTriplets result = fromRightVectors(diagonal, P, Q, V);
      if (std::isfinite(result.residual) && result.residual < tolerance && result.orthogonality < 1e-7) return result;
    }
  return leadingTripletsDense(assembleDense(diagonal, P, Q), k);
}

}  // namespace rankscope
