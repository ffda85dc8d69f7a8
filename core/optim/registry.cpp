#include "core/optim/registry.h"

#include <set>

#include "core/optim/adamw.h"
#include "core/optim/sgd.h"

namespace rankscope {

namespace {

int momentSlots(const OptimizerSettings&) { return 2; }
int momentumSlots(const OptimizerSettings& settings) { return settings.momentum != 0 ? 1 : 0; }

}  // namespace

// THE list of optimizers.
const std::vector<OptimizerEntry>& optimizerEntries() {
  static const std::vector<OptimizerEntry> entries{
      {"adamw", "AdamW", makeAdamW, momentSlots},
      {"sgd", "SGD", makeSgd, momentumSlots},
      // Algorithm 1 of MeFT is plain SGD; what is its own is the rate (core/config/step_size.h).
      {"meft", "SGD, MeFT's step", makeSgd, momentumSlots},
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

Result<const OptimizerEntry*> findOptimizer(const std::string& name) {
  std::string names;
  for (const OptimizerEntry& entry : optimizerEntries()) {
    if (entry.name == name) return &entry;
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  return Error{ErrorCode::Usage, "There is no such optimizer", "optim.name", name, names, "Choose one of these names."};
}

Result<std::unique_ptr<Optimizer>> makeOptimizer(std::vector<OptimizedParameter> parameters,
                                                 const OptimizerSettings& settings) {
  auto entry = findOptimizer(settings.name);
  if (!entry) return entry.error();
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
  auto memory = StateMemory::make(settings.pagedIn, parameters, (*entry)->slots(settings));
  if (!memory) return memory.error();
  return (*entry)->make(std::move(parameters), settings, std::move(*memory));
}

}  // namespace rankscope
