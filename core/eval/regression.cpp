#include "core/eval/regression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace rankscope {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

Result<void> checkSizes(size_t targets, size_t scores, size_t least, const char* metric) {
  if (targets == scores && targets >= least) return {};
  return Error{ErrorCode::BadInput, "metric cannot be computed", metric,
               fmt::format("{} targets and {} predictions", targets, scores), fmt::format("equal counts of at least {}", least),
               "Evaluate on data with more rows that have a score."};
}

bool constant(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [&](double value) { return value == values.front(); });
}

// Centred and scaled before multiplying, so that a large common offset costs as little precision as it can.
double correlation(std::span<const double> x, std::span<const double> y) {
  const auto centred = [](std::span<const double> values) {
    long double sum = 0;
    for (const double value : values) sum += value;
    const long double mean = sum / static_cast<long double>(values.size());
    std::vector<long double> result(values.size());
    for (size_t i = 0; i < values.size(); ++i) result[i] = values[i] - mean;
    return result;
  };
  const std::vector<long double> a = centred(x), b = centred(y);
  const auto dot = [](const std::vector<long double>& u, const std::vector<long double>& v) {
    return std::inner_product(u.begin(), u.end(), v.begin(), 0.0L);
  };
  const long double spread = std::sqrt(dot(a, a)) * std::sqrt(dot(b, b));
  if (!(spread > 0)) return kNone;
  return static_cast<double>(std::clamp(dot(a, b) / spread, -1.0L, 1.0L));
}

std::vector<double> averageRanks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = (static_cast<double>(begin + end) + 1) / 2;
    begin = end;
  }
  return ranks;
}

bool anyNan(std::span<const double> values) {
  return std::any_of(values.begin(), values.end(), [](double value) { return std::isnan(value); });
}

}  // namespace

Result<double> pearson(std::span<const double> targets, std::span<const double> scores) {
  if (Result<void> sizes = checkSizes(targets.size(), scores.size(), 2, "pearson"); !sizes) return sizes.error();
  const auto finite = [](std::span<const double> values) {
    return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
  };
  if (!finite(targets) || !finite(scores) || constant(targets) || constant(scores)) return kNone;
  return correlation(targets, scores);
}

Result<double> spearman(std::span<const double> targets, std::span<const double> scores) {
  if (Result<void> sizes = checkSizes(targets.size(), scores.size(), 0, "spearman"); !sizes) return sizes.error();
  if (targets.size() < 2 || anyNan(targets) || anyNan(scores) || constant(targets) || constant(scores)) return kNone;
  return correlation(averageRanks(targets), averageRanks(scores));
}

Result<double> meanSquaredError(std::span<const double> targets, std::span<const double> scores) {
  if (Result<void> sizes = checkSizes(targets.size(), scores.size(), 1, "mse"); !sizes) return sizes.error();
  double sum = 0;
  for (size_t i = 0; i < targets.size(); ++i) sum += (targets[i] - scores[i]) * (targets[i] - scores[i]);
  return sum / static_cast<double>(targets.size());
}

}  // namespace rankscope
