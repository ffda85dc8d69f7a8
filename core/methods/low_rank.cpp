#include "core/methods/low_rank.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/methods/mean_gradient.h"
#include "core/methods/registry.h"
#include "core/methods/site_selection.h"
#include "core/methods/trained_parameters.h"

namespace rankscope {

std::unique_ptr<Method> makeLowRank(MethodSettings settings) {
  return std::make_unique<LowRankMethod>(std::move(settings));
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
  return {};
}

Result<std::vector<std::string>> LowRankMethod::wholeParameters(const Model& model) const {
  auto adapted = selectSites(model, m_settings);
  if (!adapted) return adapted.error();
  const auto isOf = [&](const std::string& name, const char* tail) {
    return std::any_of(adapted->begin(), adapted->end(), [&](const LinearSite* site) { return name == site->name + tail; });
  };
  std::vector<std::string> names = model.headParameters();
  // A head that carries an adapter trains by it.
  std::erase_if(names, [&](const std::string& name) { return isOf(name, ".weight") || isOf(name, ".bias"); });
  auto saved = savedModuleParameters(model, m_settings.modulesToSave);
  if (!saved) return saved.error();
  names.insert(names.end(), saved->begin(), saved->end());
  for (const NamedTensor& entry : model.parameters().entries()) {
    if (!isBias(entry.name)) continue;
    if (m_settings.bias == "all" || (m_settings.bias == "lora_only" && isOf(entry.name, ".bias")))
      names.push_back(entry.name);
  }
  const auto twice = std::find_if(names.begin(), names.end(), [&](const std::string& name) { return isOf(name, ".weight"); });
  if (twice != names.end())
    return Error{ErrorCode::Usage,
                 "A module cannot train whole and carry an adapter as well",
                 "method.modules_to_save",
                 twice->substr(0, twice->rfind('.')),
                 "a module outside method.target_modules",
                 "Remove it from one of the two."};
  return names;
}

bool LowRankMethod::isAdaptedBias(const std::string& parameter) const {
  return std::any_of(m_sites.begin(), m_sites.end(),
                     [&](const AdaptedSite& adapted) { return adapted.site->name + ".bias" == parameter; });
}

Result<AdaptedSite> LowRankMethod::makeSite(const Model& model, LinearSite& site) const {
  AdaptedSite adapted;
  adapted.site = &site;
  const int64_t* rank = findPattern(m_settings.rankPattern, site.name);
  const double* alpha = findPattern(m_settings.alphaPattern, site.name);
  adapted.rank = rank ? *rank : m_settings.rank;
  adapted.alpha = alpha ? *alpha : m_settings.alpha;
  adapted.scaling = updateScale(m_parts.names, adapted.rank, adapted.alpha);
  if (m_parts.start->changesBase() && model.isTied(site.name + ".weight"))
    return Error{ErrorCode::Usage,
                 "A tied weight cannot give up its start",
                 "method.target_modules",
                 site.name,
                 "a site with a weight of its own",
                 "Leave this site out, or choose a start with B = 0 (for RefLoRA, method.warmup_steps of 1 or more)."};
  if (auto possible = m_parts.form->check(site); !possible) return possible.error();
  if (auto possible = m_parts.start->check(adapted); !possible) return possible.error();
  if (auto possible = m_parts.rule->check(adapted); !possible) return possible.error();
  const auto options = at::TensorOptions(site.weight.device()).dtype(trainingDtype(model));
  adapted.a = at::empty({adapted.rank, site.inFeatures}, options);
  adapted.b = at::empty({site.outFeatures, adapted.rank}, options);
  if (m_parts.form->extraName())
    adapted.extra = at::empty(m_parts.form->extraShape(site.outFeatures, adapted.rank), options);
  return adapted;
}

Result<void> LowRankMethod::attach(Model& model) try {
  if (auto ok = checkSettings(); !ok) return ok.error();
  auto parts = makeParts(m_settings);
  if (!parts) return parts.error();
  auto base = baseFormatOf(m_settings);
  if (!base) return base.error();
  auto sites = selectSites(model, m_settings);
  if (!sites) return sites.error();

  m_parts = std::move(*parts);
  m_base = *base;
  m_sites.clear();
  for (LinearSite* site : *sites) {
    auto adapted = makeSite(model, *site);
    if (!adapted) return adapted.error();
    m_sites.push_back(std::move(*adapted));
  }
  const auto& candidates = m_base.adaptedOnly ? *sites : model.sites();
  if (m_base.fourBit && std::none_of(candidates.begin(), candidates.end(),
                                     [&](const LinearSite* site) { return isCoded(m_base, *site, true); }))
    return Error{ErrorCode::Usage, "There is no matrix here that can be kept in 4 bits", "method.base",
                 m_parts.names.base, "linear maps in the model's layers", "Set method.base to plain."};
  auto whole = wholeParameters(model);
  if (!whole) return whole.error();
  if (seeksStart() && m_parts.start->needsGradients() && m_support.batches < 1)
    return Error{ErrorCode::Usage, "This start needs training data", "method.init", m_parts.names.start,
                 "data whose gradients are looked at", "Give the training data, or choose another start."};

  // From here on no setting is refused: the model is changed only by settings that hold.
  m_model = &model;
  freezeAll(model);
  auto drawn = drawStarts(*whole);
  m_support = {};
  if (!drawn) return drawn.error();
  m_whole = makeTrainable(model, *whole);
  codeBase(*whole);
  model.rebind();
  for (AdaptedSite& adapted : m_sites) {
    m_parts.form->startExtra(adapted);  // of the base weight as it now is
    adapted.a.requires_grad_(m_parts.rule->trainsA());
    adapted.b.requires_grad_(true);
    if (adapted.extra.defined()) adapted.extra.requires_grad_(true);
    adapted.site->adapter = m_parts.form->adapter(adapted, m_settings.dropout);
  }
  m_parts.rule->bind(m_sites);
  return {};
} catch (const ErrorException& e) {  // a base weight that cannot be coded
  return e.error();
}

std::set<std::string> LowRankMethod::leftInFile(const std::vector<SiteShape>& sites) const {
  std::set<std::string> names;
  const auto base = baseFormatOf(m_settings);
  const auto targets = TargetMatcher::make(m_settings.targetModules);
  const auto layers = LayerFilter::make(m_settings.layersToTransform);
  if (!base || !targets || !layers) return names;  // said by attach()
  for (const SiteShape& site : sites) {
    const bool adapted = targets->chooses(site) && layers->contains(site.layer);
    if (isCoded(*base, site, adapted)) names.insert(site.name + ".weight");
  }
  return names;
}

Result<void> LowRankMethod::drawStarts(const std::vector<std::string>& whole) {
  LowRankStart& start = *m_parts.start;
  if (seeksStart()) {
    if (start.needsGradients() && m_base.fourBit) {
      // The gradients are those of the model as it will be, which is also all that fits into memory.
      for (AdaptedSite& adapted : m_sites) adapted.originalWeight = adapted.site->weight.detach();
      codeBase(whole);
      m_model->rebind();
    }
    if (auto ready = start.prepare(*m_model, m_sites, m_settings.seed, m_support); !ready) return ready;
  }
  const bool told = m_support.progress && seeksStart() && start.takesLong() && !start.needsGradients();
  for (size_t i = 0; i < m_sites.size(); ++i) {
    if (told && !m_support.progress("the start from the weights", static_cast<double>(i) / static_cast<double>(m_sites.size())))
      return startInterrupted();
    drawStart(m_sites[i]);
  }
  start.forget();
  return {};
}

// First values of a site's tensors, and of its base weight where the start changes it.
void LowRankMethod::drawStart(AdaptedSite& adapted) {
  if (seeksStart()) {
    m_parts.start->draw(adapted, m_settings.seed);
  } else {
    adapted.a.zero_();
    adapted.b.zero_();
  }
  if (m_parts.start->changesBase()) {
    adapted.startA = adapted.a.clone();
    adapted.startB = adapted.b.clone();
    takeStartOut(adapted);
  }
}

void LowRankMethod::takeStartOut(AdaptedSite& adapted) {
  const at::NoGradGuard noGrad;
  if (!adapted.originalWeight.defined()) adapted.originalWeight = adapted.site->weight.detach();
  const at::Tensor& original = adapted.originalWeight;
  const at::Tensor start = adapted.startB.mm(adapted.startA).mul_(adapted.scaling);
  const at::Tensor rest = original.to(start.scalar_type()) - start;
  if (isCoded(m_base, *adapted.site, true)) {
    keepInFourBits(m_base, *m_model, *adapted.site, rest);
    return;
  }
  adapted.site->weight = rest.to(m_model->computeDtype());
  m_model->replaceSiteWeight(*adapted.site, adapted.site->weight);
}

// What the base format asks for and no start has done yet; weights that were left in their file come into memory.
void LowRankMethod::codeBase(const std::vector<std::string>& whole) {
  if (!m_base.fourBit) return;
  const at::NoGradGuard noGrad;
  std::set<const LinearSite*> adapted;
  for (const AdaptedSite& each : m_sites) adapted.insert(each.site);
  const std::set<std::string> trained(whole.begin(), whole.end());
  for (LinearSite* site : m_model->sites()) {
    if (site->coded.defined() || trained.count(site->name + ".weight")) continue;
    if (isCoded(m_base, *site, adapted.count(site) > 0))
      keepInFourBits(m_base, *m_model, *site, site->weight);
    else if (site->weight.scalar_type() != m_model->computeDtype())
      m_model->replaceSiteWeight(*site, site->weight.to(m_model->computeDtype()));
  }
}

// The base weights follow starts that were read.
void LowRankMethod::rebindBase() {
  if (!m_parts.start->changesBase()) return;
  for (AdaptedSite& adapted : m_sites) takeStartOut(adapted);
  m_model->rebind();
}

std::string LowRankMethod::extraName(const AdaptedSite& adapted) const {
  return adapted.site->name + "." + m_parts.form->extraName();
}

std::vector<OptimizedParameter> LowRankMethod::trainable() const {
  std::vector<OptimizedParameter> out;
  for (const AdaptedSite& adapted : m_sites) {
    const bool moved = m_parts.rule->movesFactors();
    if (m_parts.rule->trainsA()) out.push_back({adapted.nameA(), adapted.a, 1.0, true, moved});
    out.push_back({adapted.nameB(), adapted.b, 1.0, true, moved});
    if (adapted.extra.defined()) out.push_back({extraName(adapted), adapted.extra});
  }
  out.insert(out.end(), m_whole.begin(), m_whole.end());
  m_parts.rule->adjust(out);
  return out;
}

std::vector<OptimizedParameter> LowRankMethod::stateTensors() const {
  std::vector<OptimizedParameter> out = m_parts.rule->state();
  for (const AdaptedSite& adapted : m_sites) {
    if (!m_parts.rule->trainsA()) out.push_back({adapted.nameA(), adapted.a});
    if (!adapted.startA.defined()) continue;
    out.push_back({adapted.startNameA(), adapted.startA});
    out.push_back({adapted.startNameB(), adapted.startB});
  }
  return out;
}

std::map<std::string, at::Tensor> LowRankMethod::state() const {
  std::map<std::string, at::Tensor> out;
  for (const OptimizedParameter& kept : stateTensors()) out[kept.name] = kept.tensor;
  return out;
}

Result<void> LowRankMethod::loadState(const std::map<std::string, at::Tensor>& state) {
  const std::vector<OptimizedParameter> kept = stateTensors();
  if (state.size() != kept.size())
    return Error{ErrorCode::BadInput,
                 "The method's saved state has another size",
                 "method state",
                 fmt::format("{} tensors", state.size()),
                 fmt::format("{} tensors", kept.size()),
                 "Resume from a checkpoint of a run with the same method, sites and warm-up."};
  if (kept.empty()) return {};
  if (auto ok = copyInto(kept, state); !ok) return ok.error();
  rebindBase();
  return {};
}

std::vector<FactorPair> LowRankMethod::factorPairs() const {
  std::vector<FactorPair> out;
  for (const AdaptedSite& adapted : m_sites) out.push_back(m_parts.form->factors(adapted));
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

Result<void> LowRankMethod::merge(Model& model) {
  for (const AdaptedSite& adapted : m_sites)
    if (model.isTied(adapted.site->name + ".weight"))
      return Error{ErrorCode::Usage,
                   "An update cannot be merged into a tied weight",
                   adapted.site->name,
                   "a weight that the model uses twice",
                   "a site with a weight of its own",
                   "Keep the adapter as files, or train without this site."};
  const at::NoGradGuard noGrad;
  for (AdaptedSite& adapted : m_sites) {
    const at::Tensor delta = adapted.site->adapter->deltaWeight();
    const at::Tensor merged = adapted.site->denseWeight().to(delta.scalar_type()) + delta;
    model.replaceSiteWeight(*adapted.site, merged.to(model.computeDtype()));
    adapted.site->adapter.reset();
  }
  // A model on disk is dense: what was kept in 4 bits becomes the values that these stand for.
  for (LinearSite* site : model.sites())
    if (site->coded.defined()) model.replaceSiteWeight(*site, site->denseWeight().to(model.computeDtype()));
  for (const OptimizedParameter& p : m_whole)
    model.parameters().replace(p.name, p.tensor.detach().to(model.computeDtype()));
  model.rebind();
  m_sites.clear();
  m_whole.clear();
  return {};
}

}  // namespace rankscope
