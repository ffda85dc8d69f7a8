#pragma once
// Metrics by name. To add one: write it in core/eval/<name>.{h,cpp} and add a line to registry.cpp. A metric that has no
// value for its input is NaN (nothing is shown then); input that nobody can score (empty) is an error. Any thread.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/eval/answers.h"

namespace rankscope {

// What an evaluation collected; each metric reads its part.
struct Predictions {
  std::vector<int32_t> labels, predicted;  // classification: class indices; multiple choice: choices
  std::vector<int32_t> predictedByLength;  // multiple choice: the likeliest by character
  std::vector<AnsweredQuestion> questions;  // question answering
  std::vector<double> targets, scores;     // regression
  double totalNll = 0;                     // language model: summed negative log-likelihood in nats …
  int64_t scoredTokens = 0;                // … over so many tokens
  int64_t classes = 0;                     // number of classes the task has
};

enum class BetterWhen { Higher, Lower };

struct MetricEntry {
  std::string name;   // "matthews"; the series is "eval/" + name
  std::string title;  // "Matthews correlation"
  std::string help;   // definition and its degenerate cases, one or two sentences
  BetterWhen better = BetterWhen::Higher;
  std::vector<std::string> tasks;  // "classification", …: computed for these
  Result<double> (*compute)(const Predictions& predictions);
  bool leftOutWithoutValue = false;  // of other data than this: not told of at all, rather than as a gap
};
const std::vector<MetricEntry>& metricEntries();
Result<const MetricEntry*> findMetric(const std::string& name);  // also accepts "eval/" + name
// Metrics of a task, its main metric first. Binary F1 is left out where classes != 2 and replaced by macro F1.
std::vector<const MetricEntry*> metricsOfTask(const std::string& task, int64_t classes = 0);
// The metric by which the best checkpoint is chosen when train.best_metric is empty: "accuracy", "pearson", "loss".
std::string mainMetric(const std::string& task);
// All metrics of the task, by name. Metrics that are undefined for the input are NaN, or left out where they say so.
Result<std::map<std::string, double>> computeMetrics(const std::string& task, const Predictions& predictions);

}  // namespace rankscope
