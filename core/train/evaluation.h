#pragma once
// Runs a model over an evaluation set and scores it with the metrics of core/eval. Leaves nothing of training changed.

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "core/config/result.h"
#include "core/config/run_config.h"
#include "core/data/example.h"
#include "core/data/masking.h"
#include "core/data/roles.h"
#include "core/eval/registry.h"
#include "core/models/model.h"

namespace rankscope {

struct EvaluationOptions {
  size_t sequences = 32;   // at most so many in one pass
  size_t tokens = 4096;    // and about so many tokens
  int64_t classes = 0;
  const TokenMasking* masking = nullptr;  // masked words: what is hidden
  int64_t longestAnswer = 30;             // question answering: tokens
  // Called before every pass with the share done; false leaves (the result is then empty).
  std::function<bool(double share)> between;
};

struct TrainingSetup;
// As the run's own evaluations: its classes, masks and rules. Borrows from the setup.
EvaluationOptions evaluationOptions(const TrainingSetup& setup);
// Sequences in one pass of a run's own evaluations.
size_t evaluationSequences(const RunConfig& config);

struct Evaluation {
  std::map<std::string, double> values;  // "loss", "accuracy", …
  Predictions predictions;
  double seconds = 0;
};

// Empty when `between` asked to leave.
Result<std::optional<Evaluation>> evaluate(Model& model, const TokenizedSet& set, DataTask task,
                                           const EvaluationOptions& options);

}  // namespace rankscope
