#pragma once
// Parameters of the model itself that train (the task head, biases, saved modules, everything in full fine-tuning):
// each is replaced in the model's table by a leaf of its own in float32 (float64 in a float64 model), so that small
// updates are not lost in bfloat16 and a mapped file is never written to. The caller freezes the rest and calls
// Model::rebind().

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/models/model.h"
#include "core/optim/optimizer.h"

namespace rankscope {

// The dtype in which anything that trains is held.
at::ScalarType trainingDtype(const Model& model);

// Names of parameters that HF keeps out of weight decay: biases, and the weights of norms.
bool isDecayed(const std::string& parameterName);

// Every parameter of the model stops to require a gradient.
void freezeAll(Model& model);

// Puts trainable leaves in place of `names` (aliases are resolved, a name given twice counts once). Returns them in
// order with the decay rule applied; the originals stay with whoever holds them.
std::vector<OptimizedParameter> makeTrainable(Model& model, const std::vector<std::string>& names);

// Parameters of the modules that PEFT's modules_to_save means: a module whose path ends in one of the entries, with all
// below it. An entry that matches nothing is an error that names it.
Result<std::vector<std::string>> savedModuleParameters(const Model& model, const std::vector<std::string>& modules);

// Copies values into existing leaves by name; `tensors` may carry more. Missing names and other shapes are errors.
Result<void> copyInto(const std::vector<OptimizedParameter>& parameters,
                      const std::map<std::string, at::Tensor>& tensors);

}  // namespace rankscope
