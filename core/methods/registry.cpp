#include "core/methods/registry.h"

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

MethodEntry lowRank(const char* name, const char* title, const char* paper) {
  return {name, title, paper, makeLowRank, lowRankCost, lowRankScale};
}

MethodEntry inserted(const char* name, const char* title, const char* paper) {
  return {name, title, paper, makeInserted, noCost, noScale};
}

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

// THE list of methods. Parts of the low-rank ones: core/config/method_parts.cpp.
const std::vector<MethodEntry>& methodEntries() {
  static const std::vector<MethodEntry> entries{
      {"full", "Full fine-tuning", "every parameter, AdamW", makeFull, fullCost, noScale},
      lowRank("lora", "LoRA", "Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022"),
      lowRank("rora", "RoRA",
              "Liu et al., RoRA: Efficient Fine-Tuning of LLM with Reliability Optimization for Rank Adaptation, 2025"),
      lowRank("reflora", "RefLoRA",
              "Zhang et al., RefLoRA: Refactored Low-Rank Adaptation for Efficient Fine-Tuning, NeurIPS 2025"),
      lowRank("reflora_s", "RefLoRA-S", "Zhang et al., RefLoRA, NeurIPS 2025 (scalar form)"),
      lowRank("dora", "DoRA", "Liu et al., DoRA: Weight-Decomposed Low-Rank Adaptation, ICML 2024"),
      lowRank("adalora", "AdaLoRA",
              "Zhang et al., AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning, ICLR 2023"),
      lowRank("pissa", "PiSSA",
              "Meng et al., PiSSA: Principal Singular Values and Singular Vectors Adaptation of LLMs, NeurIPS 2024"),
      lowRank("lora_ga", "LoRA-GA", "Wang et al., LoRA-GA: Low-Rank Adaptation with Gradient Approximation, NeurIPS 2024"),
      lowRank("qlora", "QLoRA", "Dettmers et al., QLoRA: Efficient Finetuning of Quantized LLMs, NeurIPS 2023"),
      lowRank("loraplus", "LoRA+", "Hayou et al., LoRA+: Efficient Low Rank Adaptation of Large Models, ICML 2024"),
      lowRank("only_b", "Only-B LoRA",
              "Shuttleworth et al., LoRA vs Full Fine-tuning: An Illusion of Equivalence, 2024"),
      lowRank("lora_pro", "LoRA-Pro", "Wang et al., LoRA-Pro: Are Low-Rank Adapters Properly Optimized?, ICLR 2025"),
      lowRank("lora_rite", "LoRA-RITE",
              "Yen et al., LoRA Done RITE: Robust Invariant Transformation Equilibration for LoRA Optimization, ICLR 2025"),
      lowRank("preclora", "PrecLoRA",
              "Zhang and Pilanci, Riemannian Preconditioned LoRA for Fine-Tuning Foundation Models, ICML 2024"),
      lowRank("nora", "NoRA", "Li et al., On the Crucial Role of Initialization for Matrix Factorization, ICLR 2025"),
      lowRank("nora_plus", "NoRA+",
              "Li et al., On the Crucial Role of Initialization for Matrix Factorization, ICLR 2025 (preconditioned)"),
      {"bitfit", "BitFit",
       "Ben Zaken et al., BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models, ACL 2022",
       makeBitFit, biasCost, noScale},
      inserted("houlsby", "Houlsby adapters", "Houlsby et al., Parameter-Efficient Transfer Learning for NLP, ICML 2019"),
      inserted("pfeiffer", "Pfeiffer adapters",
               "Pfeiffer et al., AdapterFusion: Non-Destructive Task Composition for Transfer Learning, EACL 2021"),
      inserted("parallel", "Parallel adapters",
               "He et al., Towards a Unified View of Parameter-Efficient Transfer Learning, ICLR 2022"),
      inserted("llm_series", "LLM-Adapters series",
               "Hu et al., LLM-Adapters: An Adapter Family for Parameter-Efficient Fine-Tuning of Large Language Models, EMNLP 2023"),
      inserted("llm_parallel", "LLM-Adapters parallel",
               "Hu et al., LLM-Adapters: An Adapter Family for Parameter-Efficient Fine-Tuning of Large Language Models, EMNLP 2023"),
      inserted("prefix", "Prefix tuning", "Li and Liang, Prefix-Tuning: Optimizing Continuous Prompts for Generation, ACL 2021"),
      inserted("loreft", "LoReFT", "Wu et al., ReFT: Representation Finetuning for Language Models, NeurIPS 2024"),
      inserted("direft", "DiReFT", "Wu et al., ReFT: Representation Finetuning for Language Models, NeurIPS 2024"),
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
