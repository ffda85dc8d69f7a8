#include "core/spectrum/site_spectrum.h"

#include <cmath>


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

// Cosines with W0's vectors: `components` [k, ≥ n] of each vector in the basis that begins with these.
void describeSide(const at::Tensor& components, int64_t n, int64_t columns, std::vector<float>* largest, std::vector<float>* shown) {
  const at::Tensor cosines = components.narrow(1, 0, n).abs();
  *largest = floats(cosines.amax(1));
  *shown = floats(cosines.narrow(1, 0, columns));
}

// `triplets` in bases that begin with W0's vectors.
void describeVectors(SiteSpectrum& result, const LeadingTriplets& triplets, int64_t n, const SpectrumSettings& settings) {
  result.sigmaAfter = floats(triplets.sigma);
  result.cosRows = triplets.left.size(0);
  result.cosColumns = std::min(settings.heatmapColumns, n);
  describeSide(triplets.left, n, result.cosColumns, &result.maxCos, &result.cos);
  describeSide(triplets.right, n, result.cosColumns, &result.maxCosRight, &result.cosRight);
  result.residualBound = triplets.residual;
  result.algorithm = triplets.dense ? "dense" : "lanczos";
}

SiteSpectrum start(const BaseSvd& base) {
  SiteSpectrum result;
  result.outFeatures = base.U.size(0);
  result.inFeatures = base.V.size(0);
  result.sigmaBefore = floats(base.S);
  result.effectiveRankBefore = effectiveRank(base.S);
  return result;
}

void describeFactors(SiteSpectrum& result, const MatrixChange& change) {
  const at::Tensor a = (change.ownA.defined() ? change.ownA : change.A).to(at::kDouble);
  const at::Tensor b = (change.ownB.defined() ? change.ownB : change.B).to(at::kDouble);
  result.rank = a.size(0);
  result.normA = a.norm().item<double>();
  result.normB = b.norm().item<double>();
  result.balanceGap = (a.matmul(a.t()) - b.t().matmul(b)).norm().item<double>();
}

void describeInside(SiteSpectrum& result, const at::Tensor& energy, const at::Tensor& deltaSigma) {
  const double whole = deltaSigma.square().sum().item<double>();
  result.insideShare = floats(whole > 0 ? energy / whole : at::zeros_like(energy));
}

