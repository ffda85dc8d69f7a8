#pragma once
// One optimizer step, in the order of METHODS 0: backward over all micro-batches, clip by global norm, the method's hook,
// the optimizer, the method's second hook. Knows no run folder, no events and no method by name; the trainer, `check` and
// `bench` all drive this same object. One thread (the operators use their own pool).

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/methods/method.h"
#include "core/models/batch.h"
#include "core/models/model.h"
#include "core/optim/optimizer.h"
#include "core/optim/schedule.h"

namespace rankscope {

struct StepSettings {
  double learningRate = 1e-4;
  double maxGradNorm = 1.0;  // 0: no clipping
  uint64_t seed = 0;         // of the dropout masks
};

struct StepResult {
  bool abandoned = false;  // `between` asked to leave; nothing was updated
  double loss = 0;         // mean over the labels of the whole step, without what the method adds to it
  double gradNorm = 0;     // before clipping
  double learningRate = 0;
  int64_t tokens = 0;
  int64_t labels = 0;
};

// Positions (or sequences) of a batch that carry a label.
int64_t countLabels(const PackedBatch& batch);

class StepEngine {
 public:
  StepEngine(Model& model, Method& method, Optimizer& optimizer, Schedule schedule, StepSettings settings);

  // Runs optimizer step `step` (from 0) on the given micro-batches. `between` is called before every micro-batch; false
  // abandons the step with weights and optimizer as they were. A loss or gradient that is not finite is an error that
  // names the tensor, and nothing is updated.
  Result<StepResult> run(int64_t step, int64_t totalSteps, const std::vector<PackedBatch>& microBatches,
                         const std::function<bool()>& between = {});

  const std::vector<OptimizedParameter>& parameters() const { return m_parameters; }
  const StepSettings& settings() const { return m_settings; }
  const Schedule& schedule() const { return m_schedule; }

 private:
  void clearGradients();
  Error notFiniteLoss(int64_t step, double loss) const;

  Model& m_model;
  Method& m_method;
  Optimizer& m_optimizer;
  Schedule m_schedule;
  StepSettings m_settings;
  std::vector<OptimizedParameter> m_parameters;
};

// First tensor with a value that is not finite: its name and how many; empty when all are finite.
std::string findNotFinite(const std::vector<NamedTensor>& tensors);

}  // namespace rankscope
