#include "core/methods/inserted.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/methods/inserted/bottleneck.h"
#include "core/methods/inserted/linear_adapters.h"
#include "core/methods/inserted/prefix.h"
#include "core/methods/inserted/reft.h"
#include "core/methods/peft_format.h"
#include "core/methods/seeded_start.h"
#include "core/methods/site_selection.h"
#include "core/methods/trained_parameters.h"

namespace rankscope {

namespace {

const std::vector<InsertedKind>& insertedKinds() {
  static const std::vector<InsertedKind> kinds = {
      {"houlsby", makeBottleneck, bottleneckCost},
      {"pfeiffer", makeBottleneck, bottleneckCost},
      {"parallel", makeBottleneck, bottleneckCost},
      {"llm_series", makeLinearAdapters, linearAdapterCost},
      {"llm_parallel", makeLinearAdapters, linearAdapterCost},
      {"prefix", makePrefix, prefixCost},
      {"loreft", makeReft, reftCost},
      {"direft", makeReft, reftCost},
  };
  return kinds;
}

class InsertedMethod final : public Method {
 public:
  explicit InsertedMethod(MethodSettings settings) : m_settings(std::move(settings)) {}

  const MethodSettings& settings() const override { return m_settings; }

  Result<std::vector<std::string>> wholeParameters(const Model& model) const override {
    std::vector<std::string> whole = model.headParameters();
    auto saved = savedModuleParameters(model, m_settings.modulesToSave);
    if (!saved) return saved.error();
    whole.insert(whole.end(), saved->begin(), saved->end());
    return whole;
  }

  Result<void> attach(Model& model) override {
    const InsertedKind* kind = findInsertedKind(m_settings.name);
    auto modules = kind->make(model, m_settings);
    if (!modules) return modules.error();
    auto whole = wholeParameters(model);
    if (!whole) return whole.error();

    freezeAll(model);
    m_modules = std::move(*modules);
    m_whole = makeTrainable(model, *whole);
    model.rebind();
    m_modules->attach(model);
    return {};
  }

  std::vector<OptimizedParameter> trainable() const override {
    std::vector<OptimizedParameter> all = m_modules->trainable();
    all.insert(all.end(), m_whole.begin(), m_whole.end());
    return all;
  }

  std::map<std::string, at::Tensor> state() const override {
    std::map<std::string, at::Tensor> out;
    for (const OptimizedParameter& kept : m_modules->frozen()) out[kept.name] = kept.tensor;
    return out;
  }
  Result<void> loadState(const std::map<std::string, at::Tensor>& state) override {
    return m_modules->loadFrozen(state);
  }

  std::vector<const LinearSite*> changedSites() const override { return {}; }

  nlohmann::json adapterConfig(const Model& model, const std::string& basePath) const override {
    nlohmann::json config = commonPeftConfig(m_settings, model, basePath);
    m_modules->describe(model, config);
    return config;
  }

  std::map<std::string, at::Tensor> adapterTensors() const override {
    std::map<std::string, at::Tensor> out;
    for (const auto& [name, tensor] : m_modules->saved())
      out[name.find('.') == std::string::npos ? name : kPeftPrefix + name] = tensor.detach();
    for (const OptimizedParameter& p : m_whole) out[kPeftPrefix + p.name] = p.tensor.detach();
    return out;
  }

  Result<void> loadAdapterTensors(const std::map<std::string, at::Tensor>& tensors) override {
    std::map<std::string, at::Tensor> modules, byName;
    std::set<std::string> whole, strangers;
    for (const OptimizedParameter& p : m_whole) whole.insert(p.name);
    const std::map<std::string, at::Tensor> wanted = m_modules->saved();
    for (const auto& [name, tensor] : tensors) {
      const std::string plain = plainPeftName(name);
      if (wanted.count(plain))
        modules[plain] = tensor;
      else if (whole.count(plain))
        byName[plain] = tensor;
      else
        strangers.insert(plain);
    }
    if (!strangers.empty())
      return Error{ErrorCode::BadInput,
                   "The adapter holds a tensor that has no place here",
                   *strangers.begin(),
                   "an unknown tensor",
                   "the modules of this method, the task head and saved modules",
                   "Check that the adapter was made for this model and by this method."};
    if (auto ok = copyInto(m_whole, byName); !ok) return ok.error();
    return m_modules->load(modules);
  }

