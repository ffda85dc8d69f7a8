#include "core/train/evaluation.h"

#include <ATen/ATen.h>

#include <chrono>

#include "core/eval/language_model.h"
#include "core/eval/regression.h"
#include "core/train/packing.h"
#include "core/train/setup.h"
#include "core/train/step_engine.h"
#include "core/train/task_scoring.h"

namespace rankscope {
namespace {

void scoreClasses(const at::Tensor& logits, const at::Tensor& labels, Predictions& predictions) {
  const at::Tensor logProbabilities = at::log_softmax(logits.to(at::kDouble), -1);
  predictions.totalNll -= logProbabilities.gather(1, labels.unsqueeze(1)).sum().item<double>();
  predictions.scoredTokens += labels.numel();
  const at::Tensor best = logits.argmax(-1).contiguous();
  for (int64_t i = 0; i < labels.numel(); ++i) {
    predictions.labels.push_back(static_cast<int32_t>(labels.const_data_ptr<int64_t>()[i]));
    predictions.predicted.push_back(static_cast<int32_t>(best.const_data_ptr<int64_t>()[i]));
  }
}

void scoreTargets(const at::Tensor& logits, const at::Tensor& targets, Predictions& predictions) {
  const at::Tensor scores = logits.reshape({-1}).to(at::kDouble).contiguous();
  const at::Tensor wanted = targets.to(at::kDouble).contiguous();
  for (int64_t i = 0; i < wanted.numel(); ++i) {
    predictions.scores.push_back(scores.const_data_ptr<double>()[i]);
    predictions.targets.push_back(wanted.const_data_ptr<double>()[i]);
  }
}

}  // namespace

EvaluationOptions evaluationOptions(const TrainingSetup& setup) {
  EvaluationOptions options;
  options.sequences = evaluationSequences(setup.config);
  options.classes = static_cast<int64_t>(setup.data.labels.size());
  if (setup.masking) options.masking = &*setup.masking;
  options.longestAnswer = setup.config.integer("data.max_answer_length");
  return options;
}

size_t evaluationSequences(const RunConfig& config) {
  return std::max<size_t>(32, static_cast<size_t>(config.integer("train.batch_size")));
}

Result<std::optional<Evaluation>> evaluate(Model& model, const TokenizedSet& set, DataTask task,
                                           const EvaluationOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const at::NoGradGuard noGrad;
  const bool choices = task == DataTask::MultipleChoice;
  AnswerScorer answers(set, static_cast<size_t>(options.longestAnswer));
  Evaluation evaluation;
  Predictions& predictions = evaluation.predictions;
  predictions.classes = options.classes;
  size_t done = 0;
  for (const std::vector<uint32_t>& group :
       choices ? choiceGroups(set, options.tokens) : evaluationGroups(set, options.sequences, options.tokens)) {
    if (options.between && !options.between(static_cast<double>(done) / static_cast<double>(set.size())))
      return std::optional<Evaluation>();
    done += group.size();
    if (choices) {
      if (auto scored = scoreChoices(model, set, group, predictions); !scored) return scored.error();
      continue;
    }
    const PackedBatch batch = packExamples(set, group, task, options.masking, kEvaluationDraw);
    ForwardContext context;
    if (hasClasses(task)) {
      scoreClasses(model.logits(batch, context), batch.labels, predictions);
    } else if (task == DataTask::Regression) {
      scoreTargets(model.logits(batch, context), batch.labels, predictions);
    } else if (task == DataTask::QuestionAnswering) {
      answers.add(model.logits(batch, context), batch, group, predictions);
    } else if (const int64_t labels = countLabels(batch); labels > 0) {
      predictions.totalNll += model.loss(batch, context, 1.0).item<double>();
      predictions.scoredTokens += labels;
    }
  }
  answers.finish(predictions);
  Result<std::map<std::string, double>> values = computeMetrics(dataTaskName(task), predictions);
  if (!values) return values.error();
  evaluation.values = std::move(*values);
  // "loss" is what training minimises: mean cross-entropy, or the mean squared error of a regression.
  if (task == DataTask::Regression) {
    if (const Result<double> error = meanSquaredError(predictions.targets, predictions.scores); error)
      evaluation.values["loss"] = *error;
  } else if (const Result<double> nll = meanNll(predictions.totalNll, predictions.scoredTokens); nll) {
    evaluation.values["loss"] = *nll;
  }
  evaluation.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return std::optional<Evaluation>(std::move(evaluation));
}

}  // namespace rankscope
