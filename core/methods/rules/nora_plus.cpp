#include "core/methods/rules/nora_plus.h"

#include "core/methods/method_options.h"
#include "core/methods/rules/pair_algebra.h"

namespace rankscope {

namespace {

class NoraPlusRule final : public TrainingRule {
 public:
  explicit NoraPlusRule(double damping) : m_damping(damping) {}

  void beforeClipping(const StepInfo& info) override {
    const at::NoGradGuard noGrad;
    std::vector<at::Tensor> gramsA, gramsB;
    for (const AdaptedSite& adapted : sites()) {
      gramsA.push_back(gramOfA(adapted.a));
      gramsB.push_back(gramOfB(adapted.b));
    }
    const auto unit = [](const at::Tensor& stack) { return stack / at::linalg_vector_norm(stack, 2, at::IntArrayRef{1, 2}, true); };
    const auto ofA = batched(dampedInverses(gramsA, m_damping), unit), ofB = batched(dampedInverses(gramsB, m_damping), unit);
    for (size_t i = 0; i < sites().size(); ++i) {
      const AdaptedSite& adapted = sites()[i];
      if (adapted.a.grad().defined() && info.step > 0)
        adapted.a.grad().copy_(leftTimes(ofB[i], adapted.a.grad()));
      if (adapted.b.grad().defined()) adapted.b.grad().copy_(timesRight(adapted.b.grad(), ofA[i]));
    }
  }

 private:
  double m_damping;
};

}  // namespace

Result<std::unique_ptr<TrainingRule>> makeNoraPlusRule(const MethodSettings& settings) {
  auto damping = realOption(settings, "damping", 0, 0, 1e6);
  if (!damping) return damping.error();
  return newPart<TrainingRule, NoraPlusRule>(*damping > 0 ? *damping : 1e-6);
}

}  // namespace rankscope
