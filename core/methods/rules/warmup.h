#pragma once
// When a rule acts that leaves the first `warmup` calls alone and then acts on one in `interval`.

#include "core/methods/method_options.h"

namespace rankscope {

struct Warmup {
  static constexpr int64_t kSteps = 100;

  int64_t steps = kSteps, interval = 1;

  bool actsAt(int64_t number) const { return number >= steps && (number - steps) % interval == 0; }

  static Result<Warmup> of(const MethodSettings& settings) {
    auto steps = countOption(settings, "warmup_steps", kSteps, 0);
    if (!steps) return steps.error();
    auto interval = countOption(settings, "interval", 1, 1);
    if (!interval) return interval.error();
    return Warmup{*steps, *interval};
  }
};

}  // namespace rankscope
