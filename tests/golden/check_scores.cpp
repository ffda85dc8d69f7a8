// Metrics of given outputs, without a model: SQuAD's scripts, classification and regression, multiple choice by given
// likelihoods. What of a case has no function here (choices against their likelihood alone, average precision) is not
// compared.

#include <cmath>
#include <limits>

#include "core/eval/answers.h"
#include "core/eval/language_model.h"
#include "core/eval/multiple_choice.h"
#include "core/eval/registry.h"
#include "core/text/unicode_text.h"
#include "tests/golden/check.h"

namespace rankscope::golden {

namespace {

using nlohmann::json;

template <typename T>
T valueOf(Result<T> result) {
  if (!result) throw ErrorException(result.error());
  return std::move(result).value();
}

// Python's JSON says "inf", "-inf" and "nan" in words.
double figure(const json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  return std::numeric_limits<double>::quiet_NaN();
}

template <typename T>
std::vector<T> figures(const json& list) {
  std::vector<T> out;
  for (const json& value : list) out.push_back(static_cast<T>(figure(value)));
  return out;
}

double allowedOf(const json& meta, const std::string& key) {
  const json tolerances = meta.value("tolerance", json::object());
  return number(tolerances.contains(key) ? tolerances.at(key) : tolerances.at("default"), "atol");
}

void sameText(const std::string& what, const std::string& got, const std::string& expected, Findings& findings) {
  findings.equal(what, got == expected ? 1 : 0, 1);
}

struct AskedQuestions {
  std::vector<std::string> ids;
  std::vector<AnsweredQuestion> questions;
};

AskedQuestions askedIn(const json& inputs) {
  AskedQuestions asked;
  const json chances = inputs.value("na_prob", json::object());
  for (const json& article : inputs.at("dataset").at("data"))
    for (const json& paragraph : article.at("paragraphs"))
      for (const json& entry : paragraph.at("qas")) {
        AnsweredQuestion question;
        asked.ids.push_back(text(entry, "id"));
        question.prediction = question.span = text(inputs.at("predictions"), asked.ids.back());
        question.noAnswer = numberOr(chances, asked.ids.back(), 0);
        for (const json& answer : entry.at("answers")) question.answers.push_back(text(answer, "text"));
        asked.questions.push_back(std::move(question));
      }
  return asked;
}

void compareV1(const json& meta, const AskedQuestions& asked, const Tolerance& tolerance, Findings& findings) {
  for (const char* key : {"values", "values_with_missing_as_empty"}) {
    const AnswerScores scores = valueOf(scoreAnswersV1(asked.questions));
    findings.close(fmt::format("{}, exact_match", key), scores.exact, number(meta.at(key), "exact_match"), tolerance);
    findings.close(fmt::format("{}, f1", key), scores.f1, number(meta.at(key), "f1"), tolerance);
  }
  for (size_t i = 0; i < asked.ids.size(); ++i) {
    const auto wanted = meta.at("questions").find(asked.ids[i]);
    if (wanted == meta.at("questions").end()) continue;  // one of those left out of the predictions
    const AnsweredQuestion& question = asked.questions[i];
    sameText(asked.ids[i] + ", prediction", normalisedAnswer(question.prediction),
             text(*wanted, "normalized_prediction"), findings);
    for (size_t k = 0; k < question.answers.size(); ++k)
      sameText(asked.ids[i] + ", answer", normalisedAnswer(question.answers[k]),
               wanted->at("normalized_answers").at(k).get<std::string>(), findings);
    const AnswerScores one = valueOf(scoreAnswersV1({&question, 1}));
    findings.close(asked.ids[i] + ", exact_match", one.exact / 100, number(*wanted, "exact_match"), tolerance);
    findings.close(asked.ids[i] + ", f1", one.f1 / 100, number(*wanted, "f1"), tolerance);
  }
}

void compareAnswers(const std::string& what, const AnswerScores& scores, const json& wanted, const Tolerance& tolerance,
                    Findings& findings) {
  const std::pair<const char*, double> values[] = {{"exact", scores.exact},
                                                   {"f1", scores.f1},
                                                   {"total", static_cast<double>(scores.total)},
                                                   {"HasAns_exact", scores.hasAnswerExact},
                                                   {"HasAns_f1", scores.hasAnswerF1},
                                                   {"HasAns_total", static_cast<double>(scores.hasAnswer)},
                                                   {"NoAns_exact", scores.noAnswerExact},
                                                   {"NoAns_f1", scores.noAnswerF1},
                                                   {"NoAns_total", static_cast<double>(scores.unanswerable)},
                                                   {"best_exact", scores.bestExact},
                                                   {"best_exact_thresh", scores.bestExactThreshold},
                                                   {"best_f1", scores.bestF1},
                                                   {"best_f1_thresh", scores.bestF1Threshold}};
  for (const auto& [key, value] : values)
    if (wanted.contains(key)) findings.close(what + ", " + key, value, number(wanted, key), tolerance);
}

void compareV2(const json& meta, AskedQuestions asked, const Tolerance& tolerance, Findings& findings) {
  for (const auto& [name, wanted] : meta.at("values").items()) {
    // The script's threshold silences an answer, which is what an empty prediction says here.
    const size_t mark = name.find("threshold_");
    const double threshold = mark == 0 ? std::stod(name.substr(10)) : std::numeric_limits<double>::infinity();
    std::vector<AnsweredQuestion> questions = asked.questions;
    for (AnsweredQuestion& question : questions)
      if (question.noAnswer > threshold) question.prediction.clear();
    compareAnswers(name, valueOf(scoreAnswersV2(questions)), wanted, tolerance, findings);
  }
  for (size_t i = 0; i < asked.ids.size(); ++i)
    compareAnswers(
        asked.ids[i],
        [&] {
          AnswerScores one = valueOf(scoreAnswersV2({&asked.questions[i], 1}));
          one.exact /= 100;
          one.f1 /= 100;
          return one;
        }(),
        meta.at("questions").at(asked.ids[i]), tolerance, findings);
  for (AnsweredQuestion& question : asked.questions) question.prediction.clear();
  compareAnswers("nothing answered", valueOf(scoreAnswersV2(asked.questions)), meta.at("values_all_empty_predictions"),
                 tolerance, findings);
}

}  // namespace

NotBuilt checkAnswers(const Case& golden, Findings& findings) try {
  const json& meta = golden.meta();
  const Tolerance tolerance{allowedOf(meta, "default"), 0};
  const AskedQuestions asked = askedIn(meta.at("inputs"));
  if (text(meta.at("inputs").at("dataset"), "version") == "1.1")
    compareV1(meta, asked, tolerance, findings);
  else
    compareV2(meta, asked, tolerance, findings);
  return std::nullopt;
} catch (const json::exception& e) {
  malformed("the case is not one of answers", e.what(), "SQuAD's data and predictions");
}

NotBuilt checkPredictions(const Case& golden, Findings& findings) try {
  for (const auto& [name, test] : golden.meta().at("cases").items()) {
    // Sums of squares of 1e16 have no absolute 1e-9.
    const Tolerance tolerance{allowedOf(golden.meta(), name), 1e-12};
    const bool regression = text(test, "config") == "stsb";
    Predictions predictions;
    if (regression) {
      predictions.targets = figures<double>(test.at("labels"));
      predictions.scores = figures<double>(test.at("predictions"));
    } else {
      predictions.labels = figures<int32_t>(test.at("labels"));
      predictions.predicted = figures<int32_t>(test.at("predictions"));
    }
    for (const MetricEntry& entry : metricEntries()) {
      const auto wanted = test.find(entry.name);
      if (entry.tasks.front() != (regression ? "regression" : "classification") || wanted == test.end()) continue;
      const std::string what = name + ", " + entry.name;
      const Result<double> value = entry.compute(predictions);
      if (!wanted->is_object()) findings.close(what, valueOf(value), figure(*wanted), tolerance);
      // Refused there. A squared error of what is not finite is not finite here.
      else if (entry.name == "mse" && value)
        findings.equal(what + ", finite", std::isfinite(*value) ? 1 : 0, 0);
      else
        findings.equal(what + ", refused", value ? 0 : 1, 1);
    }
  }
  return std::nullopt;
} catch (const json::exception& e) {
  malformed("the case is not one of predictions", e.what(), "labels and predictions");
}

NotBuilt checkGivenChoices(const Case& golden, Findings& findings) try {
  const json& meta = golden.meta();
  const Tolerance tolerance{allowedOf(meta, "default"), 0};
  double right = 0, rightByLength = 0, rows = 0;
  for (const json& doc : meta.at("docs")) {
    const std::string what = fmt::format("{} {}", text(doc, "task"), doc.value("row", json(nullptr)).dump());
    const std::vector<double> sums = figures<double>(doc.at("loglikelihoods"));
    std::vector<double> lengths;
    for (const json& choice : doc.at("choices")) {
      const auto& spoken = choice.get_ref<const std::string&>();
      double characters = 0;
      for (size_t at = 0; at < spoken.size(); ++characters) nextCharacter(spoken, at);
      lengths.push_back(characters);
    }
    const Chosen chosen = choose(sums, lengths);
    findings.equal(what + ", chosen", chosen.plain, static_cast<int64_t>(number(doc.at("values"), "pred")));
    findings.equal(what + ", by length", chosen.byLength, static_cast<int64_t>(number(doc.at("values"), "pred_norm")));
    if (text(doc, "task") == "hand") continue;  // not in the totals
    const auto gold = static_cast<int32_t>(number(doc, "gold"));
    right += chosen.plain == gold;
    rightByLength += chosen.byLength == gold;
    ++rows;
  }
  findings.close("acc", right / rows, number(meta.at("totals").at("acc"), "mean"), tolerance);
  findings.close("acc_norm", rightByLength / rows, number(meta.at("totals").at("acc_norm"), "mean"), tolerance);
  double sum = 0, words = 0, bytes = 0;
  for (const json& row : meta.at("rolling").at("rows")) {
    sum -= number(row, "loglikelihood");
    words += number(row, "words");
    bytes += number(row, "bytes");
  }
  findings.close("word perplexity", valueOf(perplexity(sum, static_cast<int64_t>(words))),
                 number(meta.at("rolling"), "word_perplexity"), tolerance);
  findings.close("byte perplexity", valueOf(perplexity(sum, static_cast<int64_t>(bytes))),
                 number(meta.at("rolling"), "byte_perplexity"), tolerance);
  return std::nullopt;
} catch (const json::exception& e) {
  malformed("the case is not one of choices", e.what(), "choices with likelihoods");
}

}  // namespace rankscope::golden
