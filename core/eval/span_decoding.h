#pragma once
// From start and end scores of every token to one answer a question: the best pairs over all windows of its text, and the
// score of there being none (the decoding of BERT's run_squad and of transformers' examples). Free functions, any thread.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/eval/answers.h"

namespace rankscope {

struct SpanWindow {
  std::vector<float> start, end;                      // of each token; the first token's stand for "not here"
  std::vector<std::pair<uint32_t, uint32_t>> places;  // bytes of the context; empty ranges for tokens outside it
};

struct SpanRules {
  size_t best = 20;          // starts and ends tried in each window
  size_t longest = 30;       // tokens of an answer
  bool noAnswer = false;     // a question may have no answer
  double threshold = 0;      // none is given when its score exceeds the best answer's by more than this
};

// `prediction`, `span` and `noAnswer` of the question; its `answers` are the caller's.
AnsweredQuestion decodeAnswer(std::string_view context, std::span<const SpanWindow> windows, const SpanRules& rules);

}  // namespace rankscope
