#include "core/optim/adamw.h"

#include <ATen/core/grad_mode.h>

#include "core/optim/parameter_groups.h"

namespace rankscope {

namespace {

class AdamW final : public Optimizer {
 public:
  AdamW(std::vector<OptimizedParameter> parameters, const OptimizerSettings& settings, StateMemory memory)
      : m_groups(std::move(parameters)), m_settings(settings) {
    for (const auto& p : m_groups.parameters()) {
      m_first.push_back(memory.zerosLike(p.tensor.detach()));
      m_second.push_back(memory.zerosLike(p.tensor.detach()));
      // Counted per parameter, as torch does: one that had no gradient for a while keeps its own bias correction.
      m_steps.push_back(at::zeros({}, p.tensor.options().dtype(at::kFloat).requires_grad(false)));
    }
  }

  void step(double learningRate) override {
    at::NoGradGuard noGrad;
    for (const auto& group : m_groups.groups()) {
      std::vector<at::Tensor> values, gradients, first, second, steps;
      for (size_t i : group.members) {
        const at::Tensor& parameter = m_groups.parameters()[i].tensor;
        at::Tensor gradient = fusedGradient(parameter);
        if (!gradient.defined()) continue;
        values.push_back(parameter.detach());
        gradients.push_back(std::move(gradient));
        first.push_back(m_first[i]);
        second.push_back(m_second[i]);
        steps.push_back(m_steps[i]);
      }
      if (values.empty()) continue;
      at::_foreach_add_(steps, 1);
      at::_fused_adamw_(values, gradients, first, second, {}, steps, learningRate * group.learningRateScale,
                        m_settings.beta1, m_settings.beta2, group.decay ? m_settings.weightDecay : 0.0, m_settings.eps,
                        /*amsgrad=*/false, /*maximize=*/false);
      countAsChanged(values);
    }
    ++m_stepsTaken;
  }

  int64_t stepsTaken() const override { return m_stepsTaken; }
  const OptimizerSettings& settings() const override { return m_settings; }

  MomentView moments(const at::Tensor& parameter) override {
    const int64_t i = m_groups.find(parameter);
    return i < 0 ? MomentView{} : MomentView{m_first[static_cast<size_t>(i)], m_second[static_cast<size_t>(i)]};
  }

  std::map<std::string, at::Tensor> state() const override { return saveSlots(m_groups, slots(), m_stepsTaken); }

  Result<void> loadState(const std::map<std::string, at::Tensor>& state) override {
    return loadSlots(state, m_groups, slots(), m_stepsTaken);
  }

 private:
  std::vector<StateSlot> slots() const {
    return {{".exp_avg", m_first}, {".exp_avg_sq", m_second}, {".step", m_steps}};
  }

  ParameterGroups m_groups;
  OptimizerSettings m_settings;
  std::vector<at::Tensor> m_first, m_second, m_steps;
  int64_t m_stepsTaken = 0;
};

}  // namespace

std::unique_ptr<Optimizer> makeAdamW(std::vector<OptimizedParameter> parameters, const OptimizerSettings& settings,
                                     StateMemory memory) {
  return std::make_unique<AdamW>(std::move(parameters), settings, std::move(memory));
}

}  // namespace rankscope
