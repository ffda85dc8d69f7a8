#include "core/spectrum/site_spectrum.h"

#include <cmath>

#include "core/spectrum/leading_triplets.h"

namespace rankscope {
namespace {

std::vector<float> floats(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kFloat).contiguous().reshape({-1});
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

void describeUpdate(SiteSpectrum& result, const at::Tensor& deltaSigma, const at::Tensor& baseSigma) {
  result.deltaSigma = floats(deltaSigma);
  result.effectiveRank = effectiveRank(deltaSigma);
  const double frobenius = deltaSigma.norm().item<double>();
  const double top = deltaSigma.numel() > 0 ? deltaSigma.max().item<double>() : 0;
  result.stableRank = top > 0 ? frobenius * frobenius / (top * top) : 0;
  const double baseNorm = baseSigma.norm().item<double>();
  result.relativeUpdate = baseNorm > 0 ? frobenius / baseNorm : 0;
}

// `left` [k, ≥ n]: components of each vector on W0's left vectors.
void describeVectors(SiteSpectrum& result, const LeadingTriplets& triplets, int64_t n, int64_t columns) {
  const at::Tensor cosines = triplets.left.narrow(1, 0, n).abs();
  result.sigmaAfter = floats(triplets.sigma);
  result.maxCos = floats(cosines.amax(1));
  const at::Tensor shown = cosines.narrow(1, 0, std::min(columns, n));
  result.cosRows = shown.size(0);
  result.cosColumns = shown.size(1);
  result.cos = floats(shown);
  result.residualBound = triplets.residual;
  result.algorithm = triplets.dense ? "dense" : "slicing";
}

SiteSpectrum start(const BaseSvd& base) {
  SiteSpectrum result;
  result.outFeatures = base.U.size(0);
  result.inFeatures = base.V.size(0);
  result.sigmaBefore = floats(base.S);
  return result;
}

void describeFactors(SiteSpectrum& result, const at::Tensor& A, const at::Tensor& B) {
  const at::Tensor a = A.to(at::kDouble), b = B.to(at::kDouble);
  result.rank = a.size(0);
  result.normA = a.norm().item<double>();
  result.normB = b.norm().item<double>();
  result.balanceGap = (a.matmul(a.t()) - b.t().matmul(b)).norm().item<double>();
}

// X [d, r] in an orthonormal basis that begins with the columns of U [d, n]: the coefficients on these, UᵀX, and below them
// those on what of X lies outside their span, [r', r] with r' = min(d − n, r).
at::Tensor coefficients(const at::Tensor& U, const at::Tensor& X) {
  const at::Tensor inside = U.t().matmul(X);
  const int64_t room = std::min(U.size(0) - U.size(1), X.size(1));
  if (room <= 0) return inside;
  // Where nothing cancels, the Gram matrix of the rest (of columns of length 1) says all that is needed, without another
  // pass over U.
  const at::Tensor lengths = at::linalg_vector_norm(X, 2, at::IntArrayRef{0}).clamp_min(1e-300);
  const at::Tensor gram = (X.t().matmul(X) - inside.t().matmul(inside)) / lengths / lengths.unsqueeze(1);
  if (room == X.size(1) && at::linalg_eigvalsh(gram).min().item<double>() > 1e-3)
    return at::cat({inside, at::linalg_cholesky(gram).t() * lengths}, 0);
  // Twice is enough for orthogonality to working precision.
  at::Tensor rest = X - U.matmul(inside);
  rest = rest - U.matmul(U.t().matmul(rest));
  return at::cat({inside, std::get<1>(at::linalg_qr(rest)).narrow(0, 0, room)}, 0);
}

}  // namespace

double effectiveRank(const at::Tensor& singularValues) {
  const double sum = singularValues.sum().item<double>();
  if (!(sum > 0)) return 0;
  const at::Tensor p = singularValues / sum;
  return std::exp(-at::xlogy(p, p).sum().item<double>());
}

SiteSpectrum lowRankSpectrum(const BaseSvd& base, const at::Tensor& A, const at::Tensor& B, double scaling,
                             const SpectrumSettings& settings) {
  const int64_t n = base.S.size(0);
  const at::Tensor a = A.to(at::kDouble), b = B.to(at::kDouble) * scaling;
  SiteSpectrum result = start(base);
  describeFactors(result, A, B);

  // ΔW = B A through two thin QRs and an r × r SVD; the factors are rebalanced to P Qᵀ with equal norms, and directions
  // that carry nothing are dropped.
  const auto [qb, rb] = at::linalg_qr(b);
  const auto [qa, ra] = at::linalg_qr(a.t());
  const auto [X, sigma, Yh] = at::linalg_svd(rb.matmul(ra.t()), false);
  const double top = sigma.numel() > 0 ? sigma.max().item<double>() : 0;
  const int64_t kept = top > 0 ? (sigma > top * 1e-13).sum().item<int64_t>() : 0;
  describeUpdate(result, sigma.narrow(0, 0, kept), base.S);
  if (kept == 0) {
    LeadingTriplets unchanged;
    const int64_t k = std::min(settings.k, n);
    unchanged.sigma = base.S.narrow(0, 0, k);
    unchanged.left = at::eye(n, at::kDouble).narrow(0, 0, k);
    describeVectors(result, unchanged, n, settings.heatmapColumns);
    return result;
  }
  const at::Tensor root = sigma.narrow(0, 0, kept).sqrt();
  const at::Tensor left = qb.matmul(X.narrow(1, 0, kept)) * root;             // [out, kept]
  const at::Tensor right = qa.matmul(Yh.narrow(0, 0, kept).t()) * root;       // [in, kept]
  const at::Tensor P = coefficients(base.U, left), Q = coefficients(base.V, right);
  describeVectors(result, leadingTriplets(base.S, P, Q, settings.k), n, settings.heatmapColumns);
  return result;
}

SiteSpectrum doraSpectrum(const BaseSvd& base, const at::Tensor& before, const at::Tensor& A, const at::Tensor& B,
                          double scaling, const at::Tensor& magnitude, const SpectrumSettings& settings) {
  const at::Tensor v = before.to(at::kDouble) + B.to(at::kDouble).matmul(A.to(at::kDouble)) * scaling;
  const at::Tensor norms = at::linalg_vector_norm(v, 2, at::IntArrayRef{1}).clamp_min(1e-300);
  SiteSpectrum result = fullSpectrum(base, before, v * (magnitude.to(at::kDouble) / norms).unsqueeze(1), settings);
  describeFactors(result, A, B);
  return result;
}

SiteSpectrum fullSpectrum(const BaseSvd& base, const at::Tensor& before, const at::Tensor& after,
                          const SpectrumSettings& settings) {
  SiteSpectrum result = start(base);
  const at::Tensor w = after.to(at::kDouble);
  const at::Tensor delta = w - before.to(at::kDouble);
  const at::Tensor deltaSigma = at::linalg_svdvals(delta);
  describeUpdate(result, deltaSigma, base.S);
  LeadingTriplets triplets = leadingTripletsDense(w, settings.k);
  triplets.left = triplets.left.matmul(base.U);  // [k, out] -> components on W0's left vectors
  describeVectors(result, triplets, base.S.size(0), settings.heatmapColumns);
  return result;
}

}  // namespace rankscope
