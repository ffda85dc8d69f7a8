#include "core/methods/rules/only_b.h"

namespace rankscope {

namespace {

class OnlyBRule final : public TrainingRule {
 public:
  bool trainsA() const override { return false; }
};

}  // namespace

Result<std::unique_ptr<TrainingRule>> makeOnlyBRule(const MethodSettings&) {
  return newPart<TrainingRule, OnlyBRule>();
}

}  // namespace rankscope
