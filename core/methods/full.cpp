#include "core/methods/full.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "core/methods/site_selection.h"
#include "core/methods/trained_parameters.h"

namespace rankscope {

namespace {

std::string moduleOf(const std::string& parameter) {
  const size_t dot = parameter.rfind('.');
  return dot == std::string::npos ? std::string() : parameter.substr(0, dot);
}

// The first number among the components of a parameter's path; -1 outside the blocks.
int64_t layerOf(const std::string& parameter) {
  for (size_t begin = 0; begin < parameter.size();) {
    const size_t end = std::min(parameter.find('.', begin), parameter.size());
    int64_t value = -1;
    auto [stop, code] = std::from_chars(parameter.data() + begin, parameter.data() + end, value);
    if (code == std::errc() && stop == parameter.data() + end) return value;
    begin = end + 1;
  }
  return -1;
}

class Full final : public Method {
 public:
  explicit Full(MethodSettings settings) : m_settings(std::move(settings)) {}

  const MethodSettings& settings() const override { return m_settings; }

  Result<void> attach(Model& model) override {
    auto names = chosenParameters(model);
    if (!names) return names.error();
    freezeAll(model);
    m_originals.clear();
    m_sites.clear();
    for (const LinearSite* site : model.sites()) {
      if (site->operation == SiteOperation::Embedding) continue;  // a table, whose old rows nobody needs beside it
      const std::string weight = ownerOf(model, site->name + ".weight");
      if (std::find(names->begin(), names->end(), weight) == names->end()) continue;
      m_sites.push_back(site);
      m_originals[site] = site->weight.detach();
    }
    m_parameters = makeTrainable(model, *names);
    // Running statistics follow the training, so they are part of what it is resumed from.
    m_buffers.clear();
    for (const NamedTensor& entry : model.buffers().entries()) m_buffers.push_back({"buffer." + entry.name, entry.tensor});
    model.rebind();
    return {};
  }

  std::vector<OptimizedParameter> trainable() const override { return m_parameters; }
  std::vector<const LinearSite*> changedSites() const override { return m_sites; }

  std::map<std::string, at::Tensor> state() const override {
    std::map<std::string, at::Tensor> out;
    for (const OptimizedParameter& buffer : m_buffers) out[buffer.name] = buffer.tensor;
    return out;
  }
  Result<void> loadState(const std::map<std::string, at::Tensor>& state) override { return copyInto(m_buffers, state); }

  at::Tensor originalWeight(const LinearSite& site) const override {
    auto found = m_originals.find(&site);
    return found == m_originals.end() ? at::Tensor() : found->second;
  }

  nlohmann::json adapterConfig(const Model&, const std::string&) const override { return nlohmann::json::object(); }

  std::map<std::string, at::Tensor> adapterTensors() const override {
    std::map<std::string, at::Tensor> out;
    for (const OptimizedParameter& p : m_parameters) out[p.name] = p.tensor.detach();
    return out;
  }

  Result<void> loadAdapterTensors(const std::map<std::string, at::Tensor>& tensors) override {
    return copyInto(m_parameters, tensors);
  }

  Result<void> merge(Model& model) override {
    for (const OptimizedParameter& p : m_parameters)
      model.parameters().replace(p.name, p.tensor.detach().to(model.computeDtype()));
    model.rebind();
    m_parameters.clear();
    m_sites.clear();
    m_originals.clear();
    return {};
  }

 private:
  static std::string ownerOf(const Model& model, const std::string& name) {
    auto alias = model.parameters().aliases().find(name);
    return alias == model.parameters().aliases().end() ? name : alias->second;
  }

  Result<std::vector<std::string>> chosenParameters(const Model& model) const {
    auto layers = LayerFilter::make(m_settings.layersToTransform);
    if (!layers) return layers.error();
    auto targets = TargetMatcher::make(m_settings.targetModules);
    if (!targets) return targets.error();
    const std::vector<std::string> head = model.headParameters();

    std::vector<std::string> names;
    auto chosen = [&](const std::string& name) {
      if (!m_settings.layersToTransform.empty() && !layers->contains(layerOf(name))) return false;
      if (m_settings.targetModules.empty()) return true;
      if (!targets->allLinear()) return targets->matches(moduleOf(name));
      return std::any_of(model.sites().begin(), model.sites().end(), [&](const LinearSite* site) {
        return targets->chooses(*site) &&
               (ownerOf(model, site->name + ".weight") == name || site->name + ".bias" == name);
      });
    };
    for (const NamedTensor& entry : model.parameters().entries())
      if (chosen(entry.name)) names.push_back(entry.name);
    for (const auto& [alias, target] : model.parameters().aliases())
      if (chosen(alias) && std::find(names.begin(), names.end(), target) == names.end()) names.push_back(target);
    if (names.empty())
      return Error{ErrorCode::Usage,
                   "No parameter of the model matches the chosen modules and layers",
                   "method.target_modules",
                   fmt::format("{}", fmt::join(m_settings.targetModules, ", ")),
                   "modules that the model has",
                   "Leave the list empty to train every parameter."};
    for (const std::string& name : head)
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    return names;
  }

  MethodSettings m_settings;
  std::vector<OptimizedParameter> m_parameters, m_buffers;
  std::vector<const LinearSite*> m_sites;
  std::map<const LinearSite*, at::Tensor> m_originals;
};

}  // namespace

std::unique_ptr<Method> makeFull(MethodSettings settings) { return std::make_unique<Full>(std::move(settings)); }

}  // namespace rankscope
