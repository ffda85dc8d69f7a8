#pragma once
#include "core/config/method_kind.h"
#include "core/methods/method.h"

namespace rankscope {

// What a method adds at one site, for counts and memory estimates.
struct SiteCost {
  int64_t trained = 0;       // parameters; biases and the head not counted (METHODS "Count")
  int64_t state = 0;         // float32 values kept beside the optimizer's
  int64_t movedByMethod = 0;  // of the trained parameters: the optimizer keeps nothing for them
  int64_t sought = 0, soughtWork = 0;  // float32 values held only while the start is sought; and while this site's is
  bool keepsOutput = false;  // the site's output is kept for backward as well
  bool keepsWeight = false;  // W0 stays beside a changed base weight
};

struct MethodEntry {
  std::string name;   // "reflora": the value of method.name
  std::string title;  // "RefLoRA"
  std::string paper;  // citation, one line
  std::unique_ptr<Method> (*make)(MethodSettings settings);
  // Under settings whose options may have chosen other parts than the preset's.
  SiteCost (*costAtSite)(const MethodSettings& settings, const SiteShape& site, int64_t rank);
  // Factor on BA that `rank` and `alpha` give: alpha/r, alpha/sqrt(r), 1.
  double (*scale)(const MethodSettings& settings, int64_t rank, double alpha);

  MethodKind kind() const { return methodKind(name); }
  bool lowRank() const { return kind() == MethodKind::LowRank; }

  // Of the preset itself.
  int64_t countAtSite(int64_t outFeatures, int64_t inFeatures, bool hasBias, int64_t rank) const;
  double effectiveScale(int64_t rank, double alpha) const;
};
const std::vector<MethodEntry>& methodEntries();
Result<const MethodEntry*> findMethod(const std::string& name);
Result<std::unique_ptr<Method>> makeMethod(MethodSettings settings);
// Loads the model that a method is attached to next: what the method replaces then stays in its file. `options.leftInFile`
// is set here.
Result<std::unique_ptr<Model>> loadBaseModel(const std::filesystem::path& folder, ModelLoadOptions options,
                                             const Method& method);

// PEFT's matching of target_modules against a site's name: equal, or the name ends in "." + target; "all-linear" takes
// every linear site but the task head. The error lists sites that exist when nothing matches.
Result<std::vector<LinearSite*>> selectSites(const Model& model, const MethodSettings& settings);

}  // namespace rankscope
