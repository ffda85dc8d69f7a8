#include "core/methods/parameter_method.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "core/methods/peft_format.h"
#include "core/methods/trained_parameters.h"

namespace rankscope {

namespace {

class ParameterMethod final : public Method {
 public:
  ParameterMethod(MethodSettings settings, ParameterChoice choice)
      : m_settings(std::move(settings)), m_choice(choice) {}

  const MethodSettings& settings() const override { return m_settings; }

  Result<std::vector<std::string>> wholeParameters(const Model& model) const override {
    return m_choice.parameters(model, m_settings);
  }

  Result<void> attach(Model& model) override {
    auto names = wholeParameters(model);
    if (!names) return names.error();
    freezeAll(model);
    m_originals.clear();
    m_sites.clear();
    for (const LinearSite* site : model.sites()) {
      if (!m_choice.adapterFile.empty()) break;  // no weight changes but the head's
      if (site->operation == SiteOperation::Embedding) continue;  // a table, whose old rows nobody needs beside it
      const std::string weight = ownerOfParameter(model, site->name + ".weight");
      if (std::find(names->begin(), names->end(), weight) == names->end()) continue;
      m_sites.push_back(site);
      m_originals[site] = site->weight.detach();
    }
    m_parameters = makeTrainable(model, *names);
    // Running statistics follow the training, so they are part of what it is resumed from.
    m_buffers.clear();
    if (m_choice.adapterFile.empty())
      for (const NamedTensor& entry : model.buffers().entries())
        m_buffers.push_back({"buffer." + entry.name, entry.tensor});
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

  nlohmann::json adapterConfig(const Model& model, const std::string& basePath) const override {
    if (m_choice.adapterFile.empty()) return nlohmann::json::object();
    nlohmann::json config = commonPeftConfig(m_settings, model, basePath);
    config["peft_type"] = m_choice.adapterFile;
    if (!m_settings.layersToTransform.empty()) config["layers_to_transform"] = m_settings.layersToTransform;
    return config;
  }

  std::map<std::string, at::Tensor> adapterTensors() const override {
    const std::string prefix = m_choice.adapterFile.empty() ? "" : kPeftPrefix;
    std::map<std::string, at::Tensor> out;
    for (const OptimizedParameter& p : m_parameters) out[prefix + p.name] = p.tensor.detach();
    return out;
  }

  Result<void> loadAdapterTensors(const std::map<std::string, at::Tensor>& tensors) override {
    std::map<std::string, at::Tensor> byName;
    for (const auto& [name, tensor] : tensors) byName[plainPeftName(name)] = tensor;
    return copyInto(m_parameters, byName);
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
  MethodSettings m_settings;
  ParameterChoice m_choice;
  std::vector<OptimizedParameter> m_parameters, m_buffers;
  std::vector<const LinearSite*> m_sites;
  std::map<const LinearSite*, at::Tensor> m_originals;
};

}  // namespace

std::string ownerOfParameter(const Model& model, const std::string& name) {
  const auto alias = model.parameters().aliases().find(name);
  return alias == model.parameters().aliases().end() ? name : alias->second;
}

int64_t layerOfParameter(const std::string& parameter) {
  for (size_t begin = 0; begin < parameter.size();) {
    const size_t end = std::min(parameter.find('.', begin), parameter.size());
    int64_t value = -1;
    auto [stop, code] = std::from_chars(parameter.data() + begin, parameter.data() + end, value);
    if (code == std::errc() && stop == parameter.data() + end) return value;
    begin = end + 1;
  }
  return -1;
}

std::unique_ptr<Method> makeParameterMethod(MethodSettings settings, ParameterChoice choice) {
  return std::make_unique<ParameterMethod>(std::move(settings), choice);
}

}  // namespace rankscope
