#include "core/train/step_plan.h"

#include <algorithm>

namespace rankscope {

StepPlan::StepPlan(const Settings& settings)
    : m_batches(settings.examples, settings.batchSize, settings.seed, settings.shuffle),
      m_accumulation(std::max<int64_t>(1, settings.accumulation)) {
  const int64_t perEpoch = std::max<int64_t>(1, m_batches.batchesPerEpoch());
  m_stepsPerEpoch = (perEpoch + m_accumulation - 1) / m_accumulation;
  m_totalSteps = settings.maxSteps > 0 ? settings.maxSteps : std::max<int64_t>(1, settings.epochs) * m_stepsPerEpoch;
}

std::vector<std::vector<uint32_t>> StepPlan::microBatches(int64_t step) {
  const int64_t epoch = step / m_stepsPerEpoch;
  const int64_t first = step % m_stepsPerEpoch * m_accumulation;
  const int64_t last = std::min(first + m_accumulation, m_batches.batchesPerEpoch());
  std::vector<std::vector<uint32_t>> batches;
  for (int64_t i = first; i < last; ++i) {
    const auto indices = m_batches.batch(epoch * m_batches.batchesPerEpoch() + i);
    batches.emplace_back(indices.begin(), indices.end());
  }
  return batches;
}

}  // namespace rankscope
