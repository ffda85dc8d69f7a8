#include "core/methods/rules/loraplus.h"

#include "core/methods/method_options.h"

namespace rankscope {

namespace {

class LoraPlusRule final : public TrainingRule {
 public:
  explicit LoraPlusRule(double ratio) : m_ratio(ratio) {}

  void adjust(std::vector<OptimizedParameter>& parameters) const override {
    for (OptimizedParameter& parameter : parameters)
      if (parameter.tensor.dim() == 1 || parameter.name.ends_with(".lora_B.weight"))
        parameter.learningRateScale = m_ratio;
  }

 private:
  double m_ratio;
};

}  // namespace

Result<std::unique_ptr<TrainingRule>> makeLoraPlusRule(const MethodSettings& settings) {
  auto ratio = realOption(settings, "lr_ratio", 16, 0, 1e6);
  if (!ratio) return ratio.error();
  return newPart<TrainingRule, LoraPlusRule>(*ratio);
}

}  // namespace rankscope
