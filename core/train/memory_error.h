#pragma once
// Memory that could not be had while training, told from every other exception and said so that a person can act: what the
// run needs by component and which options change the largest of them. Any thread.

#include <exception>
#include <optional>

#include "core/config/run_config.h"
#include "core/train/estimate.h"

namespace rankscope {

bool isOutOfMemory(const std::exception& problem);

// `estimate` is empty where even that could not be made.
Error outOfMemoryError(const RunConfig& config, const std::optional<RunEstimate>& estimate, int64_t step);

// A warning for a run that will hardly fit into what the machine can give; empty when it fits.
std::optional<std::string> memoryWarning(const RunConfig& config, const RunEstimate& estimate);

}  // namespace rankscope
