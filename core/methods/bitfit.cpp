#include "core/methods/bitfit.h"

#include <algorithm>

#include "core/methods/parameter_method.h"
#include "core/methods/site_selection.h"
#include "core/methods/trained_parameters.h"

namespace rankscope {

namespace {

Result<std::vector<std::string>> biases(const Model& model, const MethodSettings& settings) {
  auto layers = LayerFilter::make(settings.layersToTransform);
  if (!layers) return layers.error();
  const std::vector<std::string> head = model.headParameters();
  std::vector<std::string> names;
  for (const NamedTensor& entry : model.parameters().entries())
    if (isBias(entry.name) && std::find(head.begin(), head.end(), entry.name) == head.end() &&
        (settings.layersToTransform.empty() || layers->contains(layerOfParameter(entry.name))))
      names.push_back(entry.name);
  if (names.empty())
    return Error{ErrorCode::Usage,
                 "the model has no biases to train",
                 "method.name",
                 std::string("bitfit on ") + model.family(),
                 "a model with biases, such as BERT, RoBERTa, DeBERTa or GPT-2",
                 settings.layersToTransform.empty() ? "Choose LoRA or another method for this model."
                                                    : "Leave method.layers empty, or choose another method."};
  names.insert(names.end(), head.begin(), head.end());
  auto saved = savedModuleParameters(model, settings.modulesToSave);
  if (!saved) return saved.error();
  for (const std::string& name : *saved)
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

}  // namespace

std::unique_ptr<Method> makeBitFit(MethodSettings settings) {
  return makeParameterMethod(std::move(settings), {biases, "BITFIT"});
}

}  // namespace rankscope
