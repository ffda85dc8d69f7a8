#include "core/methods/registry.h"

#include "core/config/method_texts.h"
#include "core/config/option_spec.h"
#include "core/methods/bitfit.h"
#include "core/methods/full.h"
#include "core/methods/inserted.h"
#include "core/methods/low_rank.h"
#include "core/models/registry.h"

namespace rankscope {

namespace {

SiteCost fullCost(const MethodSettings&, const SiteShape& site, int64_t) {
  return {site.outFeatures * site.inFeatures + (site.hasBias ? site.outFeatures : 0)};
}
SiteCost biasCost(const MethodSettings&, const SiteShape& site, int64_t) { return {site.hasBias ? site.outFeatures : 0}; }
SiteCost noCost(const MethodSettings&, const SiteShape&, int64_t) { return {}; }
double noScale(const MethodSettings&, int64_t, double) { return 1.0; }

SiteCost lowRankCost(const MethodSettings& settings, const SiteShape& site, int64_t rank) {
  auto parts = makeParts(settings);
  if (!parts) return {};  // said by attach() and validation
  SiteCost cost;
  cost.trained = rank * site.outFeatures + (parts->rule->trainsA() ? rank * site.inFeatures : 0);
  if (parts->form->extraName()) {
    int64_t extra = 1;
    for (const int64_t size : parts->form->extraShape(site.outFeatures, rank)) extra *= size;
    cost.trained += extra;
  }
  if (parts->rule->movesFactors()) cost.movedByMethod = rank * (site.outFeatures + site.inFeatures);
  cost.state = parts->rule->stateAt(site.outFeatures, site.inFeatures, rank);
  cost.keepsOutput = parts->form->keepsOutput();
  cost.keepsWeight = parts->start->changesBase();
  const LowRankStart::Sought sought = parts->start->soughtAt(site.outFeatures, site.inFeatures);
  cost.sought = sought.held;
  cost.soughtWork = sought.work;
  return cost;
}

double lowRankScale(const MethodSettings& settings, int64_t rank, double alpha) {
  auto parts = makeParts(settings);
  return parts ? updateScale(parts->names, rank, alpha) : 1.0;
}

// Title and citation are those of the option table and of the texts, which programs without torch read as well.
MethodEntry entryOf(const char* name, decltype(MethodEntry::make) make, decltype(MethodEntry::costAtSite) cost,
                    decltype(MethodEntry::scale) scale) {
  MethodEntry entry{name, name, "", make, cost, scale};
  for (const OptionChoice& choice : findOption("method.name")->choices)
    if (choice.value == name) entry.title = choice.title;
  if (const MethodText* text = methodText(name)) entry.paper = text->citation;
  return entry;
}

MethodEntry lowRank(const char* name) { return entryOf(name, makeLowRank, lowRankCost, lowRankScale); }
MethodEntry inserted(const char* name) { return entryOf(name, makeInserted, noCost, noScale); }

MethodSettings presetOf(const MethodEntry& entry) {
  MethodSettings settings;
  settings.name = entry.name;
  return settings;
}

}  // namespace

int64_t MethodEntry::countAtSite(int64_t outFeatures, int64_t inFeatures, bool hasBias, int64_t rank) const {
  SiteShape site;
  site.outFeatures = outFeatures;
  site.inFeatures = inFeatures;
  site.hasBias = hasBias;
  return costAtSite(presetOf(*this), site, rank).trained;
}

double MethodEntry::effectiveScale(int64_t rank, double alpha) const { return scale(presetOf(*this), rank, alpha); }

// THE list of methods. Parts of the low-rank ones: core/config/method_parts.cpp; texts of all: core/config/method_texts.cpp.
const std::vector<MethodEntry>& methodEntries() {
  static const std::vector<MethodEntry> entries{
      entryOf("full", makeFull, fullCost, noScale),
      lowRank("lora"),
      lowRank("rora"),
      lowRank("reflora"),
      lowRank("reflora_s"),
      lowRank("dora"),
      lowRank("adalora"),
      lowRank("pissa"),
      lowRank("lora_ga"),
      lowRank("qlora"),
      lowRank("loraplus"),
      lowRank("only_b"),
      lowRank("lora_pro"),
      lowRank("lora_rite"),
      lowRank("preclora"),
      lowRank("nora"),
      lowRank("nora_plus"),
      entryOf("bitfit", makeBitFit, biasCost, noScale),
      inserted("houlsby"),
      inserted("pfeiffer"),
      inserted("parallel"),
      inserted("llm_series"),
      inserted("llm_parallel"),
      inserted("prefix"),
      inserted("loreft"),
      inserted("direft"),
  };
  return entries;
}

Result<const MethodEntry*> findMethod(const std::string& name) {
  std::string names;
  for (const MethodEntry& entry : methodEntries()) {
    if (entry.name == name) return &entry;
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  return Error{ErrorCode::Usage, "There is no such method", "method.name", name, names, "Choose one of these names."};
}

Result<std::unique_ptr<Method>> makeMethod(MethodSettings settings) {
  auto entry = findMethod(settings.name);
  if (!entry) return entry.error();
  return (*entry)->make(std::move(settings));
}

Result<std::unique_ptr<Model>> loadBaseModel(const std::filesystem::path& folder, ModelLoadOptions options,
                                             const Method& method) {
  auto config = readModelConfig(folder);
  if (!config) return config.error();
  auto family = findModelFamily(config->value("model_type", std::string()));
  if (!family) return family.error();
  auto sites = (*family)->siteShapes(*config);
  if (!sites) return sites.error();
  options.leftInFile = method.leftInFile(*sites);
  return loadModel(folder, options);
}

}  // namespace rankscope
