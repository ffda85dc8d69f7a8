#pragma once
// AdaLoRA's rule (Zhang et al., 2023; METHODS 7), on the triplets of the svd form. The loss gets a term that keeps A and
// B near orthonormal. After each step every entry's importance |p ∂p| is smoothed, and so is its deviation; a triplet's
// score is the product of both for E plus the means over A's row and B's column. A budget of triplets over all sites
// falls by a cubic from the first rank to the target: every `mask_interval` steps the E of those beyond it become 0. They
// may grow again until the last share of the run, over which the pattern is fixed. Figures as PEFT computes them.

#include "core/methods/low_rank_parts.h"

namespace rankscope {

struct AdaLoraSchedule {
  double initialShare = 0.1;  // of the run's steps, before anything is pruned
  double finalShare = 0.3;    // of the run's steps, with the pattern fixed
  int64_t interval = 10;

  int64_t initialSteps(int64_t total) const;
  int64_t finalSteps(int64_t total) const;
  // Triplets that stay at step t (from 1), between `first` and `last`.
  int64_t budget(int64_t t, int64_t total, int64_t first, int64_t last) const;
  bool prunesAt(int64_t t, int64_t total) const;
};

Result<std::unique_ptr<TrainingRule>> makeAdaLoraRule(const MethodSettings& settings);

}  // namespace rankscope
