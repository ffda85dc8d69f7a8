#include "core/methods/low_rank_parts.h"

#include "core/methods/forms/dora.h"
#include "core/methods/forms/plain.h"
#include "core/methods/forms/svd.h"
#include "core/methods/method_options.h"
#include "core/methods/rules/adalora.h"
#include "core/methods/rules/lora_pro.h"
#include "core/methods/rules/lora_rite.h"
#include "core/methods/rules/loraplus.h"
#include "core/methods/rules/nora_plus.h"
#include "core/methods/rules/only_b.h"
#include "core/methods/rules/plain.h"
#include "core/methods/rules/reflora.h"
#include "core/methods/rules/reflora_s.h"
#include "core/methods/rules/scaled.h"
#include "core/methods/starts/lora_ga.h"
#include "core/methods/starts/nystrom.h"
#include "core/methods/starts/orthonormal.h"
#include "core/methods/starts/pissa.h"
#include "core/methods/starts/random.h"

namespace rankscope {

FactorPair SiteForm::factors(const AdaptedSite& adapted) const {
  return {adapted.site, adapted.a, adapted.b, adapted.scaling, adapted.startA, adapted.startB};
}

const std::vector<PartEntry<SiteForm>>& siteForms() {
  static const std::vector<PartEntry<SiteForm>> entries{{"plain", makePlainForm}, {"dora", makeDoraForm}, {"svd", makeSvdForm}};
  return entries;
}

const std::vector<PartEntry<LowRankStart>>& lowRankStarts() {
  static const std::vector<PartEntry<LowRankStart>> entries{
      {"kaiming", makeKaimingStart}, {"gaussian", makeGaussianStart}, {"redraw", makeRedrawStart},
      {"normal", makeNormalStart},   {"pissa", makePissaStart},       {"orthonormal", makeOrthonormalStart},
      {"nystrom", makeNystromStart}, {"lora_ga", makeLoraGaStart}};
  return entries;
}

const std::vector<PartEntry<TrainingRule>>& trainingRules() {
  static const std::vector<PartEntry<TrainingRule>> entries{
      {"plain", makePlainRule}, {"reflora", makeRefLoraRule}, {"reflora_s", makeRefLoraSRule},
      {"adalora", makeAdaLoraRule}, {"loraplus", makeLoraPlusRule}, {"only_b", makeOnlyBRule},
      {"scaled", makeScaledRule}, {"nora_plus", makeNoraPlusRule}, {"lora_pro", makeLoraProRule},
      {"lora_rite", makeLoraRiteRule}};
  return entries;
}

namespace {

template <typename Part>
Result<std::unique_ptr<Part>> makePart(const std::vector<PartEntry<Part>>& entries, const std::string& name,
                                       const char* what, const char* key, const MethodSettings& settings) {
  std::string names;
  for (const PartEntry<Part>& entry : entries) {
    if (entry.name == name) return entry.make(settings);
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  return Error{ErrorCode::Usage, fmt::format("There is no such {}", what), key, name, names, "Choose one of these."};
}

}  // namespace

MethodParts partNames(const MethodSettings& settings) {
  const MethodParts* preset = presetParts(settings.name);
  const auto chosen = [&](const char* key) { return textOption(settings, key, ""); };
  return combineParts(preset ? *preset : *presetParts("lora"),
                      {chosen("form"), chosen("init"), chosen("rule"), chosen("scaling"), chosen("base")});
}

Result<LowRankParts> makeParts(const MethodSettings& settings) {
  if (!presetParts(settings.name))
    return Error{ErrorCode::Usage, "This method is not made of low-rank parts", "method.name", settings.name,
                 "a low-rank method", "Choose a method such as lora."};
  const MethodParts names = partNames(settings);
  if (const auto problem = partsProblem(names)) return *problem;

  LowRankParts parts;
  if (names.scaling != "rank" && names.scaling != "root_rank")
    return Error{ErrorCode::Usage, "There is no such scaling", "method.scaling", names.scaling, "rank, root_rank",
                 "Choose one of these."};
  parts.names = names;
  auto form = makePart(siteForms(), names.form, "form", "method.form", settings);
  if (!form) return form.error();
  parts.form = std::move(*form);
  auto start = makePart(lowRankStarts(), names.start, "start", "method.init", settings);
  if (!start) return start.error();
  parts.start = std::move(*start);
  auto rule = makePart(trainingRules(), names.rule, "training rule", "method.rule", settings);
  if (!rule) return rule.error();
  parts.rule = std::move(*rule);
  if (parts.rule->needsRandomB() && !parts.start->changesBase()) {
    auto redraw = makeRedrawStart(settings);
    if (!redraw) return redraw.error();
    parts.start = std::move(*redraw);
  }
  return parts;
}

}  // namespace rankscope
