#pragma once
// How likely a masked language model finds a text: each token masked in turn, the logarithm of its probability at its own
// place (the pseudo log-likelihood of Salazar et al., "Masked Language Model Scoring", 2020). For pseudo-losses and for
// choosing among answers by likelihood.

#include <functional>
#include <vector>

#include "core/models/model.h"

namespace rankscope {

struct MaskedText {
  std::vector<int64_t> ids;         // with the special tokens at both ends, as the tokenizer gives them
  std::vector<int64_t> tokenTypes;  // empty: all zero
  std::vector<int64_t> places;      // tokens to score, ascending; empty: all but the first and the last
};

struct MaskedScore {
  std::vector<double> logProbabilities;  // one for each scored place, natural logarithm
  double sum() const;                    // the pseudo log-likelihood
  double pseudoLoss() const;             // -sum / places; 0 when nothing was scored
};

struct MaskedScoringOptions {
  int64_t maskId = -1;
  int64_t tokensPerPass = 8192;
  std::function<bool()> cancel{};  // asked before each pass; true ends with ErrorCode::Interrupted
};

// In the order of `texts`. The model needs its masked-LM head.
Result<std::vector<MaskedScore>> scoreMasked(Model& model, const std::vector<MaskedText>& texts,
                                             const MaskedScoringOptions& options);

}  // namespace rankscope
