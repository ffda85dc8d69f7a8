#include "core/methods/factor_probes.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/dora_ops.h"

namespace rankscope {

namespace {

constexpr int64_t kBlock = 1 << 15;  // fixed, so that the order of summation is

// Σ over [0, count) of term(i), in blocks that are summed apart and added in order.
template <typename Term>
double blockwiseSum(int64_t count, const Term& term) {
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  std::vector<double> sums(static_cast<size_t>(blocks), 0.0);
  at::parallel_for(0, blocks, 4, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      const int64_t end = std::min(count, (block + 1) * kBlock);
      // Eight running sums: the compiler keeps them in vector registers.
      double lanes[8] = {};
      int64_t i = block * kBlock;
      for (; i + 8 <= end; i += 8)
        for (int lane = 0; lane < 8; ++lane) lanes[lane] += term(i + lane);
      for (; i < end; ++i) lanes[0] += term(i);
      double sum = 0;
      for (double lane : lanes) sum += lane;
      sums[static_cast<size_t>(block)] = sum;
    }
  });
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

template <typename A, typename B>
double squaredDistance(const at::Tensor& a, const at::Tensor& b) {
  const A* left = a.const_data_ptr<A>();
  const B* right = b.const_data_ptr<B>();
  return blockwiseSum(a.numel(), [=](int64_t i) {
    const double d = static_cast<double>(static_cast<float>(left[i]) - static_cast<float>(right[i]));
    return d * d;
  });
}

template <typename A>
double squaredDistanceTo(const at::Tensor& a, const at::Tensor& b) {
  switch (b.scalar_type()) {
    case at::kBFloat16: return squaredDistance<A, at::BFloat16>(a, b);
    case at::kHalf: return squaredDistance<A, at::Half>(a, b);
    default: return squaredDistance<A, float>(a, b);
  }
}

bool hasCpuForm(const at::Tensor& t) {
  const auto type = t.scalar_type();
  return t.is_cpu() && t.is_contiguous() && (type == at::kFloat || type == at::kBFloat16 || type == at::kHalf);
}

// Gram matrices A Aᵀ and BᵀB. With a start that left the weight, of [A; A0] and [B, −B0], whose product is the update;
// then in float64, because near the start the two halves cancel.
struct Grams {
  at::Tensor a, b;  // float64
};

Grams gramsOf(const at::Tensor& a, const at::Tensor& b) {
  return {a.mm(a.t()).to(at::kDouble), b.t().mm(b).to(at::kDouble)};
}

double updateNorm(const FactorPair& pair, const Grams& grams, const at::Tensor& original) {
  at::Tensor a = pair.A, b = pair.B;
  if (pair.startA.defined()) {
    a = at::cat({pair.A.detach(), pair.startA}, 0).to(at::kDouble);
    b = at::cat({pair.B.detach(), -pair.startB}, 1).to(at::kDouble);
  }
  if (pair.magnitude.defined())
    return kernels::doraUpdateNorm(original, a, b, pair.scaling, pair.magnitude);
  const double square = pair.startA.defined() ? a.mm(a.t()).mul_(b.t().mm(b)).sum().item<double>()
                                              : (grams.a * grams.b).sum().item<double>();
  return std::abs(pair.scaling) * std::sqrt(std::max(0.0, square));
}

}  // namespace

double frobeniusNorm(const at::Tensor& t) {
  const at::NoGradGuard noGrad;
  at::Tensor value = t.detach();
  if (value.dim() == 2 && !value.is_contiguous()) value = value.t();  // an embedding's matrix: the same values
  if (!hasCpuForm(value)) return at::linalg_vector_norm(value.to(at::kDouble), 2).item<double>();
  auto squares = [&](auto zero) {
    const auto* data = value.const_data_ptr<decltype(zero)>();
    return blockwiseSum(value.numel(), [=](int64_t i) {
      const double v = static_cast<double>(static_cast<float>(data[i]));
      return v * v;
    });
  };
  switch (value.scalar_type()) {
    case at::kBFloat16: return std::sqrt(squares(at::BFloat16()));
    case at::kHalf: return std::sqrt(squares(at::Half()));
    default: return std::sqrt(squares(0.0f));
  }
}

