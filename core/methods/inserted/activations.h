#pragma once
// The activations of adapters, by their names in options and in adapter files.

#include "core/methods/method_options.h"
#include "core/models/layers.h"

namespace rankscope {

// method.activation: "auto" is the method's own. `name` gets what was chosen.
inline Result<Activation> adapterActivation(const MethodSettings& settings, const char* own, std::string* name) {
  auto chosen = choiceOption(settings, "activation", "auto", {"auto", "relu", "gelu", "swish", "tanh", "linear"});
  if (!chosen) return chosen.error();
  *name = *chosen == "auto" ? own : *chosen;
  return *name == "relu"    ? Activation::Relu
         : *name == "gelu"  ? Activation::Gelu
         : *name == "swish" ? Activation::Silu
         : *name == "tanh"  ? Activation::Tanh
                            : Activation::Identity;
}

}  // namespace rankscope
