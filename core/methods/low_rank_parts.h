#pragma once
// The parts a low-rank method is composed of (core/config/method_parts.h says which go together). Each part is one small
// file pair in forms/, starts/ or rules/ and one line in low_rank_parts.cpp; low_rank.cpp holds what all share: sites,
// files, checkpoints, merging. Training thread only.
//
// A start that looks at the whole model (LoRA-GA's gradients) does so in prepare(), before any draw(); a rule that keeps
// full-size moments (LoRA-Pro) or steps by itself (LoRA-RITE) says so by movesFactors(), moves them in beforeStep(), and
// keeps its own state in state(); base_format.h says what the frozen weights are kept in.

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/config/method_parts.h"
#include "core/methods/factor_files.h"
#include "core/methods/method.h"

namespace rankscope {

struct AdaptedSite {
  LinearSite* site = nullptr;
  int64_t rank = 0;
  double alpha = 0;
  double scaling = 1;
  at::Tensor a, b;            // [r, in], [out, r]
  at::Tensor extra;           // what the form trains beside them; else undefined
  at::Tensor startA, startB;  // where the start was taken out of the weight
  at::Tensor originalWeight;  // then: W0

  // The weight that the start is sought for.
  at::Tensor baseWeight() const { return originalWeight.defined() ? originalWeight : site->denseWeight(); }

  // Names in checkpoints and, behind PEFT's prefix, in adapter files.
  std::string nameA() const { return factorName(*site, 'A'); }
  std::string nameB() const { return factorName(*site, 'B'); }
  std::string startNameA() const { return site->name + ".start_A"; }
  std::string startNameB() const { return site->name + ".start_B"; }
};

// What a site computes from its factors.
class SiteForm {
 public:
  virtual ~SiteForm() = default;
  // A tensor that trains beside A and B: its name after the site's ("lora_magnitude_vector"), its shape, and its first
  // value once A, B and the base weight have theirs.
  virtual const char* extraName() const { return nullptr; }
  // Why a site cannot have this form.
  virtual Result<void> check(const LinearSite&) const { return {}; }
  virtual std::vector<int64_t> extraShape(int64_t /*outFeatures*/, int64_t /*rank*/) const { return {}; }
  virtual void startExtra(AdaptedSite&) const {}
  virtual std::shared_ptr<SiteAdapter> adapter(const AdaptedSite& adapted, double dropout) const = 0;
  // The pair for probes and exports: its update is s B A (with the start's, where it left the weight).
  virtual FactorPair factors(const AdaptedSite& adapted) const;
  // Whether the site's output is kept for backward besides what LoRA keeps.
  virtual bool keepsOutput() const { return false; }
  // Whether ranks can be left out one by one (a row of A, an entry of the extra tensor, a column of B): files may then hold
  // fewer of them than the site has.
  virtual bool prunes() const { return false; }
  // PEFT: what the config says beside LoRA's keys, and a factor's name in files.
  virtual void describe(nlohmann::json& /*config*/) const {}
  virtual std::string nameInFile(const std::string& factor) const { return factor; }
};

// First values of A and B.
class LowRankStart {
 public:
  virtual ~LowRankStart() = default;
  // s B A is taken out of the weight, so that the function at step 0 is the base model's although B is not 0.
  virtual bool changesBase() const { return false; }
  // The start follows from the base weight, so that an adapter's file without it means the same one.
  virtual bool followsFromWeight() const { return false; }
  // Why this start cannot be had at a site, of which site, rank and scaling are set.
  virtual Result<void> check(const AdaptedSite&) const { return {}; }
  // Seeking it takes long enough to be told of, and is left out where the factors are loaded next.
  virtual bool takesLong() const { return false; }
  // Looks at gradients of training batches (StartSupport::batch).
  virtual bool needsGradients() const { return false; }
  // float32 values that seeking it takes at one site: held for all sites together, and while that site is at hand.
  struct Sought {
    int64_t held = 0, work = 0;
  };
  virtual Sought soughtAt(int64_t /*outFeatures*/, int64_t /*inFeatures*/) const { return {}; }
  // Once, before any draw: the model is frozen, its sites carry no adapters and have their first weights.
  virtual Result<void> prepare(Model&, const std::vector<AdaptedSite>&, uint64_t /*seed*/, const StartSupport&) {
    return {};
  }
  virtual void draw(AdaptedSite& adapted, uint64_t seed) const = 0;
  // After the last draw.
  virtual void forget() {}
};

// What happens around the optimizer's step.
class TrainingRule {
 public:
  virtual ~TrainingRule() = default;
  // Once, when the sites have their first values; they stay where they are as long as the method lives.
  void bind(std::vector<AdaptedSite>& sites) {
    m_sites = &sites;
    bound();
  }
  virtual bool trainsA() const { return true; }
  // B must not be 0 at the start; where the chosen start leaves it 0, both factors are drawn and taken out of the weight.
  virtual bool needsRandomB() const { return false; }
  // Learning rates and decay of what trains, by name.
  virtual void adjust(std::vector<OptimizedParameter>&) const {}
  virtual at::Tensor lossTerm() const { return {}; }
  // Whether the rule moves A and B itself, in beforeStep(), and clears their gradients: the optimizer then keeps nothing
  // for them.
  virtual bool movesFactors() const { return false; }
  // Why the rule cannot work at a site.
  virtual Result<void> check(const AdaptedSite&) const { return {}; }
  virtual void onStart(Optimizer&) {}
  virtual void beforeClipping(const StepInfo&) {}
  virtual void beforeStep(const StepInfo&, Optimizer&) {}
  virtual void afterStep(const StepInfo&, Optimizer&) {}
  // Tensors that checkpoints carry, restored in place.
  virtual std::vector<OptimizedParameter> state() const { return {}; }
  // Of a form that prunes: which ranks of a site a file holds, bool [r] (undefined: all); told of a file that held `ranks`.
  virtual at::Tensor kept(size_t /*site*/) const { return {}; }
  virtual void pruned(size_t /*site*/, int64_t /*ranks*/) {}
  // PEFT: what the config says of the rule.
  virtual void describe(nlohmann::json& /*config*/) const {}
  // float32 values kept at one site beside the optimizer's.
  virtual int64_t stateAt(int64_t /*outFeatures*/, int64_t /*inFeatures*/, int64_t /*rank*/) const { return 0; }

