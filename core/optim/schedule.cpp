#include "core/optim/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace rankscope {

double Schedule::factor(int64_t step) const {
  if (step < warmupSteps) return static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, warmupSteps));
  if (kind == Kind::Constant) return 1.0;
  const auto span = static_cast<double>(std::max<int64_t>(1, totalSteps - warmupSteps));
  if (kind == Kind::Linear) return std::max(0.0, static_cast<double>(totalSteps - step) / span);
  const double progress = static_cast<double>(step - warmupSteps) / span;
  return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
}

Result<Schedule> makeSchedule(const std::string& kind, int64_t warmupSteps, double warmupRatio, int64_t totalSteps) {
  Schedule schedule;
  if (kind == "constant")
    schedule.kind = Schedule::Kind::Constant;
  else if (kind == "linear")
    schedule.kind = Schedule::Kind::Linear;
  else if (kind == "cosine")
    schedule.kind = Schedule::Kind::Cosine;
  else
    return Error{ErrorCode::Usage,           "There is no such schedule", "optim.schedule", kind,
                 "linear, cosine, constant", "Choose one of these names."};
  if (totalSteps < 1)
    return Error{ErrorCode::Usage,  "The run has no step",
                 "train.max_steps", fmt::format("{}", totalSteps),
                 "at least 1",      "Raise train.epochs or train.max_steps, or give more data."};
  if (warmupSteps < 0)
    return Error{ErrorCode::Usage, "Warm-up cannot be negative", "optim.warmup_steps", fmt::format("{}", warmupSteps),
                 "0 or more",      "Set 0 for no warm-up."};
  if (!(warmupRatio >= 0 && warmupRatio <= 1))
    return Error{ErrorCode::Usage,
                 "The warm-up ratio is a share of all steps",
                 "optim.warmup_ratio",
                 fmt::format("{}", warmupRatio),
                 "0 … 1",
                 "Set 0.03 for three per cent of the steps."};
  schedule.totalSteps = totalSteps;
  // A number of steps wins over a ratio, as in the Hugging Face trainer, which rounds the ratio up.
  schedule.warmupSteps =
      warmupSteps > 0 ? warmupSteps : static_cast<int64_t>(std::ceil(static_cast<double>(totalSteps) * warmupRatio));
  return schedule;
}

}  // namespace rankscope
