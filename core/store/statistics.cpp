// Mean, spread and Student's t, and which way a metric is better.

#include <algorithm>
#include <cmath>

#include "core/store/run_types.h"

namespace rankscope {
namespace {

// Regularised incomplete beta function by Lentz's continued fraction (Abramowitz & Stegun 26.5.8).
double incompleteBeta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(b, a, 1 - x);
  constexpr double kTiny = 1e-300;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x)) / a;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (std::abs(d) < kTiny ? kTiny : d);
  double fraction = d;
  for (int m = 1; m < 500; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double change = 1;
    for (const double term : {even, odd}) {
      d = 1 + term * d;
      d = 1 / (std::abs(d) < kTiny ? kTiny : d);
      c = 1 + term / c;
      if (std::abs(c) < kTiny) c = kTiny;
      change = d * c;
      fraction *= change;
    }
    if (std::abs(change - 1) < 1e-15) break;
  }
  return front * fraction;
}

double studentDistribution(double t, double degrees) {
  const double tail = 0.5 * incompleteBeta(degrees / 2, 0.5, degrees / (degrees + t * t));
  return t > 0 ? 1 - tail : tail;
}

}  // namespace

double studentQuantile(double probability, double degreesOfFreedom) {
  if (!(probability > 0 && probability < 1) || !(degreesOfFreedom > 0)) return kUnknown;
  if (probability == 0.5) return 0;
  if (probability < 0.5) return -studentQuantile(1 - probability, degreesOfFreedom);
  double low = 0, high = 1;
  while (studentDistribution(high, degreesOfFreedom) < probability && high < 1e12) high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-13 * high; ++i) {
    const double middle = (low + high) / 2;
    (studentDistribution(middle, degreesOfFreedom) < probability ? low : high) = middle;
  }
  return (low + high) / 2;
}

GroupStatistic groupStatistic(const std::vector<double>& values, double level) {
  GroupStatistic all;
  double mean = 0, squares = 0;  // Welford's running form: no cancellation for large means
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    ++all.n;
    const double delta = value - mean;
    mean += delta / static_cast<double>(all.n);
    squares += delta * (value - mean);
    all.min = all.n == 1 ? value : std::min(all.min, value);
    all.max = all.n == 1 ? value : std::max(all.max, value);
  }
  if (all.n == 0) return all;
  all.mean = mean;
  if (all.n < 2) return all;
  const auto n = static_cast<double>(all.n);
  all.sd = std::sqrt(squares / (n - 1));
  const double half = studentQuantile(0.5 + level / 2, n - 1) * all.sd / std::sqrt(n);
  all.low = mean - half;
  all.high = mean + half;
  return all;
}

Better betterDirection(const std::string& metricName) {
  const size_t slash = metricName.find('/');
  const std::string kind = metricName.substr(0, slash);
  const std::string name = slash == std::string::npos ? metricName : metricName.substr(slash + 1);
  const auto has = [&name](const char* part) { return name.find(part) != std::string::npos; };
  if (has("loss") || has("perplexity") || has("error") || has("mse") || has("mae") || name == "bits_per_byte" ||
      has("step_seconds") || name == "seconds")
    return Better::Lower;
  if (kind == "memory" || name == "memory") return Better::Lower;
  if (has("_per_second")) return Better::Higher;
  if (kind == "eval" || name == "accuracy" || name == "f1" || name == "matthews" || name == "pearson" ||
      name == "spearman")
    return Better::Higher;
  return Better::Neither;
}

bool RunRow::live() const {
  return status == "loading" || status == "running" || status == "paused" || status == "evaluating" ||
         status == "checkpointing" || status == "sampling";
}

}  // namespace rankscope
