#include "core/eval/registry.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/config/option_spec.h"
#include "core/eval/classification.h"
#include "core/eval/language_model.h"
#include "core/eval/regression.h"

namespace rankscope {
namespace {

// Like the other metrics a share of 1, where the script prints percent. Figures of v2.0 have no value under v1.1.
Result<double> share(const Predictions& predictions, double AnswerScores::*which) {
  Result<AnswerScores> scores = scoreAnswers(predictions.questions);
  if (!scores) return scores.error();
  const bool both = which == &AnswerScores::exact || which == &AnswerScores::f1;
  if (!both && scores->unanswerable == 0) return std::numeric_limits<double>::quiet_NaN();
  return (*scores).*which / 100;
}

}  // namespace

const std::vector<MetricEntry>& metricEntries() {
  static const std::vector<std::string> classification = {"classification", "image_classification"}, regression = {"regression"},
                                        language = {"causal_lm", "instruction"}, masked = {"masked_lm"},
                                        choices = {"multiple_choice"}, questions = {"question_answering"};
  static const std::vector<MetricEntry> entries = {
      {"accuracy", "Accuracy", "Share of rows whose predicted class is the label, or whose likeliest choice is the right one.",
       BetterWhen::Higher, {"classification", "image_classification", "multiple_choice"},
       [](const Predictions& p) { return accuracy(p.labels, p.predicted); }},
      {"f1", "F1", "2TP / (2TP + FP + FN) of class 1, for two classes. 0 where class 1 appears nowhere.", BetterWhen::Higher,
       classification, [](const Predictions& p) { return binaryF1(p.labels, p.predicted); }},
      {"f1_macro", "Macro F1", "Plain mean of the F1 of every class that appears in labels or predictions.",
       BetterWhen::Higher, classification, [](const Predictions& p) { return macroF1(p.labels, p.predicted); }},
      {"matthews", "Matthews correlation",
       "Correlation of labels and predictions, from -1 to 1, also for several classes. 0 where either holds one class only.",
       BetterWhen::Higher, classification, [](const Predictions& p) { return matthews(p.labels, p.predicted); }},
      {"pearson", "Pearson correlation", "Linear correlation of scores and targets. No value where either is constant.",
       BetterWhen::Higher, regression, [](const Predictions& p) { return pearson(p.targets, p.scores); }},
      {"spearman", "Spearman correlation", "Pearson correlation of the ranks, ties averaged.", BetterWhen::Higher, regression,
       [](const Predictions& p) { return spearman(p.targets, p.scores); }},
      {"mse", "Mean squared error", "Mean of the squared differences of scores and targets.", BetterWhen::Lower, regression,
       [](const Predictions& p) { return meanSquaredError(p.targets, p.scores); }},
      {"perplexity", "Perplexity",
       "exp of the mean negative log-likelihood (natural logarithm) of all scored tokens of the evaluation set.",
       BetterWhen::Lower, language, [](const Predictions& p) { return perplexity(p.totalNll, p.scoredTokens); }},
      {"masked_perplexity", "Masked perplexity",
       "exp of the mean negative log-likelihood of the hidden tokens, the same ones in every evaluation. Not comparable with "
       "a perplexity of running text.",
       BetterWhen::Lower, masked, [](const Predictions& p) { return perplexity(p.totalNll, p.scoredTokens); }},
      {"accuracy_norm", "Accuracy by length",
       "Share of rows whose choice with the largest log-likelihood per character is the right one.", BetterWhen::Higher,
       choices, [](const Predictions& p) { return accuracy(p.labels, p.predictedByLength); }},
      {"exact_match", "Exact match",
       "Share of questions whose answer equals one of the given ones after SQuAD's normalisation (its script prints it times "
       "100).",
       BetterWhen::Higher, questions, [](const Predictions& p) { return share(p, &AnswerScores::exact); }},
      {"answer_f1", "F1 of answers",
       "Mean over questions of the largest F1 of words with a given answer, as SQuAD's script computes it (it prints it "
       "times 100): v2.0's rules where some question has no answer, else v1.1's.",
       BetterWhen::Higher, questions, [](const Predictions& p) { return share(p, &AnswerScores::f1); }},
      {"has_answer_f1", "F1 where there is an answer", "The F1 of answers over the questions that have one; v2.0 only.",
       BetterWhen::Higher, questions, [](const Predictions& p) { return share(p, &AnswerScores::hasAnswerF1); }, true},
      {"no_answer_exact", "Right silence", "Share of the questions without an answer to which none was given; v2.0 only.",
       BetterWhen::Higher, questions, [](const Predictions& p) { return share(p, &AnswerScores::noAnswerExact); }, true},
      {"best_answer_f1", "Best F1 of answers",
       "The F1 of answers at the threshold of silence that gives the largest; v2.0 only.", BetterWhen::Higher, questions,
       [](const Predictions& p) { return share(p, &AnswerScores::bestF1); }, true},
  };
  return entries;
}

Result<const MetricEntry*> findMetric(const std::string& name) {
  const std::string bare = name.starts_with("eval/") ? name.substr(5) : name;
  std::vector<std::string> known;
  for (const MetricEntry& entry : metricEntries()) {
    if (entry.name == bare) return &entry;
    known.push_back(entry.name);
  }
  std::string list;
  for (const std::string& each : known) list += (list.empty() ? "" : ", ") + each;
  const std::string near = nearestText(bare, known);
  return Error{ErrorCode::Usage, "no such metric", "metric", name, list,
               near.empty() ? "Choose one of these metrics." : "Did you mean " + near + "?"};
}

std::vector<const MetricEntry*> metricsOfTask(const std::string& task, int64_t classes) {
  std::vector<const MetricEntry*> found;
  for (const MetricEntry& entry : metricEntries()) {
    if (std::find(entry.tasks.begin(), entry.tasks.end(), task) == entry.tasks.end()) continue;
    if (entry.name == "f1" && classes != 0 && classes != 2) continue;
    if (entry.name == "f1_macro" && classes == 2) continue;
    found.push_back(&entry);
  }
  return found;
}

std::string mainMetric(const std::string& task) {
  if (task == "classification" || task == "image_classification" || task == "multiple_choice") return "accuracy";
  if (task == "question_answering") return "answer_f1";
  if (task == "regression") return "pearson";
  return "loss";
}

Result<std::map<std::string, double>> computeMetrics(const std::string& task, const Predictions& predictions) {
  std::map<std::string, double> values;
  std::optional<Error> problem;
  bool any = false;
  for (const MetricEntry* entry : metricsOfTask(task, predictions.classes)) {
    Result<double> value = entry->compute(predictions);
    if (!value && !problem) problem = value.error();
    any = any || (value && !std::isnan(*value));
    if (value && std::isnan(*value) && entry->leftOutWithoutValue) continue;
    values[entry->name] = value ? *value : std::numeric_limits<double>::quiet_NaN();
  }
  // One row has a squared error and no correlation: that is a gap. No row at all is a mistake.
  if (!any && problem) return *problem;
  return values;
}

}  // namespace rankscope
