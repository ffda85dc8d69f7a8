#pragma once
// Metrics of language models (METRICS.md section 14): natural logarithms, totals first, then the quotient.

#include <cstdint>

#include "core/config/result.h"

namespace rankscope {

// Mean negative log-likelihood a scored token; no scored token is an error.
Result<double> meanNll(double totalNll, int64_t scoredTokens);
// exp(meanNll); infinity where that overflows.
Result<double> perplexity(double totalNll, int64_t scoredTokens);

}  // namespace rankscope
