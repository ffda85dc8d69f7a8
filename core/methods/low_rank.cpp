#include "core/methods/low_rank.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/methods/lora_adapter.h"
#include "core/methods/peft_format.h"
#include "core/methods/registry.h"
#include "core/methods/seeded_start.h"
#include "core/methods/site_selection.h"
#include "core/methods/trained_parameters.h"

namespace rankscope {

namespace {

bool isBias(const std::string& name) { return name == "bias" || endsInModule(name, "bias"); }

std::string initOption(const MethodSettings& settings) {
  auto found = settings.options.find("init");
  return found != settings.options.end() && found->is_string() ? found->get<std::string>() : "kaiming";
}

}  // namespace

double lowRankScaling(LowRankScaling kind, int64_t rank, double alpha) {
  const auto r = static_cast<double>(rank);
  return alpha / (kind == LowRankScaling::ByRank ? r : std::sqrt(r));
}

Result<int64_t> LowRankMethod::countOption(const char* key, int64_t standard, int64_t low) const {
  auto found = m_settings.options.find(key);
  if (found == m_settings.options.end() || found->is_null()) return standard;
  if (!found->is_number_integer() || found->get<int64_t>() < low)
    return Error{ErrorCode::Usage,
                 "A method option is out of range",
                 std::string("method.") + key,
                 found->dump(),
                 fmt::format("a whole number of at least {}", low),
                 "Choose a value within the range."};
  return found->get<int64_t>();
}

Result<void> LowRankMethod::checkSettings() const {
  auto rankOk = [](int64_t rank) { return rank >= 1 && rank <= 65536; };
  if (!rankOk(m_settings.rank))
    return Error{ErrorCode::Usage, "The rank is out of range", "method.rank", fmt::format("{}", m_settings.rank),
                 "1 … 65536",      "Choose a rank such as 8."};
  for (const auto& [pattern, rank] : m_settings.rankPattern)
    if (!rankOk(rank))
      return Error{
          ErrorCode::Usage, "A rank is out of range",  "method.rank_pattern." + pattern, fmt::format("{}", rank),
          "1 … 65536",      "Choose a rank such as 8."};
  auto alphaOk = [](double alpha) { return std::isfinite(alpha); };
  if (!alphaOk(m_settings.alpha) || !std::all_of(m_settings.alphaPattern.begin(), m_settings.alphaPattern.end(),
                                                 [&](const auto& entry) { return alphaOk(entry.second); }))
    return Error{ErrorCode::Usage,  "Alpha is not a finite number", "method.alpha", fmt::format("{}", m_settings.alpha),
                 "a finite number", "Choose an alpha such as 16."};
  if (!(m_settings.dropout >= 0 && m_settings.dropout < 1))
    return Error{ErrorCode::Usage, "The dropout is out of range",
                 "method.dropout", fmt::format("{}", m_settings.dropout),
                 "0 … below 1",    "Choose 0.05, or 0 for none."};
  if (m_settings.bias != "none" && m_settings.bias != "all" && m_settings.bias != "lora_only")
    return Error{ErrorCode::Usage,       "There is no such choice of biases",
                 "method.bias",          m_settings.bias,
                 "none, all, lora_only", "Choose one of these."};
  const std::string init = initOption(m_settings);
  if (init != "kaiming" && init != "gaussian")
    return Error{ErrorCode::Usage,    "There is no such start", "method.init", init,
                 "kaiming, gaussian", "Choose one of these."};
  return checkOptions();
}

void LowRankMethod::draw(AdaptedSite& adapted) const {
  const std::string& name = adapted.site->name;
  if (redrawsStart()) {
    fillKaimingUniform(adapted.a, m_settings.seed, name + ".lora_A");
    fillKaimingUniform(adapted.b, m_settings.seed, name + ".lora_B");
    return;
  }
  if (initOption(m_settings) == "gaussian")
    fillNormal(adapted.a, 1.0 / static_cast<double>(adapted.rank), m_settings.seed, name + ".lora_A");
  else
    fillKaimingUniform(adapted.a, m_settings.seed, name + ".lora_A");
  adapted.b.zero_();
}

// Parameters of the model that train beside the factors.
Result<std::vector<std::string>> LowRankMethod::wholeParameters(const Model& model) const {
  std::vector<std::string> names = model.headParameters();
  // A head that carries an adapter trains by it.
  std::erase_if(names, [&](const std::string& name) {
    return std::any_of(m_sites.begin(), m_sites.end(),
                       [&](const AdaptedSite& adapted) { return name.rfind(adapted.site->name + ".", 0) == 0; });
  });
  auto saved = savedModuleParameters(model, m_settings.modulesToSave);
  if (!saved) return saved.error();
  names.insert(names.end(), saved->begin(), saved->end());
  for (const NamedTensor& entry : model.parameters().entries()) {
    if (!isBias(entry.name)) continue;
    if (m_settings.bias == "all" || (m_settings.bias == "lora_only" && isAdaptedBias(entry.name)))
      names.push_back(entry.name);
  }
  for (const AdaptedSite& adapted : m_sites)
    if (std::find(names.begin(), names.end(), adapted.site->name + ".weight") != names.end())
      return Error{ErrorCode::Usage,
                   "A module cannot train whole and carry an adapter as well",
                   "method.modules_to_save",
                   adapted.site->name,
                   "a module outside method.target_modules",
                   "Remove it from one of the two."};
  return names;
}

bool LowRankMethod::isAdaptedBias(const std::string& parameter) const {
  return std::any_of(m_sites.begin(), m_sites.end(),
                     [&](const AdaptedSite& adapted) { return adapted.site->name + ".bias" == parameter; });
}

void LowRankMethod::takeStartOut(Model& model, AdaptedSite& adapted) const {
  const at::NoGradGuard noGrad;
  if (!adapted.originalWeight.defined()) adapted.originalWeight = adapted.site->weight.detach();
  const at::Tensor& original = adapted.originalWeight;
  const at::Tensor start = adapted.startB.mm(adapted.startA).mul_(adapted.scaling);
  model.replaceSiteWeight(*adapted.site, (original.to(start.scalar_type()) - start).to(original.scalar_type()));
}

Result<void> LowRankMethod::attach(Model& model) {
  if (auto ok = checkSettings(); !ok) return ok.error();
  auto sites = selectSites(model, m_settings);
  if (!sites) return sites.error();

  m_sites.clear();
  const at::ScalarType dtype = trainingDtype(model);
  for (LinearSite* site : *sites) {
    AdaptedSite adapted;
    adapted.site = site;
    const int64_t* rank = findPattern(m_settings.rankPattern, site->name);
    const double* alpha = findPattern(m_settings.alphaPattern, site->name);
    adapted.rank = rank ? *rank : m_settings.rank;
    adapted.alpha = alpha ? *alpha : m_settings.alpha;
    adapted.scaling = lowRankScaling(m_scaling, adapted.rank, adapted.alpha);
    if (redrawsStart() && model.parameters().aliases().count(site->name + ".weight"))
      return Error{ErrorCode::Usage,
                   "A tied weight cannot give up its start",
                   "method.target_modules",
                   site->name,
                   "a site with a weight of its own",
                   "Leave this site out, or set method.warmup_steps to 1 or more."};
    const auto options = site->weight.options().dtype(dtype).requires_grad(false);
    adapted.a = at::empty({adapted.rank, site->inFeatures}, options);
    adapted.b = at::empty({site->outFeatures, adapted.rank}, options);
    m_sites.push_back(std::move(adapted));
  }
  auto whole = wholeParameters(model);
  if (!whole) return whole.error();

  // From here on nothing fails: the model is changed only by settings that hold.
  m_model = &model;
  freezeAll(model);
  for (AdaptedSite& adapted : m_sites) {
    draw(adapted);
    if (redrawsStart()) {
      adapted.startA = adapted.a.clone();
      adapted.startB = adapted.b.clone();
      takeStartOut(model, adapted);
    }
    adapted.a.requires_grad_(true);
    adapted.b.requires_grad_(true);
    adapted.site->adapter = std::make_shared<LoraAdapter>(adapted.a, adapted.b, adapted.scaling, m_settings.dropout);
  }
  m_whole = makeTrainable(model, *whole);
  model.rebind();
  return {};
}

std::vector<OptimizedParameter> LowRankMethod::trainable() const {
  std::vector<OptimizedParameter> out;
  for (const AdaptedSite& adapted : m_sites) {
    out.push_back({adapted.site->name + ".lora_A.weight", adapted.a});
    out.push_back({adapted.site->name + ".lora_B.weight", adapted.b});
  }
  out.insert(out.end(), m_whole.begin(), m_whole.end());
  return out;
}

std::map<std::string, at::Tensor> LowRankMethod::state() const {
  std::map<std::string, at::Tensor> out;
  for (const AdaptedSite& adapted : m_sites) {
    if (!adapted.startA.defined()) continue;
    out[adapted.site->name + ".start_A"] = adapted.startA;
    out[adapted.site->name + ".start_B"] = adapted.startB;
  }
  return out;
}

Result<void> LowRankMethod::loadState(const std::map<std::string, at::Tensor>& state) {
  std::vector<OptimizedParameter> starts;
  for (const AdaptedSite& adapted : m_sites) {
    if (!adapted.startA.defined()) continue;
    starts.push_back({adapted.site->name + ".start_A", adapted.startA});
    starts.push_back({adapted.site->name + ".start_B", adapted.startB});
  }
  if (state.size() != starts.size())
    return Error{ErrorCode::BadInput,
                 "The method's saved state has another size",
                 "method state",
                 fmt::format("{} tensors", state.size()),
                 fmt::format("{} tensors", starts.size()),
                 "Resume from a checkpoint of a run with the same method, sites and warm-up."};
  if (starts.empty()) return {};
  if (auto ok = copyInto(starts, state); !ok) return ok.error();
  for (AdaptedSite& adapted : m_sites) takeStartOut(*m_model, adapted);
  m_model->rebind();
  return {};
}

std::vector<FactorPair> LowRankMethod::factorPairs() const {
  std::vector<FactorPair> out;
  for (const AdaptedSite& adapted : m_sites)
    out.push_back({adapted.site, adapted.a, adapted.b, adapted.scaling, adapted.startA, adapted.startB});
  return out;
}

std::vector<const LinearSite*> LowRankMethod::changedSites() const {
  std::vector<const LinearSite*> out;
  for (const AdaptedSite& adapted : m_sites) out.push_back(adapted.site);
  return out;
}

at::Tensor LowRankMethod::originalWeight(const LinearSite& site) const {
  for (const AdaptedSite& adapted : m_sites)
    if (adapted.site == &site) return adapted.originalWeight;
  return {};
}

nlohmann::json LowRankMethod::adapterConfig(const Model& model, const std::string& basePath) const {
  PeftConfigInput input{m_settings, model, basePath};
  input.rootScaling = m_scaling == LowRankScaling::ByRootRank;
  // An update that left the base weight is the difference of two rank-r products: twice the rank (and alpha, by which
  // alpha/r stays what it was) against the original weight.
  input.rankFactor = redrawsStart() ? 2 : 1;
  return peftConfig(input);
}

std::map<std::string, at::Tensor> LowRankMethod::adapterTensors() const {
  const at::NoGradGuard noGrad;
  std::map<std::string, at::Tensor> out;
  for (const AdaptedSite& adapted : m_sites) {
    const std::string name = kPeftPrefix + adapted.site->name;
    if (adapted.startA.defined()) {
      out[name + ".lora_A.weight"] = at::cat({adapted.a.detach(), adapted.startA}, 0);
      out[name + ".lora_B.weight"] = at::cat({adapted.b.detach(), -adapted.startB}, 1).contiguous();
    } else {
      out[name + ".lora_A.weight"] = adapted.a.detach();
      out[name + ".lora_B.weight"] = adapted.b.detach();
    }
  }
  for (const OptimizedParameter& p : m_whole) {
    std::string name = p.name;
    if (isAdaptedBias(name))
      name.insert(name.rfind('.'), ".base_layer");  // where PEFT keeps an adapted module's own bias
    out[kPeftPrefix + name] = p.tensor.detach();
  }
  return out;
}

Result<void> LowRankMethod::loadAdapterTensors(const std::map<std::string, at::Tensor>& tensors) {
  std::map<std::string, at::Tensor> byName;
  for (const auto& [name, tensor] : tensors) byName[plainPeftName(name)] = tensor;

  std::vector<OptimizedParameter> targets = m_whole;
  std::set<std::string> known;
  for (const OptimizedParameter& p : m_whole) known.insert(p.name);
  for (AdaptedSite& adapted : m_sites) {
    const std::string nameA = adapted.site->name + ".lora_A.weight", nameB = adapted.site->name + ".lora_B.weight";
    known.insert(nameA);
    known.insert(nameB);
    targets.push_back({nameA, adapted.a});
    targets.push_back({nameB, adapted.b});
    if (!adapted.startA.defined()) continue;
    targets.push_back({adapted.site->name + ".start_A", adapted.startA});
    targets.push_back({adapted.site->name + ".start_B", adapted.startB});
    const int64_t r = adapted.rank;
    auto a = byName.find(nameA), b = byName.find(nameB);
    if (a == byName.end() || b == byName.end()) continue;  // reported by copyInto
    if (a->second.dim() != 2 || b->second.dim() != 2 || a->second.size(0) != 2 * r || b->second.size(1) != 2 * r)
      return Error{ErrorCode::BadInput,
                   "The adapter does not carry its start",
                   adapted.site->name,
                   fmt::format("rank {}", a->second.dim() == 2 ? a->second.size(0) : 0),
                   fmt::format("rank {}", 2 * r),
                   "Load it as a LoRA adapter, or give one that this method saved with warm-up 0."};
    byName[adapted.site->name + ".start_A"] = a->second.slice(0, r, 2 * r);
    byName[adapted.site->name + ".start_B"] = -b->second.slice(1, r, 2 * r);
    byName[nameA] = a->second.slice(0, 0, r);
    byName[nameB] = b->second.slice(1, 0, r);
  }
  for (const auto& [name, tensor] : tensors)
    if (!known.count(plainPeftName(name)))
      return Error{ErrorCode::BadInput,
                   "The adapter holds a tensor that has no place here",
                   name,
                   "an unknown tensor",
                   "lora_A, lora_B, trained biases and saved modules of the adapted sites",
                   "Check that the adapter was made for this model and by LoRA or one of its relatives here."};
  if (auto ok = copyInto(targets, byName); !ok) return ok.error();
  if (redrawsStart()) {
    for (AdaptedSite& adapted : m_sites) takeStartOut(*m_model, adapted);
    m_model->rebind();
  }
  return {};
}

Result<void> LowRankMethod::merge(Model& model) {
  for (const AdaptedSite& adapted : m_sites)
    if (model.parameters().aliases().count(adapted.site->name + ".weight"))
      return Error{ErrorCode::Usage,
                   "An update cannot be merged into a tied weight",
                   adapted.site->name,
                   "a weight that the model uses twice",
                   "a site with a weight of its own",
                   "Keep the adapter as files, or train without this site."};
  const at::NoGradGuard noGrad;
  for (AdaptedSite& adapted : m_sites) {
    const at::Tensor& weight = adapted.site->weight;
    const at::Tensor delta = adapted.b.mm(adapted.a).mul_(adapted.scaling);
    model.replaceSiteWeight(*adapted.site, (weight.detach().to(delta.scalar_type()) + delta).to(weight.scalar_type()));
    adapted.site->adapter.reset();
  }
  for (const OptimizedParameter& p : m_whole)
    model.parameters().replace(p.name, p.tensor.detach().to(model.computeDtype()));
  model.rebind();
  m_sites.clear();
  m_whole.clear();
  return {};
}

}  // namespace rankscope
