#pragma once
// The learning rate that a config stands for: the one given, or the constant step of MeFT's Algorithm 1 (METHODS 18), which
// follows from bounds on the loss, the rank and the number of steps. No torch; for the trainer and for what is shown before
// a start.

#include <cstdint>
#include <optional>
#include <string>

#include "core/config/run_config.h"

namespace rankscope {

struct MeftBounds {
  double gap = 1;         // D
  double smoothness = 1;  // L
  double factors = 1;     // C
  double inputs = 1;      // σ
  double gradient = 1;    // G
  double noise = 1;       // ζ
};

// α = √(D/(L̂ζ²T)), L̂ = 2LC√r σ + G: proportional to T^(-1/2) and, for large r, to r^(-1/4).
double meftStep(const MeftBounds& bounds, int64_t rank, int64_t steps);

bool followsMeft(const RunConfig& config);
// The highest learning rate of a run of so many steps; empty where it follows from their number and that is 0.
std::optional<double> peakLearningRate(const RunConfig& config, int64_t steps);

}  // namespace rankscope
