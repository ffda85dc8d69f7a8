#pragma once
#include "core/methods/method.h"

namespace rankscope {

struct MethodEntry {
  std::string name;   // "reflora": the value of method.name
  std::string title;  // "RefLoRA"
  std::string paper;  // citation, one line
  bool lowRank = true;
  std::unique_ptr<Method> (*make)(MethodSettings settings);
  // Trainable parameters of one site under this method, biases and head not counted (METHODS "Count").
  int64_t (*countAtSite)(int64_t outFeatures, int64_t inFeatures, bool hasBias, int64_t rank);
  // Factor on BA that `rank` and `alpha` give: alpha/r, alpha/sqrt(r), 1.
  double (*effectiveScale)(int64_t rank, double alpha);
};
const std::vector<MethodEntry>& methodEntries();
Result<const MethodEntry*> findMethod(const std::string& name);
Result<std::unique_ptr<Method>> makeMethod(MethodSettings settings);

// PEFT's matching of target_modules against a site's name: equal, or the name ends in "." + target; "all-linear" takes
// every linear site but the task head. The error lists sites that exist when nothing matches.
Result<std::vector<LinearSite*>> selectSites(const Model& model, const MethodSettings& settings);

}  // namespace rankscope
