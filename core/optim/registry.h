#pragma once
#include "core/optim/optimizer.h"

namespace rankscope {

struct OptimizerEntry {
  std::string name;   // "adamw"
  std::string title;  // "AdamW"
  std::unique_ptr<Optimizer> (*make)(std::vector<OptimizedParameter> parameters, const OptimizerSettings& settings);
};
const std::vector<OptimizerEntry>& optimizerEntries();
Result<std::unique_ptr<Optimizer>> makeOptimizer(std::vector<OptimizedParameter> parameters,
                                                 const OptimizerSettings& settings);

}  // namespace rankscope
