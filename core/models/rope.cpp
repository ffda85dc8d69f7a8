#include "core/models/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace rankscope {

namespace {

void checkTheta(const ConfigReader& config, const ConfigReader& section) {
  if (!config.has("rope_theta") || !section.has("rope_theta")) return;
  const double outer = config.real("rope_theta", std::nullopt, 1.0, 1e12);
  const double inner = section.real("rope_theta", std::nullopt, 1.0, 1e12);
  if (outer != inner)
    section.fail("rope_theta", fmt::format("{}", inner), fmt::format("{}, as config.json says outside", outer),
                 kTakeConfigAgain);
}

// The context length before the scaling: transformers prefers the entry outside of the section.
int64_t originalLength(const ConfigReader& config, const ConfigReader& section, int64_t maxPositions) {
  const char* key = "original_max_position_embeddings";
  return config.has(key) ? config.integer(key, std::nullopt, 1, 1 << 30) : section.integer(key, maxPositions, 1, 1 << 30);
}

// YaRN, section 3.4: longer contexts want sharper attention; `weight` is DeepSeek's addition.
double sharpening(double factor, double weight = 1) { return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1; }

void readYarn(RopeSettings& rope, const ConfigReader& section) {
  if (rope.theta <= 1)
    section.fail("rope_theta", fmt::format("{}", rope.theta), "more than 1", kTakeConfigAgain);
  rope.betaFast = section.real("beta_fast", 32.0, 1e-6, 1e6);
  rope.betaSlow = section.real("beta_slow", 1.0, 1e-6, 1e6);
  rope.truncate = section.flag("truncate", true);
  const double weight = section.real("mscale", 0.0, 0, 1e3), all = section.real("mscale_all_dim", 0.0, 0, 1e3);
  const double usual =
      weight != 0 && all != 0 ? sharpening(rope.factor, weight) / sharpening(rope.factor, all) : sharpening(rope.factor);
  rope.attentionFactor = section.real("attention_factor", usual, 0, 1e3);
}

std::vector<double> factorList(const ConfigReader& section, const char* key, int64_t headDim) {
  const auto entry = section.json().find(key);
  const std::string expected = fmt::format("a list of {} numbers above 0", headDim / 2);
  if (entry == section.json().end() || !entry->is_array() || static_cast<int64_t>(entry->size()) != headDim / 2)
    section.fail(key, entry == section.json().end() ? "no entry" : entry->dump().substr(0, 60), expected, kTakeConfigAgain);
  std::vector<double> factors;
  for (const auto& factor : *entry) {
    if (!factor.is_number() || !(factor.get<double>() > 0) || factor.get<double>() > 1e6)
      section.fail(key, factor.dump().substr(0, 60), expected, kTakeConfigAgain);
    factors.push_back(factor.get<double>());
  }
  return factors;
}

void readLongrope(RopeSettings& rope, const ConfigReader& section, int64_t headDim) {
  rope.shortFactors = factorList(section, "short_factor", headDim);
  rope.longFactors = factorList(section, "long_factor", headDim);
  const auto original = static_cast<double>(std::max<int64_t>(rope.originalMaxPositions, 2));
  const double usual = rope.factor <= 1 ? 1 : std::sqrt(1 + std::log(rope.factor) / std::log(original));
  rope.attentionFactor = section.real("attention_factor", usual, 0, 1e3);
}

}  // namespace

