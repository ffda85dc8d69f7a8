#pragma once
// Metrics of regression in double precision (METRICS.md section 9), no clipping. Free functions, any thread.

#include <span>

#include "core/config/result.h"

namespace rankscope {

// NaN when either side has no variance, or holds NaN or infinity; fewer than 2 rows is an error.
Result<double> pearson(std::span<const double> targets, std::span<const double> scores);
// Pearson of average ranks; NaN when a side is constant, holds NaN, or has fewer than 2 rows. Infinities have ranks.
Result<double> spearman(std::span<const double> targets, std::span<const double> scores);
Result<double> meanSquaredError(std::span<const double> targets, std::span<const double> scores);

}  // namespace rankscope
