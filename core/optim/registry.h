#pragma once
#include "core/optim/optimizer.h"
#include "core/optim/state_memory.h"

namespace rankscope {

struct OptimizerEntry {
  std::string name;   // "adamw"
  std::string title;  // "AdamW"
  std::unique_ptr<Optimizer> (*make)(std::vector<OptimizedParameter> parameters, const OptimizerSettings& settings,
                                     StateMemory memory);
  int (*slots)(const OptimizerSettings& settings);  // tensors kept for each parameter, of its size
};
const std::vector<OptimizerEntry>& optimizerEntries();
Result<const OptimizerEntry*> findOptimizer(const std::string& name);
Result<std::unique_ptr<Optimizer>> makeOptimizer(std::vector<OptimizedParameter> parameters,
                                                 const OptimizerSettings& settings);

}  // namespace rankscope