  Result<void> merge(Model&) override {
    return Error{ErrorCode::Usage,
                 "this method's modules cannot be merged into the weights",
                 "method.name",
                 m_settings.name,
                 "a low-rank method, BitFit or full fine-tuning",
                 "What they compute is no change of a weight; keep the adapter beside the base model."};
  }

 private:
  MethodSettings m_settings;
  std::unique_ptr<InsertedModules> m_modules;  // from attach() on
  std::vector<OptimizedParameter> m_whole;     // head, saved modules
};

template <typename Fill>
at::Tensor drawn(const Model& model, at::IntArrayRef shape, const Fill& fill) {
  at::Tensor values = at::empty(
      shape, at::TensorOptions(model.parameters().entries().front().tensor.device()).dtype(trainingDtype(model)));
  fill(values);
  return values;
}

}  // namespace

const InsertedKind* findInsertedKind(const std::string& method) {
  for (const InsertedKind& kind : insertedKinds())
    if (kind.method == method) return &kind;
  return nullptr;
}

std::unique_ptr<Method> makeInserted(MethodSettings settings) {
  return std::make_unique<InsertedMethod>(std::move(settings));
}

at::Tensor InsertedModules::addTrained(std::string name, const at::Tensor& value, bool decayed) {
  at::Tensor leaf = value.detach();
  leaf.requires_grad_(true);
  m_trainable.push_back({std::move(name), leaf, 1.0, decayed});
  return leaf;
}

std::map<std::string, at::Tensor> InsertedModules::saved() const {
  std::map<std::string, at::Tensor> out;
  for (const auto* group : {&m_trainable, &m_frozen})
    for (const OptimizedParameter& each : *group) out[each.name] = each.tensor.detach();
  return out;
}

Result<void> InsertedModules::load(const std::map<std::string, at::Tensor>& tensors) {
  std::vector<OptimizedParameter> all = m_trainable;
  all.insert(all.end(), m_frozen.begin(), m_frozen.end());
  return copyInto(all, tensors);
}

Result<void> InsertedModules::loadFrozen(const std::map<std::string, at::Tensor>& tensors) {
  return copyInto(m_frozen, tensors);
}

at::Tensor drawnNormal(const MethodSettings& settings, const std::string& name, at::IntArrayRef shape, double deviation,
                       const Model& model) {
  return drawn(model, shape, [&](at::Tensor& values) { fillNormal(values, deviation, settings.seed, name); });
}

at::Tensor drawnUniform(const MethodSettings& settings, const std::string& name, at::IntArrayRef shape, double bound,
                        const Model& model) {
  return drawn(model, shape, [&](at::Tensor& values) { fillUniform(values, bound, settings.seed, name); });
}

Result<std::vector<int64_t>> chosenLayers(const MethodSettings& settings, int64_t layers) {
  auto filter = LayerFilter::make(settings.layersToTransform);
  if (!filter) return filter.error();
  std::vector<int64_t> chosen;
  for (int64_t layer = 0; layer < layers; ++layer)
    if (filter->contains(layer)) chosen.push_back(layer);
  if (chosen.empty())
    return Error{ErrorCode::Usage,
                 "No layer of the model is chosen",
                 "method.layers",
                 fmt::format("{}", fmt::join(settings.layersToTransform, ", ")),
                 fmt::format("layers 0 … {}", layers - 1),
                 "Leave the list empty for all layers."};
  return chosen;
}

Error noPlace(const MethodSettings& settings, const Model& model, const char* what) {
  return {ErrorCode::Usage,
          "this method has no place in this model",
          "method.name",
          fmt::format("{} on {}", settings.name, model.family()),
          what,
          "Choose another method or another base model."};
}

}  // namespace rankscope