 protected:
  virtual void bound() {}
  std::vector<AdaptedSite>& sites() const { return *m_sites; }

 private:
  std::vector<AdaptedSite>* m_sites = nullptr;
};

struct LowRankParts {
  MethodParts names;
  std::unique_ptr<SiteForm> form;
  std::unique_ptr<LowRankStart> start;
  std::unique_ptr<TrainingRule> rule;
};

// Names of the parts under the settings; those of LoRA's preset for a method that is not low-rank.
MethodParts partNames(const MethodSettings& settings);

// Parts by the preset of settings.name and by options form, init, rule and scaling. The error names an option of a part
// that is out of range, or why the parts do not go together.
Result<LowRankParts> makeParts(const MethodSettings& settings);

// THE lists of parts, by the values of method.form, method.init and method.rule.
template <typename Part>
struct PartEntry {
  std::string name;
  Result<std::unique_ptr<Part>> (*make)(const MethodSettings& settings);
};
template <typename Base, typename Part, typename... Arguments>
Result<std::unique_ptr<Base>> newPart(Arguments&&... arguments) {
  return std::unique_ptr<Base>(std::make_unique<Part>(std::forward<Arguments>(arguments)...));
}
const std::vector<PartEntry<SiteForm>>& siteForms();
const std::vector<PartEntry<LowRankStart>>& lowRankStarts();
const std::vector<PartEntry<TrainingRule>>& trainingRules();

}  // namespace rankscope
