#include "core/optim/registry.h"

#include <set>

#include "core/optim/adamw.h"
#include "core/optim/sgd.h"

namespace rankscope {

// THE list of optimizers.
const std::vector<OptimizerEntry>& optimizerEntries() {
  static const std::vector<OptimizerEntry> entries{
      {"adamw", "AdamW", makeAdamW},
      {"sgd", "SGD", makeSgd},
      // Algorithm 1 of MeFT is plain SGD; what is its own is the rate (core/config/step_size.h).
      {"meft", "SGD, MeFT's step", makeSgd},
  };
  return entries;
}

namespace {

Result<void> checkSettings(const OptimizerSettings& s) {
  struct Range {
    const char* key;
    double value, low, high;
    bool highOpen;
  };
  for (const Range& r :
       {Range{"optim.beta1", s.beta1, 0, 1, true}, Range{"optim.beta2", s.beta2, 0, 1, true},
        Range{"optim.eps", s.eps, 0, 1, false}, Range{"optim.weight_decay", s.weightDecay, 0, 1e6, false},
        Range{"optim.momentum", s.momentum, 0, 1, true}})
    if (!(r.value >= r.low && (r.highOpen ? r.value < r.high : r.value <= r.high)))
      return Error{ErrorCode::Usage,
                   "An optimizer setting is out of range",
                   r.key,
                   fmt::format("{}", r.value),
                   fmt::format("{} … {}{}", r.low, r.highOpen ? "below " : "", r.high),
                   "Choose a value within the range."};
  return {};
}

}  // namespace

Result<std::unique_ptr<Optimizer>> makeOptimizer(std::vector<OptimizedParameter> parameters,
                                                 const OptimizerSettings& settings) {
  const OptimizerEntry* entry = nullptr;
  std::string names;
  for (const auto& e : optimizerEntries()) {
    if (e.name == settings.name) entry = &e;
    names += (names.empty() ? "" : ", ") + e.name;
  }
  if (!entry)
    return Error{ErrorCode::Usage,
                 "There is no such optimizer",
                 "optim.name",
                 settings.name,
                 names,
                 "Choose one of these names."};
  if (auto ok = checkSettings(settings); !ok) return ok.error();
  if (parameters.empty())
    return Error{ErrorCode::Usage,         "Nothing trains", "method",
                 "no trainable parameter", "at least one",   "Choose sites that the model has, or full fine-tuning."};
  std::set<std::string> seen;
  for (const auto& p : parameters) {
    if (!seen.insert(p.name).second)
      return Error{ErrorCode::Internal, "Two trainable parameters carry one name", p.name, "a duplicate",
                   "unique names",      "Report this with the run's config.json."};
    if (!p.tensor.defined() || (p.tensor.scalar_type() != at::kFloat && p.tensor.scalar_type() != at::kDouble))
      return Error{ErrorCode::Internal,
                   "A trainable parameter is not in float32 or float64",
                   p.name,
                   p.tensor.defined() ? c10::toString(p.tensor.scalar_type()) : "an undefined tensor",
                   "float32 or float64",
                   "Report this with the run's config.json."};
  }
  std::erase_if(parameters, [](const OptimizedParameter& p) { return p.movedByMethod; });
  return entry->make(std::move(parameters), settings);
}

}  // namespace rankscope
