// Answers and choices: SQuAD's scripts and the evaluation harness by their reference cases, and decoding by hand.

#include <QtTest/QtTest>

#include <cmath>
#include <filesystem>
#include <limits>

#include "core/config/json_text.h"
#include "core/eval/answers.h"
#include "core/eval/multiple_choice.h"
#include "core/eval/registry.h"
#include "core/eval/span_decoding.h"

using namespace rankscope;
using nlohmann::json;

namespace {

std::optional<json> golden(const char* name) {
  const std::filesystem::path shared = qEnvironmentVariable("RANKSCOPE_SHARED").toStdString();
  const std::filesystem::path file = shared / "reference/golden/metrics" / name;
  if (!std::filesystem::exists(file)) return std::nullopt;
  Result<json> document = readJsonFile(file);
  return document ? std::optional(*document) : std::nullopt;
}

std::vector<AnsweredQuestion> questionsOf(const json& inputs, std::vector<std::string>& ids) {
  std::vector<AnsweredQuestion> questions;
  for (const json& article : inputs["dataset"]["data"])
    for (const json& paragraph : article["paragraphs"])
      for (const json& asked : paragraph["qas"]) {
        AnsweredQuestion question;
        ids.push_back(asked["id"].get<std::string>());
        question.prediction = inputs["predictions"].value(ids.back(), std::string());
        question.span = question.prediction;
        for (const json& answer : asked["answers"]) question.answers.push_back(answer["text"].get<std::string>());
        if (inputs.contains("na_prob")) question.noAnswer = inputs["na_prob"].value(ids.back(), 0.0);
        questions.push_back(std::move(question));
      }
  return questions;
}

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

  void squadV1() {
    const std::optional<json> test = golden("squad_v1.json");
    if (!test) return;
    std::vector<std::string> ids;
    const std::vector<AnsweredQuestion> questions = questionsOf((*test)["inputs"], ids);
    const auto scores = scoreAnswersV1(questions);
    QVERIFY(scores.ok());
    QVERIFY(std::abs(scores->exact - (*test)["values"]["exact_match"].get<double>()) < 1e-9);
    QVERIFY(std::abs(scores->f1 - (*test)["values"]["f1"].get<double>()) < 1e-9);
    int compared = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!(*test)["questions"].contains(ids[i])) continue;
      const json& wanted = (*test)["questions"][ids[i]];
      QCOMPARE(normalisedAnswer(questions[i].prediction), wanted["normalized_prediction"].get<std::string>());
      std::vector<std::string> normal;
      for (const std::string& answer : questions[i].answers) normal.push_back(normalisedAnswer(answer));
      QCOMPARE(json(normal), wanted["normalized_answers"]);
      const auto one = scoreAnswersV1(std::span(questions).subspan(i, 1));
      QCOMPARE(one->exact, 100 * wanted["exact_match"].get<double>());
      QVERIFY(std::abs(one->f1 - 100 * wanted["f1"].get<double>()) < 1e-9);
      ++compared;
    }
    QVERIFY2(compared > 150, qPrintable(QString::number(compared)));
  }

  void squadV2() {
    const std::optional<json> test = golden("squad_v2.json");
    if (!test) return;
    std::vector<std::string> ids;
    std::vector<AnsweredQuestion> questions = questionsOf((*test)["inputs"], ids);
    const auto same = [](double value, const json& wanted) { return std::abs(value - wanted.get<double>()) < 1e-9; };
    const auto scores = scoreAnswers(questions);
    QVERIFY(scores.ok());
    const json& values = (*test)["values"]["threshold_1.0"];
    QVERIFY(same(scores->exact, values["exact"]) && same(scores->f1, values["f1"]));
    QVERIFY(same(scores->hasAnswerExact, values["HasAns_exact"]) && same(scores->hasAnswerF1, values["HasAns_f1"]));
    QVERIFY(same(scores->noAnswerExact, values["NoAns_exact"]) && same(scores->noAnswerF1, values["NoAns_f1"]));
    QCOMPARE(scores->hasAnswer, values["HasAns_total"].get<size_t>());
    QCOMPARE(scores->unanswerable, values["NoAns_total"].get<size_t>());
    QVERIFY(same(scores->bestExact, values["best_exact"]) && same(scores->bestExactThreshold, values["best_exact_thresh"]));
    QVERIFY(same(scores->bestF1, values["best_f1"]) && same(scores->bestF1Threshold, values["best_f1_thresh"]));
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto one = scoreAnswersV2(std::span(questions).subspan(i, 1));
      QVERIFY(same(one->exact / 100, (*test)["questions"][ids[i]]["exact"]));
      QVERIFY(same(one->f1 / 100, (*test)["questions"][ids[i]]["f1"]));
    }
    for (AnsweredQuestion& question : questions) question.prediction.clear();
    QVERIFY(same(scoreAnswersV2(questions)->f1, (*test)["values_all_empty_predictions"]["f1"]));
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

  void choices() {
    const std::optional<json> test = golden("choice.json");
    if (!test) return;
    int compared = 0, right = 0, rightByLength = 0;
    for (const json& doc : (*test)["docs"]) {
      std::vector<double> sums, lengths;
      for (const json& sum : doc["loglikelihoods"])
        sums.push_back(sum.is_number() ? sum.get<double>() : -std::numeric_limits<double>::infinity());
      for (const json& choice : doc["choices"])
        lengths.push_back(static_cast<double>(QString::fromStdString(choice.get<std::string>()).toUcs4().size()));
      const Chosen chosen = choose(sums, lengths);
      QCOMPARE(chosen.plain, doc["values"]["pred"].get<int>());
      QCOMPARE(chosen.byLength, doc["values"]["pred_norm"].get<int>());
      if (doc["task"] == "hand") continue;
      right += chosen.plain == doc["gold"].get<int>();
      rightByLength += chosen.byLength == doc["gold"].get<int>();
      ++compared;
    }
    QCOMPARE(compared, 200);
    QCOMPARE(right / 200.0, (*test)["totals"]["acc"]["mean"].get<double>());
    QCOMPARE(rightByLength / 200.0, (*test)["totals"]["acc_norm"]["mean"].get<double>());
    QCOMPARE(choose(std::vector<double>{-1, -1}, std::vector<double>{2, 2}).plain, 0);
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
