#include "core/optim/sgd.h"

#include <ATen/core/grad_mode.h>

#include "core/optim/parameter_groups.h"

namespace rankscope {

namespace {

class Sgd final : public Optimizer {
 public:
  Sgd(std::vector<OptimizedParameter> parameters, const OptimizerSettings& settings, StateMemory memory)
      : m_groups(std::move(parameters)), m_settings(settings) {
    // torch starts the buffer as a copy of the first gradient; without dampening a zero buffer comes to the same.
    if (m_settings.momentum != 0)
      for (const auto& p : m_groups.parameters()) m_momentum.push_back(memory.zerosLike(p.tensor.detach()));
  }

  void step(double learningRate) override {
    at::NoGradGuard noGrad;
    for (const auto& group : m_groups.groups()) {
      std::vector<at::Tensor> values, gradients, momentum;
      for (size_t i : group.members) {
        const at::Tensor& parameter = m_groups.parameters()[i].tensor;
        at::Tensor gradient = fusedGradient(parameter);
        if (!gradient.defined()) continue;
        values.push_back(parameter.detach());
        gradients.push_back(std::move(gradient));
        if (!m_momentum.empty()) momentum.push_back(m_momentum[i]);
      }
      if (values.empty()) continue;
      at::_fused_sgd_(values, gradients, momentum, group.decay ? m_settings.weightDecay : 0.0, m_settings.momentum,
                      learningRate * group.learningRateScale, /*dampening=*/0.0, /*nesterov=*/false, /*maximize=*/false,
                      /*is_first_step=*/false);
      countAsChanged(values);
    }
    ++m_stepsTaken;
  }

  int64_t stepsTaken() const override { return m_stepsTaken; }
  const OptimizerSettings& settings() const override { return m_settings; }

  MomentView moments(const at::Tensor& parameter) override {
    const int64_t i = m_groups.find(parameter);
    return i < 0 || m_momentum.empty() ? MomentView{} : MomentView{m_momentum[static_cast<size_t>(i)], {}};
  }

  std::map<std::string, at::Tensor> state() const override { return saveSlots(m_groups, slots(), m_stepsTaken); }

  Result<void> loadState(const std::map<std::string, at::Tensor>& state) override {
    return loadSlots(state, m_groups, slots(), m_stepsTaken);
  }

 private:
  std::vector<StateSlot> slots() const {
    return {{".momentum_buffer", m_momentum}};
  }

  ParameterGroups m_groups;
  OptimizerSettings m_settings;
  std::vector<at::Tensor> m_momentum;
  int64_t m_stepsTaken = 0;
};

}  // namespace

std::unique_ptr<Optimizer> makeSgd(std::vector<OptimizedParameter> parameters, const OptimizerSettings& settings,
                                   StateMemory memory) {
  return std::make_unique<Sgd>(std::move(parameters), settings, std::move(memory));
}

}  // namespace rankscope
