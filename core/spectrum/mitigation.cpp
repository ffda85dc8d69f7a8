#include "core/spectrum/mitigation.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/spectrum/leading_triplets.h"
#include "core/spectrum/low_rank_svd.h"

namespace rankscope {

Intruders findIntruders(const BaseSvd& base, const MatrixChange& change, int64_t top, double eps) {
  const int64_t n = base.S.size(0);
  const UpdatedMatrix updated = updatedMatrix(base, lowRankSvd(change.B, change.A, change.scaling));
  if (updated.update.rank() == 0) {
    const auto none = [](int64_t rows) { return at::empty({rows, 0}, at::kDouble); };
    return {none(base.U.size(0)), at::empty({0}, at::kDouble), none(base.V.size(0)), {}, {}};
  }
  const LeadingTriplets triplets = leadingTriplets(updated.matrix, top);
  const at::Tensor largest = std::get<0>(triplets.left.narrow(1, 0, n).abs().max(1));
  Intruders found;
  std::vector<int64_t> rows;
  for (int64_t j = 0; j < triplets.sigma.size(0); ++j) {
    const double cosine = largest[j].item<double>();
    if (!(cosine < eps)) continue;
    found.places.push_back(j);
    found.cosines.push_back(cosine);
  }
  const at::Tensor chosen = at::tensor(found.places, at::kLong);
  found.sigma = triplets.sigma.index_select(0, chosen);
  // The side whose space W0's vectors fill is turned back by them; the other follows from W itself, which may have left
  // the span of W0's.
  const auto times = [&](const at::Tensor& x, bool transposed) {  // W x or Wᵀ x
    const at::Tensor& L = transposed ? base.V : base.U;
    const at::Tensor& R = transposed ? base.U : base.V;
    const at::Tensor& l = transposed ? updated.update.right : updated.update.left;
    const at::Tensor& r = transposed ? updated.update.left : updated.update.right;
    const auto whole = [](const at::Tensor& t) { return t.to(at::kDouble); };
    return whole(L).matmul(whole(base.S).unsqueeze(1) * whole(R).t().matmul(x)) +
           l.matmul(updated.update.sigma.unsqueeze(1) * r.t().matmul(x));
  };
  const at::Tensor left = triplets.left.index_select(0, chosen).t(), right = triplets.right.index_select(0, chosen).t();
  if (base.V.size(0) == n) {
    found.right = base.V.to(at::kDouble).matmul(right.narrow(0, 0, n));
    found.left = times(found.right, false) / found.sigma;
  } else {
    found.left = base.U.to(at::kDouble).matmul(left.narrow(0, 0, n));
    found.right = times(found.left, true) / found.sigma;
  }
  return found;
}

namespace {

// A method's factors that its adapter is saved from, so that writing to them changes it.
bool isPlain(const ChangedSite& changed, const std::map<std::string, at::Tensor>& tensors) {
  const FactorPair& pair = changed.pair;
  if (!pair.A.defined() || pair.magnitude.defined() || pair.startA.defined()) return false;
  const auto saved = [&](const at::Tensor& factor) {
    return std::any_of(tensors.begin(), tensors.end(), [&](const auto& entry) {
      return entry.second.is_alias_of(factor) && entry.second.numel() == factor.numel();
    });
  };
  return saved(pair.A) && saved(pair.B);
}

}  // namespace

Result<Mitigation> Mitigation::make(const Method& method, const std::filesystem::path& cache, int64_t top, double eps,
                                    const std::function<bool(int64_t, int64_t, const std::string&)>& progress) {
  const at::NoGradGuard noGrad;
  const std::vector<ChangedSite> changed = changedSitesOf(method);
  if (changed.empty()) return changesNoMatrix(method.settings().name);
  const std::map<std::string, at::Tensor> tensors = method.adapterTensors();
  Mitigation result;
  for (const ChangedSite& site : changed) {
    if (!isPlain(site, tensors))
      return Error{ErrorCode::Usage, "intruders of this method cannot be scaled down", site.site->name, method.settings().name,
                   "an update B A of two plain factors (lora, rora, reflora, qlora …)",
                   "Train with one of these; PEFT mitigates LoRA alone, too."};
    if (!progress(static_cast<int64_t>(result.m_sites.size()), static_cast<int64_t>(changed.size()), site.site->name))
      return Error{ErrorCode::Interrupted, "the search for intruders was cancelled", site.site->name, "", "", "Start it again when wanted."};
    const at::Tensor before = matrixBefore(site);
    MatrixChange change = matrixChange(site, before);
    change.A = change.A.clone();
    change.B = change.B.clone();
    Intruders intruders = findIntruders(cachedBaseSvd(before, cache), change, top, eps);
    change.before = at::Tensor();
    result.m_sites.push_back({site, std::move(change), std::move(intruders)});
  }
  return result;
}

int64_t Mitigation::intruders() const {
  int64_t total = 0;
  for (const Site& site : m_sites) total += site.intruders.count();
  return total;
}

double Mitigation::write(double lambda) const {
  const at::NoGradGuard noGrad;
  double lost = 0;
  for (const Site& site : m_sites) {
    const MitigatedFactors factors = mitigate(site.change, site.intruders, lambda, site.change.A.size(0));
    site.changed.pair.A.copy_(factors.A);
    site.changed.pair.B.copy_(factors.B);
    lost = std::max(lost, factors.lost);
  }
  return lost;
}

void Mitigation::writeZero() const {
  const at::NoGradGuard noGrad;
  for (const Site& site : m_sites) site.changed.pair.B.zero_();
}

MitigatedFactors mitigate(const MatrixChange& change, const Intruders& intruders, double lambda, int64_t rank) {
  if ((intruders.count() == 0 || lambda == 1) && change.A.size(0) <= rank) return {change.A, change.B, 0};
  const at::Tensor B = at::cat({change.B.to(at::kDouble) * change.scaling, intruders.left * (intruders.sigma * (lambda - 1))}, 1);
  const at::Tensor A = at::cat({change.A.to(at::kDouble), intruders.right.t()}, 0);
  const LowRankSvd whole = lowRankSvd(B, A), kept = whole.truncated(rank);
  const double all = whole.sigma.square().sum().item<double>();
  const at::Tensor root = (kept.sigma / std::abs(change.scaling)).sqrt();
  const at::Tensor sign = at::full({1}, change.scaling < 0 ? -1.0 : 1.0, at::kDouble);
  // The adapter keeps its shape where less than `rank` directions are left.
  MitigatedFactors result;
  result.A = at::zeros({rank, change.A.size(1)}, at::kDouble);
  result.B = at::zeros({change.B.size(0), rank}, at::kDouble);
  result.A.narrow(0, 0, kept.rank()).copy_((kept.right * root).t());
  result.B.narrow(1, 0, kept.rank()).copy_(kept.left * root * sign);
  result.lost = all > 0 ? 1 - kept.sigma.square().sum().item<double>() / all : 0;
  return result;
}

}  // namespace rankscope
