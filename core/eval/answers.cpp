#include "core/eval/answers.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

namespace rankscope {
namespace {

// \w of Python's regular expressions.
bool isWord(UChar32 c) {
  return c == '_' || u_isalpha(c) || u_getIntPropertyValue(c, UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}

// What Python's str.split() splits at.
bool isSpace(UChar32 c) { return u_isUWhiteSpace(c) || (c >= 0x1C && c <= 0x1F); }

bool isAsciiPunctuation(UChar32 c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

std::vector<std::string> wordsOf(const std::string& normalised) {
  std::vector<std::string> words;
  for (size_t at = 0; at < normalised.size();) {
    const size_t end = std::min(normalised.find(' ', at), normalised.size());
    words.push_back(normalised.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

// `emptyRule`: v2.0's, by which two empty answers agree.
double wordF1(const std::string& prediction, const std::string& answer, bool emptyRule) {
  const std::vector<std::string> a = wordsOf(prediction), b = wordsOf(answer);
  if (emptyRule && (a.empty() || b.empty())) return a.empty() == b.empty() ? 1 : 0;
  std::map<std::string, int> counts;
  for (const std::string& word : b) ++counts[word];
  double same = 0;
  for (const std::string& word : a)
    if (const auto found = counts.find(word); found != counts.end() && found->second-- > 0) ++same;
  if (same == 0) return 0;
  const double precision = same / static_cast<double>(a.size()), recall = same / static_cast<double>(b.size());
  return 2 * precision * recall / (precision + recall);
}

struct OneScore {
  double exact = 0, f1 = 0;
  bool hasAnswer = true;
};

OneScore scoreOne(const std::string& text, const std::vector<std::string>& answers, bool v2) {
  const std::string prediction = normalisedAnswer(text);
  std::vector<std::string> wanted;
  for (const std::string& answer : answers)
    if (std::string plain = normalisedAnswer(answer); !v2 || !plain.empty()) wanted.push_back(std::move(plain));
  OneScore score;
  score.hasAnswer = !answers.empty();
  if (v2 && wanted.empty()) wanted.emplace_back();
  for (const std::string& answer : wanted) {
    score.exact = std::max(score.exact, prediction == answer ? 1.0 : 0.0);
    score.f1 = std::max(score.f1, wordF1(prediction, answer, v2));
  }
  return score;
}

Error nothing() {
  return {ErrorCode::BadInput, "answers cannot be scored", "exact_match", "no question", "at least one",
          "Evaluate on data that holds questions."};
}

// The script's search: from "no answer to anything", questions get their answers in the order of their noAnswer.
void findBest(std::span<const AnsweredQuestion> questions, const std::vector<OneScore>& scores, double OneScore::*which,
              double& best, double& threshold) {
  std::vector<size_t> order(questions.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return questions[a].noAnswer < questions[b].noAnswer; });
  double sum = static_cast<double>(std::count_if(scores.begin(), scores.end(), [](const OneScore& s) { return !s.hasAnswer; }));
  best = sum;
  threshold = 0;
  for (const size_t i : order) {
    sum += scores[i].hasAnswer ? scores[i].*which : questions[i].span.empty() ? 0 : -1;
    if (sum <= best) continue;
    best = sum;
    threshold = questions[i].noAnswer;
  }
  best *= 100 / static_cast<double>(questions.size());
}

}  // namespace

std::string normalisedAnswer(std::string_view text) {
  icu::UnicodeString lower = icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(std::min<size_t>(text.size(), INT32_MAX))});
  lower.toLower(icu::Locale::getRoot());
  icu::UnicodeString plain;
  for (int32_t i = 0; i < lower.length(); i = lower.moveIndex32(i, 1))
    if (const UChar32 c = lower.char32At(i); !isAsciiPunctuation(c)) plain.append(c);
  std::string result, run;
  bool space = false;
  const auto put = [&](const icu::UnicodeString& piece) {
    std::string bytes;
    piece.toUTF8String(bytes);
    if (space && !result.empty()) result += ' ';
    space = false;
    result += bytes;
  };
  for (int32_t i = 0; i < plain.length();) {
    const UChar32 c = plain.char32At(i);
    int32_t end = plain.moveIndex32(i, 1);
    if (isSpace(c)) {
      space = true;
    } else if (isWord(c)) {
      while (end < plain.length() && isWord(plain.char32At(end))) end = plain.moveIndex32(end, 1);
      const icu::UnicodeString word = plain.tempSubStringBetween(i, end);
      if (word == u"a" || word == u"an" || word == u"the") space = true;
      else put(word);
    } else {
      put(plain.tempSubStringBetween(i, end));
    }
    i = end;
  }
  return result;
}

Result<AnswerScores> scoreAnswersV1(std::span<const AnsweredQuestion> questions) {
  if (questions.empty()) return nothing();
  AnswerScores scores;
  scores.total = questions.size();
  for (const AnsweredQuestion& question : questions) {
    const OneScore one = scoreOne(question.prediction, question.answers, false);
    scores.exact += one.exact;
    scores.f1 += one.f1;
  }
  scores.exact *= 100 / static_cast<double>(scores.total);
  scores.f1 *= 100 / static_cast<double>(scores.total);
  return scores;
}

Result<AnswerScores> scoreAnswersV2(std::span<const AnsweredQuestion> questions) {
  if (questions.empty()) return nothing();
  AnswerScores scores;
  scores.total = questions.size();
  std::vector<OneScore> spans;
  for (const AnsweredQuestion& question : questions) {
    const OneScore one = scoreOne(question.prediction, question.answers, true);
    spans.push_back(scoreOne(question.span, question.answers, true));
    scores.exact += one.exact;
    scores.f1 += one.f1;
    ++(one.hasAnswer ? scores.hasAnswer : scores.unanswerable);
    (one.hasAnswer ? scores.hasAnswerExact : scores.noAnswerExact) += one.exact;
    (one.hasAnswer ? scores.hasAnswerF1 : scores.noAnswerF1) += one.f1;
  }
  const auto share = [](double& sum, size_t count) {
    sum = count > 0 ? 100 * sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();
  };
  share(scores.exact, scores.total);
  share(scores.f1, scores.total);
  share(scores.hasAnswerExact, scores.hasAnswer);
  share(scores.hasAnswerF1, scores.hasAnswer);
  share(scores.noAnswerExact, scores.unanswerable);
  share(scores.noAnswerF1, scores.unanswerable);
  findBest(questions, spans, &OneScore::exact, scores.bestExact, scores.bestExactThreshold);
  findBest(questions, spans, &OneScore::f1, scores.bestF1, scores.bestF1Threshold);
  return scores;
}

Result<AnswerScores> scoreAnswers(std::span<const AnsweredQuestion> questions) {
  const bool all = std::none_of(questions.begin(), questions.end(), [](const AnsweredQuestion& q) { return q.answers.empty(); });
  return all ? scoreAnswersV1(questions) : scoreAnswersV2(questions);
}

}  // namespace rankscope
