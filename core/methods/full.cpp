#include "core/methods/full.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/methods/parameter_method.h"
#include "core/methods/site_selection.h"

namespace rankscope {

namespace {

std::string moduleOf(const std::string& parameter) {
  const size_t dot = parameter.rfind('.');
  return dot == std::string::npos ? std::string() : parameter.substr(0, dot);
}

Result<std::vector<std::string>> chosenParameters(const Model& model, const MethodSettings& settings) {
  auto layers = LayerFilter::make(settings.layersToTransform);
  if (!layers) return layers.error();
  auto targets = TargetMatcher::make(settings.targetModules);
  if (!targets) return targets.error();
  const std::vector<std::string> head = model.headParameters();

  std::vector<std::string> names;
  auto chosen = [&](const std::string& name) {
    if (!settings.layersToTransform.empty() && !layers->contains(layerOfParameter(name))) return false;
    if (settings.targetModules.empty()) return true;
    if (!targets->allLinear()) return targets->matches(moduleOf(name));
    return std::any_of(model.sites().begin(), model.sites().end(), [&](const LinearSite* site) {
      return targets->chooses(*site) &&
             (ownerOfParameter(model, site->name + ".weight") == name || site->name + ".bias" == name);
    });
  };
  for (const NamedTensor& entry : model.parameters().entries())
    if (chosen(entry.name)) names.push_back(entry.name);
  for (const auto& [alias, target] : model.parameters().aliases())
    if (chosen(alias) && std::find(names.begin(), names.end(), target) == names.end()) names.push_back(target);
  if (names.empty())
    return Error{ErrorCode::Usage,
                 "No parameter of the model matches the chosen modules and layers",
                 "method.train_modules",
                 fmt::format("{}", fmt::join(settings.targetModules, ", ")),
                 "modules that the model has",
                 "Leave the list empty to train every parameter."};
  for (const std::string& name : head)
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

}  // namespace

std::unique_ptr<Method> makeFull(MethodSettings settings) {
  return makeParameterMethod(std::move(settings), {chosenParameters});
}

}  // namespace rankscope