// X [d, r] in an orthonormal basis that begins with the columns of U [d, n]: the coefficients on these, UᵀX, and below them
// those on what of X lies outside their span, [r', r] with r' = min(d − n, r).
at::Tensor coefficients(const at::Tensor& basis, const at::Tensor& X) {
  const at::Tensor inside = basis.t().matmul(X.to(basis.scalar_type())).to(at::kDouble);
  const int64_t room = std::min(basis.size(0) - basis.size(1), X.size(1));
  if (room <= 0) return inside;
  // Where nothing cancels, the Gram matrix of the rest (of columns of length 1) says all that is needed, without another
  // pass over U.
  const at::Tensor lengths = at::linalg_vector_norm(X, 2, at::IntArrayRef{0}).clamp_min(1e-300);
  const at::Tensor gram = (X.t().matmul(X) - inside.t().matmul(inside)) / lengths / lengths.unsqueeze(1);
  if (room == X.size(1) && at::linalg_eigvalsh(gram).min().item<double>() > 1e-3)
    return at::cat({inside, at::linalg_cholesky(gram).t() * lengths}, 0);
  // Twice is enough for orthogonality to working precision.
  const at::Tensor U = basis.to(at::kDouble);
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

at::Tensor energyInside(const at::Tensor& P, const at::Tensor& Q) {
  // ‖P_j Q_jᵀ‖² = ⟨P_jᵀP_j, Q_jᵀQ_j⟩, each a running sum over rows.
  const auto grams = [](const at::Tensor& X) { return (X.unsqueeze(2) * X.unsqueeze(1)).cumsum(0); };
  return (grams(P) * grams(Q)).sum(at::IntArrayRef{1, 2});
}

UpdatedMatrix updatedMatrix(const BaseSvd& base, LowRankSvd update) {
  const at::Tensor root = update.sigma.sqrt();  // equal norms on both sides
  UpdatedDiagonal matrix{base.S.to(at::kDouble), coefficients(base.U, update.left * root), coefficients(base.V, update.right * root)};
  return {std::move(matrix), std::move(update)};
}

at::Tensor MatrixChange::matrixAfter() const {
  if (!lowRank()) return after.to(at::kDouble);
  const at::Tensor v = before.to(at::kDouble) + B.to(at::kDouble).matmul(A.to(at::kDouble)) * scaling;
  if (!magnitude.defined()) return v;
  const at::Tensor norms = at::linalg_vector_norm(v, 2, at::IntArrayRef{1}).clamp_min(1e-300);
  return v * (magnitude.to(at::kDouble) / norms).unsqueeze(1);
}

namespace {

SiteSpectrum lowRankSpectrum(const BaseSvd& base, const MatrixChange& change, const SpectrumSettings& settings) {
  const int64_t n = base.S.size(0), columns = std::min(settings.heatmapColumns, n);
  SiteSpectrum result = start(base);
  describeFactors(result, change);

  const LowRankSvd update = lowRankSvd(change.B, change.A, change.scaling);
  describeUpdate(result, update.sigma, base.S);
  const bool allValues = n <= settings.allValuesUpTo;
  if (update.rank() == 0) {
    LeadingTriplets unchanged;
    const int64_t k = std::min(settings.k, n);
    unchanged.sigma = base.S.narrow(0, 0, k);
    unchanged.left = unchanged.right = at::eye(n, at::kDouble).narrow(0, 0, k);
    describeVectors(result, unchanged, n, settings);
    result.insideShare.assign(static_cast<size_t>(columns), 0.0f);
    if (allValues) result.effectiveRankAfter = result.effectiveRankBefore;
    return result;
  }
  const UpdatedDiagonal matrix = updatedMatrix(base, update).matrix;
  describeInside(result, energyInside(matrix.P.narrow(0, 0, columns), matrix.Q.narrow(0, 0, columns)), update.sigma);
  describeVectors(result, leadingTriplets(matrix, settings.k), n, settings);
  if (allValues) result.effectiveRankAfter = effectiveRank(at::linalg_svdvals(matrix.dense()));
  return result;
}

// Any W of the same shape: full fine-tuning, merged models, DoRA.
SiteSpectrum wholeSpectrum(const BaseSvd& base, const MatrixChange& change, const SpectrumSettings& settings) {
  const int64_t n = base.S.size(0), columns = std::min(settings.heatmapColumns, n);
  SiteSpectrum result = start(base);
  if (change.lowRank()) describeFactors(result, change);
  const at::Tensor w = change.matrixAfter(), delta = w - change.before.to(at::kDouble);
  const at::Tensor U = base.U.to(at::kDouble), V = base.V.to(at::kDouble);
  if (settings.updateValues) {
    const at::Tensor deltaSigma = at::linalg_svdvals(delta);
    describeUpdate(result, deltaSigma, base.S);
    const at::Tensor inside = U.narrow(1, 0, columns).t().matmul(delta).matmul(V.narrow(1, 0, columns)).square();
    describeInside(result, inside.cumsum(0).cumsum(1).diagonal(), deltaSigma);
  } else {
    result.relativeUpdate = (delta.norm() / base.S.norm().clamp_min(1e-300)).item<double>();
  }
  LeadingTriplets triplets = leadingTriplets(w, U, V, settings.k);
  triplets.left = triplets.left.matmul(U);
  triplets.right = triplets.right.matmul(V);
  describeVectors(result, triplets, n, settings);
  if (n <= settings.allValuesUpTo) result.effectiveRankAfter = effectiveRank(at::linalg_svdvals(w));
  return result;
}

}  // namespace

SiteSpectrum siteSpectrum(const BaseSvd& base, const MatrixChange& change, const SpectrumSettings& settings) {
  const bool additive = change.lowRank() && !change.magnitude.defined();
  return additive ? lowRankSpectrum(base, change, settings) : wholeSpectrum(base, change, settings);
}

}  // namespace rankscope
