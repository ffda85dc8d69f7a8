#pragma once
// One batch of a config for real: finite loss, measured memory and time. Used by `check` and by serve.

#include <atomic>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/config/places.h"
#include "core/config/run_config.h"
#include "core/train/estimate.h"

namespace rankscope {

struct CheckReport {
  double loss = 0, gradNorm = 0, stepSeconds = 0, trainingSeconds = 0;
  int64_t tokens = 0;  // of the step that was run, the largest of the first epoch
  int64_t memoryBefore = 0, peakMemory = 0;
  MemoryEstimate estimate;  // of the whole run, evaluations included
  int64_t trainable = 0, parameters = 0, totalSteps = 0;
  int64_t trainExamples = 0, evalExamples = 0, skippedRows = 0;
  std::vector<std::string> remarks;
};

Result<CheckReport> checkConfig(const RunConfig& config, const Places& places, const std::atomic<bool>* cancel,
                                const std::function<void(const std::string&)>& progress);
nlohmann::json toJson(const CheckReport& report);

}  // namespace rankscope
