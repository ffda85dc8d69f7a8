#pragma once
// Hidden tokens for a masked language model (Devlin et al., "BERT", 2019): of the tokens that count, a share is to be told;
// of these 80 % become the mask, 10 % a random token, 10 % stay. What is hidden is a function of (seed, draw, example) alone,
// so that a run repeats and resumes without any generator's state. Free functions, any thread.

#include <cstdint>
#include <span>
#include <vector>

#include "core/config/result.h"
#include "core/data/example.h"
#include "core/text/tokenizer.h"

namespace rankscope {

struct TokenMasking {
  double share = 0.15;
  int32_t maskId = -1;
  uint64_t seed = 0;
  std::vector<int32_t> words;  // tokens that a random one is drawn from: all but special ones

  // An error when the tokenizer has no mask.
  static Result<TokenMasking> make(const Tokenizer& tokenizer, double share, uint64_t seed);
};

// The draw of evaluations: the same tokens are hidden in every one.
inline constexpr uint64_t kEvaluationDraw = UINT64_MAX;

struct MaskedExample {
  std::vector<int32_t> ids;     // as the model reads them
  std::vector<int32_t> labels;  // what stood there, or kIgnoreLabel
};
// `number` tells examples apart that are read by the same draw (their place in the set). At least one token is hidden.
MaskedExample maskExample(const ExampleView& example, const TokenMasking& masking, uint64_t draw, uint64_t number);

}  // namespace rankscope