double frobeniusDistance(const at::Tensor& a, const at::Tensor& b) {
  const at::NoGradGuard noGrad;
  const at::Tensor left = a.detach(), right = b.detach();
  TORCH_CHECK(left.sizes() == right.sizes(), "frobeniusDistance: shapes ", left.sizes(), " and ", right.sizes());
  if (!hasCpuForm(left) || !hasCpuForm(right))
    return at::linalg_vector_norm(left.to(at::kDouble) - right.to(left.device(), at::kDouble), 2).item<double>();
  switch (left.scalar_type()) {
    case at::kBFloat16: return std::sqrt(squaredDistanceTo<at::BFloat16>(left, right));
    case at::kHalf: return std::sqrt(squaredDistanceTo<at::Half>(left, right));
    default: return std::sqrt(squaredDistanceTo<float>(left, right));
  }
}

FactorProbes::FactorProbes(const Method& method) : m_method(method), m_sites(method.changedSites()) {
  for (const LinearSite* site : m_sites) m_originalNorm.push_back(frobeniusNorm(originalOf(*site)));
}

at::Tensor FactorProbes::originalOf(const LinearSite& site) const {
  const at::Tensor original = m_method.originalWeight(site);
  return original.defined() ? original.detach() : site.denseWeight();
}

FactorStats FactorProbes::measure() const {
  const at::NoGradGuard noGrad;
  FactorStats stats;
  auto relative = [](double update, double original) {
    return original > 0 ? update / original : std::numeric_limits<double>::quiet_NaN();
  };
  const std::vector<FactorPair> pairs = m_method.factorPairs();
  if (pairs.empty()) {
    for (size_t i = 0; i < m_sites.size(); ++i) {
      const at::Tensor original = m_method.originalWeight(*m_sites[i]);
      const double moved = original.defined() ? frobeniusDistance(m_sites[i]->weight, original) : 0.0;
      stats.relativeUpdate.push_back(relative(moved, m_originalNorm[i]));
    }
    return stats;
  }

  const size_t count = pairs.size();
  for (auto* values : {&stats.normA, &stats.normB, &stats.balanceGap, &stats.relativeUpdate}) values->resize(count);
  // Worker threads do not inherit the no-grad mode: the tensors are detached here.
  std::vector<FactorPair> detached = pairs;
  for (FactorPair& pair : detached) {
    pair.A = pair.A.detach();
    pair.B = pair.B.detach();
    if (pair.magnitude.defined()) pair.magnitude = pair.magnitude.detach();
  }
  at::parallel_for(0, static_cast<int64_t>(count), 1, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k) {
      const auto i = static_cast<size_t>(k);
      const Grams grams = gramsOf(detached[i].A, detached[i].B);
      stats.normA[i] = std::sqrt(grams.a.trace().item<double>());
      stats.normB[i] = std::sqrt(grams.b.trace().item<double>());
      stats.balanceGap[i] = at::linalg_vector_norm(grams.a - grams.b, 2).item<double>();
      const double moved = updateNorm(detached[i], grams, originalOf(*detached[i].site));
      stats.relativeUpdate[i] = relative(moved, m_originalNorm[i]);
    }
  });
  return stats;
}

Band bandOf(std::vector<double> values) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  values.erase(std::remove_if(values.begin(), values.end(), [](double v) { return !std::isfinite(v); }), values.end());
  if (values.empty()) return {nan, nan, nan};
  std::sort(values.begin(), values.end());
  auto quantile = [&](double q) {
    const double place = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {quantile(0.5), quantile(0.1), quantile(0.9)};
}

}  // namespace rankscope
