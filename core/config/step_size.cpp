#include "core/config/step_size.h"

#include <cmath>

namespace rankscope {

double meftStep(const MeftBounds& bounds, int64_t rank, int64_t steps) {
  const double smooth =
      2 * bounds.smoothness * bounds.factors * std::sqrt(static_cast<double>(rank)) * bounds.inputs + bounds.gradient;
  return std::sqrt(bounds.gap / (smooth * bounds.noise * bounds.noise * static_cast<double>(steps)));
}

bool followsMeft(const RunConfig& config) { return config.str("optim.name") == "meft"; }

std::optional<double> peakLearningRate(const RunConfig& config, int64_t steps) {
  if (!followsMeft(config)) return config.real("optim.learning_rate");
  if (steps < 1) return std::nullopt;
  const MeftBounds bounds{config.real("optim.meft_gap"),    config.real("optim.meft_smoothness"),
                          config.real("optim.meft_bound"),  config.real("optim.meft_inputs"),
                          config.real("optim.meft_gradient"), config.real("optim.meft_noise")};
  return meftStep(bounds, config.integer("method.rank"), steps);
}

}  // namespace rankscope
