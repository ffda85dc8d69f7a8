#pragma once
// BitFit (Ben Zaken et al. 2022; METHODS 15): every bias of the model trains, or those of the chosen layers, and the
// task head; all matrices stay as they are. What is saved are the changed biases.

#include <memory>

#include "core/methods/method.h"

namespace rankscope {

std::unique_ptr<Method> makeBitFit(MethodSettings settings);

}  // namespace rankscope
