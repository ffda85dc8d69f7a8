#pragma once
// Rotary position angles, from both styles of config.json: `rope_theta` with `rope_scaling`, and `rope_parameters`.
// Kinds: default, linear (positions divided), llama3 (low frequencies slowed). The table belongs to the model.

#include <ATen/core/Tensor.h>

#include <utility>

#include "core/models/config_reader.h"

namespace rankscope {

struct RopeSettings {
  double theta = 10000;
  std::string kind = "default";
  double factor = 1, lowFrequencyFactor = 1, highFrequencyFactor = 4;
  int64_t originalMaxPositions = 0;
};

RopeSettings readRope(const ConfigReader& config, int64_t maxPositions);
// Angle per position of each of the headDim / 2 pairs.
at::Tensor inverseFrequencies(const RopeSettings& rope, int64_t headDim);
// cos and sin [T, headDim / 2] float32 of the given positions.
std::pair<at::Tensor, at::Tensor> ropeTables(const at::Tensor& inverseFrequency, const at::Tensor& positions);

}  // namespace rankscope
