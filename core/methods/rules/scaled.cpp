#include "core/methods/rules/scaled.h"

#include <cmath>

#include "core/methods/method_options.h"
#include "core/methods/rules/pair_algebra.h"

namespace rankscope {

namespace {

struct ScaledOptions {
  bool released = false;
  double damping = 1e-2;
  double eps = 1e-6;         // of the released AdamW
  bool correctBias = false;  // of the released AdamW
};

class ScaledRule final : public TrainingRule {
 public:
  explicit ScaledRule(const ScaledOptions& options) : m_options(options) {}

  bool movesFactors() const override { return m_options.released; }

  void beforeStep(const StepInfo& info, Optimizer& optimizer) override {
    const at::NoGradGuard noGrad;
    if (m_options.released)
      releasedStep(info, optimizer.settings());
    else
      precondition();
  }

  std::vector<OptimizedParameter> state() const override {
    if (!m_options.released) return {};
    std::vector<OptimizedParameter> out;
    for (size_t i = 0; i < m_moments.size(); ++i)
      for (const auto& [name, tensor] : {std::pair{".lora_A.exp_avg", m_moments[i].firstA},
                                         std::pair{".lora_A.exp_avg_sq", m_moments[i].secondA},
                                         std::pair{".lora_B.exp_avg", m_moments[i].firstB},
                                         std::pair{".lora_B.exp_avg_sq", m_moments[i].secondB}})
        out.push_back({sites()[i].site->name + name, tensor});
    return out;
  }

  int64_t stateAt(int64_t outFeatures, int64_t inFeatures, int64_t rank) const override {
    return m_options.released ? 2 * rank * (outFeatures + inFeatures) : 0;
  }

 protected:
  void bound() override {
    m_moments.clear();
    if (!m_options.released) return;
    for (const AdaptedSite& adapted : sites())
      m_moments.push_back({at::zeros_like(adapted.a), at::zeros_like(adapted.a), at::zeros_like(adapted.b),
                           at::zeros_like(adapted.b)});
  }

 private:
  struct Moments {
    at::Tensor firstA, secondA, firstB, secondB;
  };

  // Sites of which both factors have a gradient.
  std::vector<size_t> withGradients() const {
    std::vector<size_t> which;
    for (size_t i = 0; i < sites().size(); ++i)
      if (sites()[i].a.grad().defined() && sites()[i].b.grad().defined()) which.push_back(i);
    return which;
  }

  std::vector<at::Tensor> inversesOf(const std::vector<size_t>& which, bool ofA) const {
    std::vector<at::Tensor> grams;
    for (const size_t i : which) grams.push_back(ofA ? gramOfA(sites()[i].a) : gramOfB(sites()[i].b));
    return dampedInverses(grams, m_options.damping);
  }

  void precondition() {
    const auto which = withGradients();
    const auto ofA = inversesOf(which, true), ofB = inversesOf(which, false);
    for (size_t k = 0; k < which.size(); ++k) {
      const AdaptedSite& adapted = sites()[which[k]];
      adapted.a.grad().copy_(leftTimes(ofB[k], adapted.a.grad()));
      adapted.b.grad().copy_(timesRight(adapted.b.grad(), ofA[k]));
    }
  }

  void releasedStep(const StepInfo& info, const OptimizerSettings& settings) {
    const auto t = static_cast<double>(info.step + 1);
    double rate = info.learningRate;
    if (m_options.correctBias) rate *= std::sqrt(1 - std::pow(settings.beta2, t)) / (1 - std::pow(settings.beta1, t));
    const auto which = withGradients();
    const auto move = [&](at::Tensor& factor, const at::Tensor& gradient, at::Tensor& first, at::Tensor& second) {
      first.lerp_(gradient, 1 - settings.beta1);
      second.mul_(settings.beta2).addcmul_(gradient, gradient, 1 - settings.beta2);
      factor.addcdiv_(first, second.sqrt().add_(m_options.eps), -rate);
      if (settings.weightDecay > 0) factor.mul_(1 - info.learningRate * settings.weightDecay);
      factor.mutable_grad() = at::Tensor();
    };
    const auto ofB = inversesOf(which, false);
    for (size_t k = 0; k < which.size(); ++k) {
      AdaptedSite& adapted = sites()[which[k]];
      move(adapted.a, leftTimes(ofB[k], adapted.a.grad()), m_moments[which[k]].firstA, m_moments[which[k]].secondA);
    }
    const auto ofA = inversesOf(which, true);
    for (size_t k = 0; k < which.size(); ++k) {
      AdaptedSite& adapted = sites()[which[k]];
      move(adapted.b, timesRight(adapted.b.grad(), ofA[k]), m_moments[which[k]].firstB, m_moments[which[k]].secondB);
    }
  }

  ScaledOptions m_options;
  std::vector<Moments> m_moments;
};

}  // namespace

Result<std::unique_ptr<TrainingRule>> makeScaledRule(const MethodSettings& settings) {
  ScaledOptions options;
  auto variant = choiceOption(settings, "variant", "peft", {"peft", "released"});
  if (!variant) return variant.error();
  options.released = *variant == "released";
  auto damping = realOption(settings, "damping", 0, 0, 1e6);
  if (!damping) return damping.error();
  options.damping = *damping > 0 ? *damping : options.released ? 1e-6 : 1e-2;
  auto eps = realOption(settings, "eps", options.eps, 0, 1);
  if (!eps) return eps.error();
  options.eps = *eps;
  auto correct = flagOption(settings, "correct_bias", false);
  if (!correct) return correct.error();
  options.correctBias = *correct;
  return newPart<TrainingRule, ScaledRule>(options);
}

}  // namespace rankscope
