#include "core/eval/language_model.h"

#include <fmt/format.h>

#include <cmath>

namespace rankscope {

Result<double> meanNll(double totalNll, int64_t scoredTokens) {
  if (scoredTokens <= 0)
    return Error{ErrorCode::BadInput, "perplexity cannot be computed", "perplexity", fmt::format("{} scored tokens", scoredTokens),
                 "at least 1", "Evaluate on data that holds text."};
  return totalNll / static_cast<double>(scoredTokens);
}

Result<double> perplexity(double totalNll, int64_t scoredTokens) {
  Result<double> mean = meanNll(totalNll, scoredTokens);
  if (!mean) return mean;
  return std::exp(*mean);
}

}  // namespace rankscope
