// Answers and choices by hand, and decoding. The reference cases (SQuAD's scripts, the evaluation harness) are
// golden_check's.

#include <QtTest/QtTest>

#include "core/eval/answers.h"
#include "core/eval/multiple_choice.h"
#include "core/eval/registry.h"
#include "core/eval/span_decoding.h"

using namespace rankscope;

namespace {

SpanWindow window(std::vector<float> start, std::vector<float> end, std::vector<std::pair<uint32_t, uint32_t>> places) {
  return {std::move(start), std::move(end), std::move(places)};
}

}  // namespace

class AnswersTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void normalisation() {
    QCOMPARE(normalisedAnswer("The  well-known, 1,000 \"Answers\"!"), std::string("wellknown 1000 answers"));
    QCOMPARE(normalisedAnswer("a\u00a0An THE theory"), std::string("theory"));
    QCOMPARE(normalisedAnswer("\u2019s \u2014 \uff21"), std::string("\u2019s \u2014 \uff41"));
    QCOMPARE(normalisedAnswer("\u0130"), std::string("i\u0307"));
    QCOMPARE(normalisedAnswer(" \t"), std::string());
    QCOMPARE(normalisedAnswer("an\u2014a x_the"), std::string("\u2014 xthe"));
  }

  void emptyAnswersDifferByVersion() {
    AnsweredQuestion question;
    question.answers = {"the"};
    QCOMPARE(scoreAnswersV1({&question, 1})->exact, 100.0);
    QCOMPARE(scoreAnswersV1({&question, 1})->f1, 0.0);
    QCOMPARE(scoreAnswersV2({&question, 1})->f1, 100.0);
    QVERIFY(!scoreAnswers({}).ok());
    Predictions predictions;
    predictions.questions = {question};
    const auto values = computeMetrics("question_answering", predictions);
    QVERIFY(values.ok());
    QCOMPARE(values->at("exact_match"), 1.0);
    QVERIFY(!values->contains("no_answer_exact"));
    predictions.questions.push_back({});  // one without an answer: the rules of v2.0
    QCOMPARE(computeMetrics("question_answering", predictions)->at("no_answer_exact"), 1.0);
    QCOMPARE(computeMetrics("question_answering", predictions)->at("has_answer_f1"), 1.0);
  }

  void choicesThatTie() {
    QCOMPARE(choose(std::vector<double>{-1, -1}, std::vector<double>{2, 2}).plain, 0);
    QCOMPARE(choose(std::vector<double>{-3, -2, -2}, std::vector<double>{6, 1, 4}).plain, 1);
    QCOMPARE(choose(std::vector<double>{-3, -2, -2}, std::vector<double>{6, 1, 4}).byLength, 0);
  }

  void decoding() {
    const std::string text = "one two three four";
    const std::vector<std::pair<uint32_t, uint32_t>> places = {{0, 0}, {0, 3}, {4, 7}, {8, 13}, {14, 18}};
    // The best pair: in order, inside the text, not too long.
    std::vector<SpanWindow> windows = {window({9, 1, 5, 0, 0}, {9, 7, 0, 4, 3}, places)};
    SpanRules rules;
    QCOMPARE(decodeAnswer(text, windows, rules).prediction, std::string("two three"));
    rules.longest = 1;
    QCOMPARE(decodeAnswer(text, windows, rules).prediction, std::string("one"));
    rules.longest = 30;
    // No answer where its score is larger by more than the threshold, in every window.
    rules.noAnswer = true;
    AnsweredQuestion answered = decodeAnswer(text, windows, rules);
    QCOMPARE(answered.prediction, std::string());
    QCOMPARE(answered.span, std::string("two three"));
    QCOMPARE(answered.noAnswer, 18.0 - 9.0);
    rules.threshold = 9;
    QCOMPARE(decodeAnswer(text, windows, rules).prediction, std::string("two three"));
    rules.threshold = 0;
    windows.push_back(window({1, 0, 0}, {1, 3, 0}, {{0, 0}, {14, 18}, {0, 0}}));
    QCOMPARE(decodeAnswer(text, windows, rules).prediction, std::string("two three"));
    // A later window's answer wins by its score alone; a token's leading blank is not part of the answer.
    windows.push_back(window({0, 20}, {0, 20}, {{0, 0}, {7, 13}}));
    QCOMPARE(decodeAnswer(text, windows, rules).prediction, std::string("three"));
    // Nothing to choose from, and scores without places.
    QCOMPARE(decodeAnswer(text, {}, rules).prediction, std::string());
    windows = {window({1, 2}, {1, 2}, {{0, 0}, {10, 99}})};
    QCOMPARE(decodeAnswer(text, windows, rules).span, std::string());
  }
};

QTEST_APPLESS_MAIN(AnswersTest)
#include "answers.moc"
