#pragma once
// Full fine-tuning (METHODS 1): every parameter trains, or those of the chosen modules and layers.

#include <memory>

#include "core/methods/method.h"

namespace rankscope {

std::unique_ptr<Method> makeFull(MethodSettings settings);

}  // namespace rankscope
