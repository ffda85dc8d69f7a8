#include "core/eval/multiple_choice.h"

#include <algorithm>

namespace rankscope {

Chosen choose(std::span<const double> logLikelihoods, std::span<const double> characters) {
  Chosen chosen;
  double best = 0, bestByLength = 0;
  for (size_t i = 0; i < std::min(logLikelihoods.size(), characters.size()); ++i) {
    const double byLength = logLikelihoods[i] / std::max(1.0, characters[i]);
    if (i == 0 || logLikelihoods[i] > best) {
      best = logLikelihoods[i];
      chosen.plain = static_cast<int32_t>(i);
    }
    if (i == 0 || byLength > bestByLength) {
      bestByLength = byLength;
      chosen.byLength = static_cast<int32_t>(i);
    }
  }
  return chosen;
}

}  // namespace rankscope
