#pragma once
// A method that trains parameters of the model itself: which ones, and whether they are saved as a whole model or
// alone, is the method's choice (full.h, bitfit.h). Masters are float32 whatever the model's compute dtype; biases and
// norm weights take no decay; a tied weight is one parameter and receives the sum of both gradients. The weights as
// loaded stay referenced (mapped or bf16, no copy), to measure ‖W − W0‖.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/methods/method.h"

namespace rankscope {

struct ParameterChoice {
  // Names of what trains, the head among them; an error when nothing does.
  Result<std::vector<std::string>> (*parameters)(const Model& model, const MethodSettings& settings);
  // The type that an adapter's config states, of a method that saves what it trains alone; empty: the whole model is
  // saved.
  std::string_view adapterFile{};
};
std::unique_ptr<Method> makeParameterMethod(MethodSettings settings, ParameterChoice choice);

// The first number among the components of a parameter's path; -1 outside the blocks.
int64_t layerOfParameter(const std::string& parameter);
// The parameter that a name means, through aliases of tied weights.
std::string ownerOfParameter(const Model& model, const std::string& name);

}  // namespace rankscope
