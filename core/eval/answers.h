#pragma once
// Exact match and F1 of answers, as SQuAD's own scripts compute them (METRICS.md section 10): v1.1 where every question has
// an answer, v2.0 where some have none. Percent, as they print it. Free functions, any thread.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

struct AnsweredQuestion {
  std::string prediction;            // "" = there is no answer
  std::vector<std::string> answers;  // that count as right; none: the question has no answer
  std::string span;                  // the best answer that is one, for the search of thresholds
  double noAnswer = 0;               // larger = rather no answer
};

// Lower case, without ASCII punctuation and without a, an, the; words separated by one blank.
std::string normalisedAnswer(std::string_view text);

struct AnswerScores {
  double exact = 0, f1 = 0;
  double hasAnswerExact = 0, hasAnswerF1 = 0, noAnswerExact = 0, noAnswerF1 = 0;  // v2.0; NaN where there are no such questions
  double bestExact = 0, bestExactThreshold = 0, bestF1 = 0, bestF1Threshold = 0;  // v2.0, over thresholds of noAnswer
  size_t total = 0, hasAnswer = 0, unanswerable = 0;
};
// Each question's best over its answers. No question at all is an error.
Result<AnswerScores> scoreAnswers(std::span<const AnsweredQuestion> questions);    // v1.1, v2.0 where one has no answer
Result<AnswerScores> scoreAnswersV1(std::span<const AnsweredQuestion> questions);  // of AnswerScores exact, f1 and total
Result<AnswerScores> scoreAnswersV2(std::span<const AnsweredQuestion> questions);

}  // namespace rankscope
