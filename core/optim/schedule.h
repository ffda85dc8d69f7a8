#pragma once
#include <cstdint>
#include <string>

#include "core/config/result.h"

namespace rankscope {

// Learning-rate schedules as Hugging Face's get_scheduler computes them: linear warm-up from 0, then linear decay to 0,
// half a cosine to 0, or constant.
struct Schedule {
  enum class Kind { Constant, Linear, Cosine } kind = Kind::Linear;
  int64_t warmupSteps = 0;
  int64_t totalSteps = 1;
  // Factor on the base learning rate for optimizer step `step` (from 0).
  double factor(int64_t step) const;
};
Result<Schedule> makeSchedule(const std::string& kind, int64_t warmupSteps, double warmupRatio, int64_t totalSteps);

}  // namespace rankscope
