#pragma once
// Rotary position angles, from both styles of config.json: `rope_theta` with `rope_scaling`, and `rope_parameters`.
// Kinds: default, linear (positions divided), dynamic (the base grows with the sequence, NTK), llama3 (low frequencies
// slowed), yarn (a ramp between kept and divided frequencies; Peng and others 2023), longrope (a divisor for each
// frequency, another set for long sequences; Ding and others 2024). Immutable once made; belongs to its model.

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "core/models/config_reader.h"

namespace rankscope {

struct RopeSettings {
  double theta = 10000;
  std::string kind = "default";
  double factor = 1, lowFrequencyFactor = 1, highFrequencyFactor = 4;
  int64_t originalMaxPositions = 0;
  double attentionFactor = 1;             // yarn, longrope: on cos and sin
  double betaFast = 32, betaSlow = 1;     // yarn: turns in the original length between which the ramp lies,
  bool truncate = true;                   // at whole frequencies
  std::vector<double> shortFactors, longFactors;  // longrope: of each pair
};

// Refuses unknown kinds, entries that contradict each other, and rotation of a part of a head.
RopeSettings readRope(const ConfigReader& config, int64_t maxPositions, int64_t headDim);
// The longest sequence that the settings are meant for.
int64_t scaledMaxPositions(const RopeSettings& rope, int64_t maxPositions);
// Angle per position of each of the headDim / 2 pairs, in a sequence of `length` tokens (which only `dynamic` and
// `longrope` ask for).
at::Tensor inverseFrequencies(const RopeSettings& rope, int64_t headDim, int64_t length = 0);

class RotaryTables {
 public:
  RotaryTables() = default;
  RotaryTables(RopeSettings rope, int64_t headDim);

  void to(const at::Device& device) { m_inverse = m_inverse.to(device); }
  // cos and sin [T, headDim / 2] float32 of the positions of packed sequences. Under `dynamic` and `longrope` a sequence that
  // reaches beyond the original length gets the angles of its own length, whatever lies beside it in the batch; keys that a
  // cache already holds keep the angles under which they came.
  std::pair<at::Tensor, at::Tensor> at(const at::Tensor& positions, const std::vector<int64_t>& starts) const;

 private:
  RopeSettings m_rope;
  int64_t m_headDim = 0;
  at::Tensor m_inverse;
};

}  // namespace rankscope
