#pragma once
// How likely a causal model finds given continuations: for multiple choice by likelihood and for perplexity of texts
// longer than the model's positions. Adapters are active; nothing is sampled; no gradients.

#include <cstdint>
#include <vector>

#include "core/models/model.h"

namespace rankscope {

struct ContinuationRequest {
  std::vector<int64_t> context;       // at least one token, the start token when there is nothing else
  std::vector<int64_t> continuation;  // at least one token
};

struct ContinuationScore {
  double logLikelihood = 0;
  bool greedy = true;         // every token is the likeliest one behind those before it
  std::vector<float> tokens;  // log-probability of each
};

struct ScoreOptions {
  int64_t maxLength = 0;          // tokens that the model reads at once; 0: its positions
  int64_t tokensPerBatch = 2048;  // requests are packed up to this many tokens
};

// In the order of the requests. A context that does not fit loses its beginning; a continuation that does not fit is
// refused.
Result<std::vector<ContinuationScore>> scoreContinuations(Model& model,
                                                          const std::vector<ContinuationRequest>& requests,
                                                          const ScoreOptions& options = {});

// A text of any length as requests that score each of its tokens once: windows of `maxLength` tokens, each of which
// sees at least `contextLength` tokens before the first one it scores; `first` stands before the text. The rule of
// EleutherAI's evaluation harness.
std::vector<ContinuationRequest> rollingWindows(const std::vector<int64_t>& text, int64_t first, int64_t maxLength,
                                                int64_t contextLength);

}  // namespace rankscope
