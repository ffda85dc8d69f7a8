#pragma once
// Full fine-tuning (METHODS 1): every parameter trains, or those of the chosen modules and layers. Masters are float32
// whatever the model's compute dtype; biases and norm weights take no decay; a tied weight is one parameter and
// receives the sum of both gradients. The weights as loaded stay referenced (mapped or bf16, no copy), to measure ‖W −
// W0‖.

#include <memory>

#include "core/methods/method.h"

namespace rankscope {

std::unique_ptr<Method> makeFull(MethodSettings settings);

}  // namespace rankscope
