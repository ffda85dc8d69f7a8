#include "core/eval/classification.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace rankscope {
namespace {

Result<void> checkSizes(size_t labels, size_t predicted, const char* metric) {
  if (labels == predicted && labels > 0) return {};
  return Error{ErrorCode::BadInput, "metric cannot be computed", metric,
               fmt::format("{} labels and {} predictions", labels, predicted), "equal counts of at least 1",
               "Evaluate on data that has labelled rows."};
}

struct ClassCounts {
  int64_t gold = 0, predicted = 0, right = 0;
};

std::map<int32_t, ClassCounts> countClasses(std::span<const int32_t> labels, std::span<const int32_t> predicted) {
  std::map<int32_t, ClassCounts> counts;
  for (size_t i = 0; i < labels.size(); ++i) {
    ++counts[labels[i]].gold;
    ++counts[predicted[i]].predicted;
    if (labels[i] == predicted[i]) ++counts[labels[i]].right;
  }
  return counts;
}

double f1Of(const ClassCounts& counts) {
  const int64_t both = counts.gold + counts.predicted;  // 2TP + FP + FN
  return both == 0 ? 0.0 : 2.0 * static_cast<double>(counts.right) / static_cast<double>(both);
}

}  // namespace

Result<double> accuracy(std::span<const int32_t> labels, std::span<const int32_t> predicted) {
  if (Result<void> sizes = checkSizes(labels.size(), predicted.size(), "accuracy"); !sizes) return sizes.error();
  size_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) right += labels[i] == predicted[i];
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

Result<double> binaryF1(std::span<const int32_t> labels, std::span<const int32_t> predicted, int32_t positive) {
  if (Result<void> sizes = checkSizes(labels.size(), predicted.size(), "f1"); !sizes) return sizes.error();
  return f1Of(countClasses(labels, predicted)[positive]);
}

Result<double> macroF1(std::span<const int32_t> labels, std::span<const int32_t> predicted) {
  if (Result<void> sizes = checkSizes(labels.size(), predicted.size(), "f1_macro"); !sizes) return sizes.error();
  const std::map<int32_t, ClassCounts> counts = countClasses(labels, predicted);
  double sum = 0;
  for (const auto& [label, count] : counts) sum += f1Of(count);
  return sum / static_cast<double>(counts.size());
}

Result<double> matthews(std::span<const int32_t> labels, std::span<const int32_t> predicted) {
  if (Result<void> sizes = checkSizes(labels.size(), predicted.size(), "matthews"); !sizes) return sizes.error();
  // R_K = (c·s − Σ t_k p_k) / √((s² − Σ p_k²)(s² − Σ t_k²)); s rows, c right, t_k gold and p_k predicted rows of class k.
  const double s = static_cast<double>(labels.size());
  double right = 0, cross = 0, goldSquares = 0, predictedSquares = 0;
  for (const auto& [label, count] : countClasses(labels, predicted)) {
    const double t = static_cast<double>(count.gold), p = static_cast<double>(count.predicted);
    right += static_cast<double>(count.right);
    cross += t * p;
    goldSquares += t * t;
    predictedSquares += p * p;
  }
  const double spread = (s * s - predictedSquares) * (s * s - goldSquares);
  return spread <= 0 ? 0.0 : (right * s - cross) / std::sqrt(spread);
}

}  // namespace rankscope
