#include "core/methods/trained_parameters.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "core/methods/site_selection.h"

namespace rankscope {

namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string shapeText(const at::Tensor& t) { return fmt::format("[{}]", fmt::join(t.sizes().vec(), ", ")); }

// Is `parameter` ("a.b.weight") inside a module whose path ends in `module` ("b" or "a.b")?
bool liesInModule(const std::string& parameter, const std::string& module) {
  for (size_t dot = parameter.find('.'); dot != std::string::npos; dot = parameter.find('.', dot + 1))
    if (endsInModule(parameter.substr(0, dot), module)) return true;
  return false;
}

}  // namespace

at::ScalarType trainingDtype(const Model& model) {
  return model.computeDtype() == at::kDouble ? at::kDouble : at::kFloat;
}

bool isDecayed(const std::string& parameterName) {
  const std::string name = lower(parameterName);
  const size_t dot = name.rfind('.');
  if (name.compare(dot == std::string::npos ? 0 : dot + 1, std::string::npos, "bias") == 0) return false;
  if (dot == std::string::npos) return true;
  const size_t before = name.rfind('.', dot - 1);
  const std::string module =
      name.substr(before == std::string::npos ? 0 : before + 1, dot - (before == std::string::npos ? 0 : before + 1));
  // "norm", "LayerNorm", "input_layernorm", "post_attention_layernorm", "ln_1", "ln_f"
  return !(module.size() >= 4 && module.compare(module.size() - 4, 4, "norm") == 0) && module.rfind("ln_", 0) != 0;
}

void freezeAll(Model& model) {
  for (const NamedTensor& entry : model.parameters().entries())
    if (entry.tensor.requires_grad()) {
      if (entry.tensor.is_leaf())
        model.parameters().at(entry.name).requires_grad_(false);
      else
        model.parameters().replace(entry.name, entry.tensor.detach());
    }
}

std::vector<OptimizedParameter> makeTrainable(Model& model, const std::vector<std::string>& names) {
  std::vector<OptimizedParameter> out;
  std::set<std::string> done;
  const auto& aliases = model.parameters().aliases();
  for (const std::string& name : names) {
    auto alias = aliases.find(name);
    const std::string owner = alias == aliases.end() ? name : alias->second;
    if (!done.insert(owner).second) continue;
    at::Tensor leaf = model.parameters().at(owner).detach().to(trainingDtype(model), /*non_blocking=*/false,
                                                               /*copy=*/true, at::MemoryFormat::Contiguous);
    leaf.requires_grad_(true);
    model.parameters().replace(owner, leaf);
    out.push_back({owner, leaf, 1.0, isDecayed(owner)});
  }
  return out;
}

Result<std::vector<std::string>> savedModuleParameters(const Model& model, const std::vector<std::string>& modules) {
  std::vector<std::string> names;
  for (const std::string& module : modules) {
    bool found = false;
    for (const NamedTensor& entry : model.parameters().entries())
      if (liesInModule(entry.name, module)) {
        names.push_back(entry.name);
        found = true;
      }
    for (const auto& [alias, target] : model.parameters().aliases())
      if (liesInModule(alias, module)) {
        names.push_back(target);
        found = true;
      }
    if (!found)
      return Error{ErrorCode::Usage,
                   "The model has no module of this name",
                   "method.modules_to_save",
                   module,
                   "the last components of a module's path, such as embed_tokens or classifier",
                   "Remove it, or take a name from the model's tensors."};
  }
  return names;
}

Result<void> copyInto(const std::vector<OptimizedParameter>& parameters,
                      const std::map<std::string, at::Tensor>& tensors) {
  for (const auto& p : parameters) {
    auto found = tensors.find(p.name);
    if (found == tensors.end())
      return Error{ErrorCode::BadInput,
                   "A trained tensor is missing",
                   p.name,
                   "nothing",
                   shapeText(p.tensor),
                   "Give a file written for the same model, method and sites."};
    if (found->second.sizes() != p.tensor.sizes() || !found->second.is_floating_point())
      return Error{ErrorCode::BadInput,
                   "A trained tensor has another shape",
                   p.name,
                   shapeText(found->second),
                   shapeText(p.tensor),
                   "Give a file written with the same rank for the same model."};
  }
  const at::NoGradGuard noGrad;
  for (const auto& p : parameters) {
    at::Tensor target = p.tensor;
    target.copy_(tensors.at(p.name));
  }
  return {};
}

}  // namespace rankscope