RopeSettings readRope(const ConfigReader& config, int64_t maxPositions, int64_t headDim) {
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
                "the same as rope_parameters, or no entry", kTakeConfigAgain);
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
    reader.fail("type", reader.text("type", ""), fmt::format("{}, as rope_type says", rope.kind), kTakeConfigAgain);
  if (const double part = reader.real("partial_rotary_factor", 1.0, 0, 1e6); part != 1)
    reader.fail("partial_rotary_factor", fmt::format("{}", part), "1",
                "Models that rotate a part of each head are not supported.");
  if (rope.kind == "default") return rope;
  const bool stretched = rope.kind == "yarn" || rope.kind == "longrope";
  if (rope.kind != "linear" && rope.kind != "dynamic" && rope.kind != "llama3" && !stretched)
    reader.fail("rope_type", rope.kind, "default, linear, dynamic, llama3, yarn or longrope",
                "This kind of rotary scaling is not supported; choose a model without it.");
  if (stretched || rope.kind == "llama3") rope.originalMaxPositions = originalLength(config, reader, maxPositions);
  // Where the two lengths are given, their ratio is the factor.
  const double ratio = static_cast<double>(maxPositions) / static_cast<double>(rope.originalMaxPositions);
  if (stretched && !reader.has("factor") && (rope.kind == "longrope" || ratio > 1)) rope.factor = ratio;
  else rope.factor = reader.real("factor", std::nullopt, 1.0, 1e6);
  if (rope.kind == "yarn") readYarn(rope, reader);
  if (rope.kind == "longrope") readLongrope(rope, reader, headDim);
  if (rope.kind == "llama3") {
    rope.lowFrequencyFactor = reader.real("low_freq_factor", std::nullopt, 1e-6, 1e6);
    rope.highFrequencyFactor = reader.real("high_freq_factor", std::nullopt, 1e-6, 1e6);
    if (rope.highFrequencyFactor <= rope.lowFrequencyFactor)
      reader.fail("high_freq_factor", std::to_string(rope.highFrequencyFactor), "more than low_freq_factor",
                  kTakeConfigAgain);
  }
  return rope;
}

int64_t scaledMaxPositions(const RopeSettings& rope, int64_t maxPositions) {
  const auto times = [&](int64_t length) {
    return static_cast<int64_t>(std::min(static_cast<double>(length) * rope.factor, double{1 << 30}));
  };
  if (rope.kind == "linear" || rope.kind == "dynamic") return times(maxPositions);
  // Configs give the length before or behind the scaling.
  return rope.kind == "yarn" ? std::max(maxPositions, times(rope.originalMaxPositions)) : maxPositions;
}

namespace {

// Divided frequencies where the original length holds few turns, kept ones where it holds many, a ramp between
// (Peng and others 2023, equations 19 to 23).
at::Tensor yarnFrequencies(const RopeSettings& rope, int64_t headDim, const at::Tensor& powers) {
  const auto dim = static_cast<double>(headDim);
  const auto place = [&](double turns) {
    return dim * std::log(static_cast<double>(rope.originalMaxPositions) / (turns * 2 * M_PI)) / (2 * std::log(rope.theta));
  };
  double low = place(rope.betaFast), high = place(rope.betaSlow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (low == high) high += 0.001;
  const auto ramp = ((at::arange(headDim / 2, at::kFloat) - low) / (high - low)).clamp(0, 1);
  const auto kept = 1 - ramp;
  return at::reciprocal(powers * rope.factor) * (1 - kept) + at::reciprocal(powers) * kept;
}

}  // namespace

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
  const auto powers = at::pow(at::Scalar(theta), exponents);
  if (rope.kind == "yarn") return yarnFrequencies(rope, headDim, powers);
  if (rope.kind == "longrope") {
    const std::vector<double>& factors = length > rope.originalMaxPositions ? rope.longFactors : rope.shortFactors;
    return at::reciprocal(at::tensor(factors, at::kFloat) * powers);
  }
  const auto plain = at::reciprocal(powers);
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
  if (m_rope.kind == "dynamic" || m_rope.kind == "longrope")
    for (size_t s = 0; s + 1 < starts.size(); ++s) {
      const auto begin = starts[s], count = starts[s + 1] - begin;
      const auto length = positions.narrow(0, begin, count).max().item<int64_t>() + 1;
      if (length > m_rope.originalMaxPositions)
        angles.narrow(0, begin, count)
            .copy_(p.narrow(0, begin, count) *
                   inverseFrequencies(m_rope, m_headDim, length).to(m_inverse.device()).unsqueeze(0));
    }
  if (m_rope.attentionFactor == 1) return {angles.cos(), angles.sin()};
  return {angles.cos() * m_rope.attentionFactor, angles.sin() * m_rope.attentionFactor};
}

}  // namespace rankscope
