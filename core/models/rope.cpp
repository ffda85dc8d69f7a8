#include "core/models/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace rankscope {

namespace {

constexpr const char* kTakeAgain = "Take config.json from the model's publisher again.";

void checkTheta(const ConfigReader& config, const ConfigReader& section) {
  if (!config.has("rope_theta") || !section.has("rope_theta")) return;
  const double outer = config.real("rope_theta", std::nullopt, 1.0, 1e12);
  const double inner = section.real("rope_theta", std::nullopt, 1.0, 1e12);
  if (outer != inner)
    section.fail("rope_theta", fmt::format("{}", inner), fmt::format("{}, as config.json says outside", outer),
                 kTakeAgain);
}

}  // namespace

RopeSettings readRope(const ConfigReader& config, int64_t maxPositions) {
  RopeSettings rope;
  rope.originalMaxPositions = maxPositions;
  rope.theta = config.real("rope_theta", 10000.0, 1.0, 1e12);
  if (const double part = config.real("partial_rotary_factor", 1.0, 0, 1e6); part != 1)
    config.fail("partial_rotary_factor", fmt::format("{}", part), "1",
                "Models that rotate a part of each head are not supported.");
  const char* key = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!config.has(key)) return rope;
  if (config.has("rope_scaling") && config.json()["rope_scaling"] != config.json()[key])
    config.fail("rope_scaling", config.json()["rope_scaling"].dump().substr(0, 80),
                "the same as rope_parameters, or no entry", kTakeAgain);
  const auto& section = config.json()[key];
  if (!section.is_object())
    config.fail(key, section.dump().substr(0, 60), "an object", "Repair the entry, or remove it.");
  const ConfigReader reader(section, std::string("config.json, ") + key);
  for (const auto& [name, value] : section.items())
    if (value.is_object())
      reader.fail(name, "an object", "the settings of one rotation for all layers",
                  "Models whose layers rotate differently are not supported.");
  checkTheta(config, reader);
  rope.theta = reader.real("rope_theta", rope.theta, 1.0, 1e12);
  rope.kind = reader.text("rope_type", reader.text("type", "default"));
  if (reader.has("type") && reader.text("type", rope.kind) != rope.kind)
    reader.fail("type", reader.text("type", ""), fmt::format("{}, as rope_type says", rope.kind), kTakeAgain);
  if (const double part = reader.real("partial_rotary_factor", 1.0, 0, 1e6); part != 1)
    reader.fail("partial_rotary_factor", fmt::format("{}", part), "1",
                "Models that rotate a part of each head are not supported.");
  if (rope.kind == "default") return rope;
  if (rope.kind != "linear" && rope.kind != "dynamic" && rope.kind != "llama3")
    reader.fail("rope_type", rope.kind, "default, linear, dynamic or llama3",
                "This kind of rotary scaling is not supported; choose a model without it.");
  rope.factor = reader.real("factor", std::nullopt, 1.0, 1e6);
  if (rope.kind == "llama3") {
    rope.lowFrequencyFactor = reader.real("low_freq_factor", std::nullopt, 1e-6, 1e6);
    rope.highFrequencyFactor = reader.real("high_freq_factor", std::nullopt, 1e-6, 1e6);
    rope.originalMaxPositions = reader.integer("original_max_position_embeddings", maxPositions, 1, 1 << 30);
    if (rope.highFrequencyFactor <= rope.lowFrequencyFactor)
      reader.fail("high_freq_factor", std::to_string(rope.highFrequencyFactor), "more than low_freq_factor",
                  kTakeAgain);
  }
  return rope;
}

int64_t scaledMaxPositions(const RopeSettings& rope, int64_t maxPositions) {
  if (rope.kind != "linear" && rope.kind != "dynamic") return maxPositions;
  return static_cast<int64_t>(std::min(static_cast<double>(maxPositions) * rope.factor, double{1 << 30}));
}

at::Tensor inverseFrequencies(const RopeSettings& rope, int64_t headDim, int64_t length) {
  double theta = rope.theta;
  if (rope.kind == "dynamic" && length > rope.originalMaxPositions && headDim > 2) {
    // NTK: θ · (factor · L / L₀ − (factor − 1))^(d / (d − 2))
    const double ratio = static_cast<double>(length) / static_cast<double>(rope.originalMaxPositions);
    theta *= std::pow(rope.factor * ratio - (rope.factor - 1),
                      static_cast<double>(headDim) / static_cast<double>(headDim - 2));
  }
  // In float32 and by the same operators as the published implementation: a last bit here is multiplied by positions.
  const auto exponents = at::arange(0, headDim, 2, at::kFloat) / static_cast<double>(headDim);
  const auto plain = at::reciprocal(at::pow(at::Scalar(theta), exponents));
  if (rope.kind == "linear") return plain / rope.factor;
  if (rope.kind != "llama3") return plain;
  const auto original = static_cast<double>(rope.originalMaxPositions);
  const auto wavelength = at::reciprocal(plain) * (2 * M_PI);
  const auto smooth = (at::reciprocal(wavelength) * original - rope.lowFrequencyFactor) /
                      (rope.highFrequencyFactor - rope.lowFrequencyFactor);
  const auto between = (1 - smooth) * plain / rope.factor + smooth * plain;
  const auto slowed = at::where(wavelength > original / rope.lowFrequencyFactor, plain / rope.factor, between);
  return at::where(wavelength < original / rope.highFrequencyFactor, plain, slowed);
}

RotaryTables::RotaryTables(RopeSettings rope, int64_t headDim)
    : m_rope(std::move(rope)), m_headDim(headDim), m_inverse(inverseFrequencies(m_rope, headDim)) {}

std::pair<at::Tensor, at::Tensor> RotaryTables::at(const at::Tensor& positions,
                                                   const std::vector<int64_t>& starts) const {
  const auto p = positions.to(at::kFloat).unsqueeze(1);
  auto angles = p * m_inverse.unsqueeze(0);
  if (m_rope.kind == "dynamic")
    for (size_t s = 0; s + 1 < starts.size(); ++s) {
      const auto begin = starts[s], count = starts[s + 1] - begin;
      const auto length = positions.narrow(0, begin, count).max().item<int64_t>() + 1;
      if (length > m_rope.originalMaxPositions)
        angles.narrow(0, begin, count)
            .copy_(p.narrow(0, begin, count) *
                   inverseFrequencies(m_rope, m_headDim, length).to(m_inverse.device()).unsqueeze(0));
    }
  return {angles.cos(), angles.sin()};
}

}  // namespace rankscope
