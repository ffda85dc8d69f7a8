#pragma once
// What a run will need, told from headers and token counts without loading the model: trainable parameters, effective
// scale, memory by component, steps. The memory is that of the run's fullest moment: of loading, of seeking the method's
// start, a training pass, the end of its backward, or an evaluation pass, whichever needs most. Any thread.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/config/places.h"
#include "core/config/run_config.h"
#include "core/data/prepare.h"

namespace rankscope {

struct MemoryEstimate {  // bytes at the fullest moment; their sum is the total
  int64_t program = 0;      // the trainer with its libraries, and the tokenised data
  int64_t weights = 0;      // of the base model, and while it is loaded the pages of its file
  int64_t adapter = 0;      // what trains, in float32
  int64_t gradients = 0, optimizer = 0;
  int64_t pageable = 0;     // of the optimizer's: in a file, which the system can write out when memory is short
  int64_t activations = 0;  // values of the pass, packed operands, and what the allocator holds back between passes
  int64_t logits = 0;
  int64_t spectrum = 0;     // decompositions of the base weights, for intruder dimensions
  int64_t total = 0;
  std::string moment;       // "loading", "seeking the start", "training pass", "end of backward", "evaluation"
  int64_t available = 0;  // what the machine could give right now
};

struct RunEstimate {
  int64_t trainable = 0;
  int64_t parameters = 0;  // of the model with its head and what the method adds
  double effectiveScale = 1;
  std::optional<double> learningRate;  // the highest; empty where it follows from a number of steps that is not known
  MemoryEstimate memory;
  int64_t steps = 0, stepsPerEpoch = 0, tokensPerEpoch = 0;  // 0 without data
  int64_t largestBatchTokens = 0;                            // that the memory is told for
};

// Token counts of the training data, when it is known.
struct DataShape {
  int64_t examples = 0, tokens = 0, longest = 0;  // tokens of the training set
  int64_t largestBatchTokens = 0, largestBatchLabels = 0, largestStepTokens = 0;
  int64_t evalTokens = 0, largestEvalTokens = 0, largestEvalLabels = 0, longestEval = 0;
  int64_t classes = 0;
};
DataShape dataShape(const RunConfig& config, const PreparedData& data);

// Without `data` every sequence counts with its full cut-off length.
Result<RunEstimate> estimateRun(const RunConfig& config, const Places& places, const DataShape* data);
nlohmann::json toJson(const RunEstimate& estimate);
// "1.4 GB: activations 900 MB, weights 270 MB, …", largest first; for messages.
std::string memoryText(const MemoryEstimate& memory);

}  // namespace rankscope
