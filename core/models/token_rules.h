#pragma once
// What may be generated next and how one token is chosen: rules that change the scores of tokens in the order that
// transformers applies them, and the draw. Pure functions.

#include <cstdint>
#include <vector>

namespace rankscope {

struct TokenRules {
  std::vector<int64_t> stopTokens;
  int64_t minNewTokens = 0;      // no stop token before as many are generated
  int64_t noRepeatNgram = 0;     // no sequence of this many tokens comes twice; 0: no rule
  double repetitionPenalty = 1;  // of tokens that stand in the text already: scores above 0 divided, others multiplied

  bool stops(int64_t token) const;
  bool any() const { return minNewTokens > 0 || noRepeatNgram > 0 || repetitionPenalty != 1; }
};

// Changes `scores` (logits or log-probabilities of `count` tokens) for the token behind `text`, `fresh` of which are
// generated. Forbidden tokens get -infinity.
void applyRules(const TokenRules& rules, const std::vector<int64_t>& text, int64_t fresh, float* scores, int64_t count);

struct Sampling {
  double temperature = 0;  // 0: the likeliest
  int64_t topK = 0;        // only the k likeliest; 0: all
  double topP = 1;         // only the smallest set of likeliest tokens whose probability reaches this
};
// `uniform` in [0, 1) decides. Among equal scores the lower token comes first.
int64_t chooseToken(const float* scores, int64_t count, const Sampling& sampling, double uniform);

}  // namespace rankscope
