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

// The best triplets that the span of V [k, columns] holds: M V = U Σ Wᵀ. `matrix` has times() and timesTransposed().
template <typename Matrix>
LeadingTriplets fromRightVectors(const Matrix& matrix, const at::Tensor& V, int64_t k) {
  const auto [left, sigma, W] = at::linalg_svd(matrix.times(V).t(), false);
  LeadingTriplets result;
  result.sigma = sigma.narrow(0, 0, k);
  result.left = left.narrow(1, 0, k).t().contiguous();
  result.right = W.narrow(0, 0, k).matmul(V);
  const at::Tensor residual = matrix.timesTransposed(result.left) - result.right * result.sigma.unsqueeze(1);
  result.residual = residual.norm(2, 1).max().template item<double>() / std::max(sigma.max().template item<double>(), 1e-300);
  const at::Tensor gram = result.left.matmul(result.left.t()) - at::eye(k, at::kDouble);
  result.orthogonality = gram.abs().max().template item<double>();
  return result;
}

bool trusted(const LeadingTriplets& triplets, double tolerance) {
  return std::isfinite(triplets.residual) && triplets.residual < tolerance && triplets.orthogonality < 1e-7;
}

// Right vectors [k, columns] of the k largest singular values, or empty where they could not be had.
at::Tensor leadingRightVectors(const UpdatedDiagonal& matrix, int64_t k) {
  if (matrix.columns() > matrix.rows()) {  // the shorter side's vectors, and from them the longer's
    const at::Tensor U = leadingRightVectors(matrix.transposed(), k);
    return U.defined() ? std::get<0>(at::linalg_qr(matrix.timesTransposed(U).t())).t() : U;
  }
  UpdatedGram gram(matrix.diagonal, matrix.P, matrix.Q);
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

struct WholeMatrix {
  at::Tensor W;  // [rows, columns]
  at::Tensor times(const at::Tensor& x) const { return x.matmul(W.t()); }
  at::Tensor timesTransposed(const at::Tensor& x) const { return x.matmul(W); }
};

constexpr int64_t kBeyond = 8;      // pairs carried along beyond those asked for: the gap behind them sets the pace
constexpr int64_t kRandom = 4;      // random directions in the first block
constexpr int64_t kBlocks = 8;      // of a basis before it is restarted
constexpr int64_t kRestarts = 40;

// Rows: an orthonormal basis of what the rows of X add to the span of the rows of Q [j, n], j ≥ 0.
at::Tensor added(const at::Tensor& Q, at::Tensor X) {
  for (int pass = 0; pass < 2; ++pass)
    if (Q.size(0) > 0) X = X - X.matmul(Q.t()).matmul(Q);
  at::Tensor basis = std::get<0>(at::linalg_qr(X.t())).t();
  // A second time: directions that all but vanished have come back with what rounding put into them.
  if (Q.size(0) > 0) basis = std::get<0>(at::linalg_qr((basis - basis.matmul(Q.t()).matmul(Q)).t())).t();
  return basis;
}

// Right vectors [k + kBeyond, columns] of W [rows, columns], rows ≥ columns, whose first k belong to the largest singular
// values; undefined where they did not converge.
at::Tensor blockLanczos(const at::Tensor& W, const at::Tensor& nearby, int64_t k) {
  const int64_t n = W.size(1), width = k + kBeyond;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{5});
  const at::Tensor random = at::randn({kRandom, n}, generator, at::TensorOptions(at::kDouble));
  const at::Tensor known = nearby.narrow(1, 0, std::min(width, nearby.size(1))).t().to(at::kDouble);
  at::Tensor basis = added(at::empty({0, n}, at::kDouble), at::cat({known, random}));
  for (int64_t restart = 0; restart < kRestarts; ++restart) {
    at::Tensor images = basis.matmul(W.t());  // rows: (W q)ᵀ
    at::Tensor last = basis, lastImages = images;
    for (int64_t block = 1; block < kBlocks && basis.size(0) + last.size(0) <= n / 2; ++block) {
      last = added(basis, lastImages.matmul(W));
      lastImages = last.matmul(W.t());
      basis = at::cat({basis, last});
      images = at::cat({images, lastImages});
    }
    const auto [theta, y] = at::linalg_eigh(images.matmul(images.t()));
    const int64_t kept = std::min(width, basis.size(0));
    const at::Tensor turn = y.flip(1).narrow(1, 0, kept).t();  // largest first
    const at::Tensor V = turn.matmul(basis), WV = turn.matmul(images), values = theta.flip(0).narrow(0, 0, kept);
    const at::Tensor residual = WV.narrow(0, 0, k).matmul(W) - V.narrow(0, 0, k) * values.narrow(0, 0, k).unsqueeze(1);
    const double worst = residual.norm(2, 1).max().item<double>();
    if (worst <= 1e-12 * values[0].item<double>() || !(values[0].item<double>() > 0)) return V;
    basis = at::cat({V, added(V, residual)});
  }
  return {};
}

}  // namespace

