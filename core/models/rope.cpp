#include "core/models/rope.h"

#include <cmath>

namespace rankscope {

RopeSettings readRope(const ConfigReader& config, int64_t maxPositions) {
  RopeSettings rope;
  rope.theta = config.real("rope_theta", 10000.0, 1.0, 1e12);
  const bool newStyle = config.has("rope_parameters");
  const char* key = newStyle ? "rope_parameters" : "rope_scaling";
  if (!config.has(key)) return rope;
  const auto& section = config.json()[key];
  if (!section.is_object())
    config.fail(key, section.dump().substr(0, 60), "an object", "Repair the entry, or remove it.");
  const ConfigReader reader(section, std::string("config.json, ") + key);
  rope.theta = reader.real("rope_theta", rope.theta, 1.0, 1e12);
  rope.kind = reader.text("rope_type", reader.text("type", "default"));
  if (rope.kind == "default") return rope;
  if (rope.kind != "linear" && rope.kind != "llama3")
    reader.fail("rope_type", rope.kind, "default, linear or llama3",
                "This kind of rotary scaling is not supported; choose a model without it.");
  rope.factor = reader.real("factor", std::nullopt, 1.0, 1e6);
  if (rope.kind == "llama3") {
    rope.lowFrequencyFactor = reader.real("low_freq_factor", std::nullopt, 1e-6, 1e6);
    rope.highFrequencyFactor = reader.real("high_freq_factor", std::nullopt, 1e-6, 1e6);
    rope.originalMaxPositions = reader.integer("original_max_position_embeddings", maxPositions, 1, 1 << 30);
    if (rope.highFrequencyFactor <= rope.lowFrequencyFactor)
      reader.fail("high_freq_factor", std::to_string(rope.highFrequencyFactor), "more than low_freq_factor",
                  "Take config.json from the model's publisher again.");
  }
  return rope;
}

at::Tensor inverseFrequencies(const RopeSettings& rope, int64_t headDim) {
  const auto half = headDim / 2;
  auto result = at::empty({half}, at::kFloat);
  float* out = result.data_ptr<float>();
  for (int64_t i = 0; i < half; ++i) {
    // In float32 step by step, as the published implementation computes it.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(headDim);
    float f = 1.0f / std::pow(static_cast<float>(rope.theta), exponent);
    if (rope.kind == "linear") f /= static_cast<float>(rope.factor);
    if (rope.kind == "llama3") {
      const double wavelength = 2 * M_PI / f, original = static_cast<double>(rope.originalMaxPositions);
      const double lowest = original / rope.lowFrequencyFactor, highest = original / rope.highFrequencyFactor;
      if (wavelength > lowest) {
        f = static_cast<float>(f / rope.factor);
      } else if (wavelength >= highest) {
        const double smooth = (original / wavelength - rope.lowFrequencyFactor) /
                              (rope.highFrequencyFactor - rope.lowFrequencyFactor);
        f = static_cast<float>((1 - smooth) * f / rope.factor + smooth * f);
      }
    }
    out[i] = f;
  }
  return result;
}

std::pair<at::Tensor, at::Tensor> ropeTables(const at::Tensor& inverseFrequency, const at::Tensor& positions) {
  const auto angles = positions.to(at::kFloat).unsqueeze(1) * inverseFrequency.unsqueeze(0);
  return {angles.cos(), angles.sin()};
}

}  // namespace rankscope
