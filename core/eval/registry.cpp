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

const std::vector<MetricEntry>& metricEntries() {
  static const std::vector<std::string> classification = {"classification"}, regression = {"regression"},
                                        language = {"causal_lm", "instruction"};
  static const std::vector<MetricEntry> entries = {
      {"accuracy", "Accuracy", "Share of rows whose predicted class is the label.", BetterWhen::Higher, classification,
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
  if (task == "classification") return "accuracy";
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
    values[entry->name] = value ? *value : std::numeric_limits<double>::quiet_NaN();
  }
  // One row has a squared error and no correlation: that is a gap. No row at all is a mistake.
  if (!any && problem) return *problem;
  return values;
}

}  // namespace rankscope
