#include "core/train/step_engine.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

#include "core/optim/clip.h"

namespace rankscope {
namespace {

// Error without the place that the caller knows better (file, step).
Error notFinite(int64_t step, std::string what, std::string found) {
  return {ErrorCode::Training, std::move(what), fmt::format("step {}", step + 1), std::move(found), "a finite number",
          "Continue from the last good checkpoint with a lower optim.learning_rate, a longer warm-up, or "
          "train.compute_dtype = fp32; the weights were not updated by this step."};
}

}  // namespace

int64_t countLabels(const PackedBatch& batch) {
  // Per-sequence labels (classification, regression) all count; -100 marks an unlabelled token.
  if (!batch.labels.defined()) return 0;
  if (at::isFloatingType(batch.labels.scalar_type())) return batch.labels.numel();
  if (batch.labels.dim() == 2) return batch.labels.size(0);  // an answer's start and end weigh one half each
  return batch.labels.ne(-100).sum().item<int64_t>();
}

std::string findNotFinite(const std::vector<NamedTensor>& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) continue;
    const int64_t bad = at::isfinite(tensor).logical_not().sum().item<int64_t>();
    if (bad > 0) return fmt::format("{} ({} of {} values)", name, bad, tensor.numel());
  }
  return {};
}

StepEngine::StepEngine(Model& model, Method& method, Optimizer& optimizer, Schedule schedule, StepSettings settings)
    : m_model(model), m_method(method), m_optimizer(optimizer), m_schedule(schedule), m_settings(settings),
      m_parameters(method.trainable()) {}

void StepEngine::clearGradients() {
  // Dropped rather than zeroed: the first accumulation writes instead of adding to zeros.
  for (OptimizedParameter& parameter : m_parameters) parameter.tensor.mutable_grad() = at::Tensor();
}

Error StepEngine::notFiniteLoss(int64_t step, double loss) const {
  std::vector<NamedTensor> weights;
  for (const OptimizedParameter& parameter : m_parameters) weights.push_back({parameter.name, parameter.tensor});
  for (const NamedTensor& entry : m_model.parameters().entries()) weights.push_back(entry);
  const std::string culprit = findNotFinite(weights);
  return notFinite(step, "the training loss is not finite",
                   culprit.empty() ? fmt::format("{} with finite weights: an activation overflowed", loss)
                                   : fmt::format("{}, and values that are not finite in {}", loss, culprit));
}

Result<StepResult> StepEngine::run(int64_t step, int64_t totalSteps, const std::vector<PackedBatch>& microBatches,
                                   const std::function<bool()>& between) {
  StepResult result;
  for (const PackedBatch& batch : microBatches) {
    result.labels += countLabels(batch);
    result.tokens += batch.tokens();
  }
  clearGradients();
  const double normaliser = static_cast<double>(std::max<int64_t>(1, result.labels));
  for (size_t i = 0; i < microBatches.size(); ++i) {
    if (between && !between()) {
      clearGradients();
      result.abandoned = true;
      return result;
    }
    ForwardContext context;
    context.training = true;
    context.dropoutSeed = m_settings.seed;
    context.step = step;
    context.microBatch = static_cast<int64_t>(i);
    const at::Tensor loss = m_model.loss(microBatches[i], context, normaliser);
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      clearGradients();
      return notFiniteLoss(step, value);
    }
    result.loss += value;
    // A batch without any labelled position has no gradient to give.
    if (loss.requires_grad()) loss.backward();
  }
  // Not part of the loss that is reported, which is then the same thing for every method.
  if (const at::Tensor term = m_method.lossTerm(); term.defined()) term.backward();

  StepInfo info;
  info.step = step;
  info.totalSteps = totalSteps;
  info.learningRate = m_settings.learningRate * m_schedule.factor(step);
  m_method.beforeClipping(info);
  Result<double> norm = clipGradients(m_parameters, m_settings.maxGradNorm);
  if (!norm) {
    clearGradients();
    Error error = norm.error();
    error.where = fmt::format("step {}, {}", step + 1, error.where);
    return error;
  }
  result.gradNorm = *norm;

  result.learningRate = info.learningRate;
  m_method.beforeStep(info, m_optimizer);
  m_optimizer.step(info.learningRate);
  m_method.afterStep(info, m_optimizer);
  clearGradients();
  return result;
}

}  // namespace rankscope