at::Tensor UpdatedDiagonal::times(const at::Tensor& x) const {
  const int64_t n = diagonal.size(0);
  at::Tensor y = x.matmul(Q).matmul(P.t());
  y.narrow(1, 0, n).add_(x.narrow(1, 0, n) * diagonal);
  return y;
}

at::Tensor UpdatedDiagonal::dense() const {
  at::Tensor M = P.matmul(Q.t());
  M.diagonal().narrow(0, 0, diagonal.size(0)).add_(diagonal);
  return M;
}

LeadingTriplets leadingTripletsDense(const at::Tensor& matrix, int64_t k) {
  const at::Tensor M = matrix.to(at::kDouble);
  const auto [U, S, Vh] = at::linalg_svd(M, false);
  k = std::min(k, S.size(0));
  LeadingTriplets result;
  result.sigma = S.narrow(0, 0, k).clone();
  result.left = U.narrow(1, 0, k).t().contiguous();
  result.right = Vh.narrow(0, 0, k).contiguous();
  const at::Tensor residual = result.left.matmul(M) - result.right * result.sigma.unsqueeze(1);
  result.residual = k == 0 ? 0 : residual.norm(2, 1).max().item<double>() / std::max(S[0].item<double>(), 1e-300);
  result.dense = true;
  return result;
}

LeadingTriplets leadingTriplets(const UpdatedDiagonal& matrix, int64_t k, double tolerance) {
  const int64_t shorter = std::min(matrix.rows(), matrix.columns());
  k = std::min(k, shorter);
  // A few vectors of a large matrix: else the whole decomposition costs no more.
  if (k > 0 && 4 * matrix.P.size(1) <= shorter && 4 * k <= shorter)
    if (const at::Tensor V = leadingRightVectors(matrix, k); V.defined())
      if (LeadingTriplets found = fromRightVectors(matrix, V, k); trusted(found, tolerance)) return found;
  return leadingTripletsDense(matrix.dense(), k);
}

LeadingTriplets leadingTriplets(const at::Tensor& W, const at::Tensor& nearbyLeft, const at::Tensor& nearbyRight, int64_t k,
                                double tolerance) {
  const int64_t shorter = std::min(W.size(0), W.size(1));
  k = std::min(k, shorter);
  if (k > 0 && 10 * (k + kBeyond) <= shorter) {
    const bool wide = W.size(1) > W.size(0);
    const at::Tensor tall = (wide ? W.t() : W).to(at::kDouble);
    if (const at::Tensor V = blockLanczos(tall, wide ? nearbyLeft : nearbyRight, k); V.defined()) {
      LeadingTriplets found = fromRightVectors(WholeMatrix{tall}, V, k);
      if (wide) std::swap(found.left, found.right);
      if (trusted(found, tolerance)) return found;
    }
  }
  return leadingTripletsDense(W, k);
}

}  // namespace rankscope
