#include "core/methods/rules/plain.h"

namespace rankscope {

Result<std::unique_ptr<TrainingRule>> makePlainRule(const MethodSettings&) { return newPart<TrainingRule, TrainingRule>(); }

}  // namespace rankscope
