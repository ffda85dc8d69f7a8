#pragma once
// What a run will need, told from headers and token counts without loading the model: trainable parameters, effective
// scale, memory by component, steps. The activation term is a model of what a training pass keeps per token, with
// coefficients fitted to peaks measured with `check`. Any thread.

#include <nlohmann/json.hpp>

#include "core/config/places.h"
#include "core/config/run_config.h"
#include "core/data/prepare.h"

namespace rankscope {

struct MemoryEstimate {  // bytes
  int64_t program = 0;   // the trainer itself, before it loads anything
  int64_t weights = 0, adapter = 0, gradients = 0, optimizer = 0, activations = 0, logits = 0;
  int64_t total = 0;
  int64_t available = 0;  // what the machine could give right now
};

struct RunEstimate {
  int64_t trainable = 0;
  int64_t parameters = 0;  // of the base model with its head
  double effectiveScale = 1;
  MemoryEstimate memory;
  int64_t steps = 0, stepsPerEpoch = 0, tokensPerEpoch = 0;  // 0 without data
  int64_t largestBatchTokens = 0;                            // that the memory is told for
};

// Token counts of the training data, when it is known.
struct DataShape {
  int64_t examples = 0, tokens = 0, largestBatchTokens = 0, longest = 0;
  int64_t classes = 0;
};
DataShape dataShape(const RunConfig& config, const TokenizedSet& train, size_t classes);

// Without `data` every sequence counts with its full cut-off length.
Result<RunEstimate> estimateRun(const RunConfig& config, const Places& places, const DataShape* data);
nlohmann::json toJson(const RunEstimate& estimate);

}  // namespace rankscope
