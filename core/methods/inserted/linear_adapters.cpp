#include "core/methods/inserted/linear_adapters.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/config/usual_targets.h"
#include "core/methods/inserted/activations.h"
#include "core/methods/registry.h"
#include "core/methods/site_selection.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

struct LinearAdapterSettings {
  bool series = true;
  int64_t width = 256;
  Activation activation = Activation::Tanh;
  std::string activationName;
  double scale = 1;
};

Result<LinearAdapterSettings> readLinearAdapterSettings(const MethodSettings& given) {
  LinearAdapterSettings s;
  s.series = given.name == "llm_series";
  auto width = countOption(given, "bottleneck_size", s.width, 1);
  if (!width) return width.error();
  s.width = *width;
  auto activation = adapterActivation(given, "tanh", &s.activationName);
  if (!activation) return activation.error();
  s.activation = *activation;
  auto scale = realOption(given, "adapter_scale", 0, 0, 1e6);
  if (!scale) return scale.error();
  if (*scale > 0) s.scale = *scale;
  return s;
}

bool widens(int64_t in, int64_t out) { return out > in; }

// Features that the adapter reads and gives.
std::pair<int64_t, int64_t> sizesAt(const LinearAdapterSettings& s, int64_t in, int64_t out) {
  if (!s.series) return {in, out};
  const int64_t both = widens(in, out) ? in : out;
  return {both, both};
}

const SiteShape& shapeOf(const SiteShape& site) { return site; }
const SiteShape& shapeOf(const LinearSite* site) { return *site; }

// The given targets, or what the method takes of these sites where none are named.
template <typename Sites>
std::vector<std::string> targetsAmong(const MethodSettings& given, const Sites& sites) {
  if (!given.targetModules.empty()) return given.targetModules;
  std::vector<TargetSite> candidates;
  for (const auto& each : sites) {
    const SiteShape& site = shapeOf(each);
    if (site.operation == SiteOperation::Linear)
      candidates.push_back({site.name, site.kind, site.layer, site.inFeatures, site.outFeatures});
  }
  return usualTargets(given.name, {}, candidates);
}

class LinearAdapter final : public SiteAdapter {
 public:
  LinearAdapter(LinearAdapterSettings settings, at::Tensor down, at::Tensor up)
      : m_settings(std::move(settings)), m_down(std::move(down)), m_up(std::move(up)) {}

  at::Tensor forward(const LinearSite& site, const at::Tensor& x, ForwardContext&) const override {
    if (!m_settings.series) return joined(site.baseForward(x), x);
    if (widens(site.inFeatures, site.outFeatures)) return site.baseForward(joined(x, x));
    const at::Tensor y = site.baseForward(x);
    return joined(y, y);
  }

  at::Tensor deltaWeight() const override { return {}; }

 private:
  at::Tensor joined(const at::Tensor& to, const at::Tensor& z) const {
    const at::Tensor inner = activate(m_settings.activation, kernels::linear(z, m_down, {}));
    return at::add(to, kernels::linear(inner, m_up, {}), m_settings.scale);
  }

  LinearAdapterSettings m_settings;
  at::Tensor m_down, m_up;
};

class LinearAdapterModules final : public InsertedModules {
 public:
  LinearAdapterModules(const Model& model, const MethodSettings& given, const LinearAdapterSettings& settings,
                       std::vector<LinearSite*> sites)
      : m_targets(given.targetModules), m_settings(settings), m_sites(std::move(sites)) {
    constexpr double kDeviation = 0.02;
    for (const LinearSite* site : m_sites) {
      const auto [in, out] = sizesAt(settings, site->inFeatures, site->outFeatures);
      const std::string down = site->name + ".adapter_down", up = site->name + ".adapter_up";
      const at::Tensor downWeight =
          addTrained(down + ".weight", drawnNormal(given, down, {settings.width, in}, kDeviation, model), true);
      const at::Tensor upWeight =
          addTrained(up + ".weight", drawnNormal(given, up, {out, settings.width}, kDeviation, model), true);
      m_adapters.push_back(std::make_shared<LinearAdapter>(settings, downWeight, upWeight));
    }
  }

  void attach(Model&) const override {
    for (size_t i = 0; i < m_sites.size(); ++i) m_sites[i]->adapter = m_adapters[i];
  }

  void describe(const Model&, nlohmann::json& config) const override {
    config["peft_type"] = "BOTTLENECK";  // the name in LLM-Adapters' own branch of PEFT
    config["bottleneck_size"] = m_settings.width;
    config["non_linearity"] = m_settings.activationName;
    config["scaling"] = m_settings.scale;
    config["use_parallel_adapter"] = !m_settings.series;
    config["target_modules"] = m_targets;
  }

 private:
  std::vector<std::string> m_targets;
  LinearAdapterSettings m_settings;
  std::vector<LinearSite*> m_sites;
  std::vector<std::shared_ptr<LinearAdapter>> m_adapters;
};

}  // namespace

Result<std::unique_ptr<InsertedModules>> makeLinearAdapters(const Model& model, const MethodSettings& given) {
  auto settings = readLinearAdapterSettings(given);
  if (!settings) return settings.error();
  MethodSettings chosen = given;
  chosen.targetModules = targetsAmong(given, model.sites());
  auto sites = selectSites(model, chosen);
  if (!sites) return sites.error();
  for (const LinearSite* site : *sites)
    if (site->operation != SiteOperation::Linear)
      return Error{ErrorCode::Usage,
                   "these adapters sit at linear maps only",
                   "method.target_modules",
                   site->name,
                   "linear maps",
                   "Leave it out, or choose LoRA, which takes convolutions and embeddings as well."};
  return std::unique_ptr<InsertedModules>(
      std::make_unique<LinearAdapterModules>(model, chosen, *settings, std::move(*sites)));
}

Result<InsertedCost> linearAdapterCost(const MethodSettings& given, const ModelOutline& outline, int64_t layer) {
  auto settings = readLinearAdapterSettings(given);
  if (!settings) return settings.error();
  auto targets = TargetMatcher::make(targetsAmong(given, *outline.sites));
  if (!targets) return targets.error();
  auto layers = LayerFilter::make(given.layersToTransform);
  if (!layers) return layers.error();
  InsertedCost cost;
  for (const SiteShape& site : *outline.sites) {
    if (site.layer != layer || !layers->contains(layer)) continue;
    if (!targets->chooses(site)) continue;
    const auto [in, out] = sizesAt(*settings, site.inFeatures, site.outFeatures);
    cost.trained += settings->width * (in + out);
    cost.keptPerToken += 2 * settings->width + (settings->series ? in : 0);
  }
  return cost;
}

}  // namespace rankscope
