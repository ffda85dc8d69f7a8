#pragma once
// Which examples make up which optimizer step: a pure function of (seed, step), so that the position in the data is the
// step's number and a resumed run needs no generator state.

#include <cstdint>
#include <vector>

#include "core/data/batch_plan.h"

namespace rankscope {

class StepPlan {
 public:
  struct Settings {
    size_t examples = 0;
    size_t batchSize = 1;      // sequences in a micro-batch
    int64_t accumulation = 1;  // micro-batches in a step; the last step of an epoch may have fewer
    int64_t epochs = 1;
    int64_t maxSteps = 0;  // > 0: takes the place of `epochs`
    bool shuffle = true;
    uint64_t seed = 0;
  };
  StepPlan() = default;
  explicit StepPlan(const Settings& settings);

  int64_t totalSteps() const { return m_totalSteps; }
  int64_t stepsPerEpoch() const { return m_stepsPerEpoch; }
  double epochAt(int64_t step) const { return static_cast<double>(step) / static_cast<double>(m_stepsPerEpoch); }

  // Example indices of each micro-batch of step `step` (from 0).
  std::vector<std::vector<uint32_t>> microBatches(int64_t step);

 private:
  BatchPlan m_batches;
  int64_t m_accumulation = 1, m_stepsPerEpoch = 1, m_totalSteps = 1;
};

}  // namespace rankscope
