#include <fmt/format.h>

#include <algorithm>

#include "core/models/causal_model.h"
#include "core/models/rotary_decoder.h"

namespace rankscope {

namespace {

}  // namespace

DecoderSizes readDecoderSizes(const ConfigReader& r, const DecoderDefaults& defaults) {
  refuseQuantised(r);
  DecoderSizes s;
  s.family = defaults.family;
  s.vocab = r.integer("vocab_size", defaults.vocab, 1, kMaxConfigSize);
  s.hidden = r.integer("hidden_size", 4096, 1, kMaxConfigSize);
  s.inner = r.integer("intermediate_size", defaults.inner, 1, kMaxConfigSize);
  s.layers = r.integer("num_hidden_layers", 32, 1, 4096);
  s.heads = r.integer("num_attention_heads", 32, 1, 1 << 16);
  // An entry of null means "as many as heads" everywhere.
  const bool silent = !r.json().contains("num_key_value_heads") && defaults.kvHeads > 0;
  s.kvHeads = r.integer("num_key_value_heads", silent ? defaults.kvHeads : s.heads, 1, 1 << 16);
  if (s.heads % s.kvHeads != 0)
    r.fail("num_key_value_heads", std::to_string(s.kvHeads), fmt::format("a divisor of {}", s.heads), kTakeConfigAgain);
  const bool derived = !r.has("head_dim") && defaults.headDim == 0;
  if (derived && s.hidden % s.heads != 0)
    r.fail("num_attention_heads", std::to_string(s.heads), fmt::format("a divisor of hidden_size {}", s.hidden),
           "Give head_dim, or take config.json from the model's publisher again.");
  s.headDim = r.integer("head_dim", derived ? std::max<int64_t>(s.hidden / s.heads, 1) : defaults.headDim, 1, 1 << 16);
  if (s.headDim % 2 != 0)
    r.fail("head_dim", std::to_string(s.headDim), "an even number", "Rotary positions turn pairs; check the model.");
  const auto act = r.text("hidden_act", "silu");
  if (act != "silu" && act != "swish")
    r.fail("hidden_act", act, "silu", "Only SwiGLU feed-forward layers are supported for this family.");
  s.eps = r.real("rms_norm_eps", 1e-6, 0, 1);
  s.initializerRange = r.real("initializer_range", 0.02, 0, 1e3);
  s.attentionDropout = r.real("attention_dropout", 0, 0, 0.999);
  s.tied = r.flag("tie_word_embeddings", false);
  s.padId = r.integer("pad_token_id", -1, -1, kMaxConfigSize);
  const auto maxPositions = r.integer("max_position_embeddings", defaults.maxPositions, 1, 1 << 30);
  s.rope = readRope(r, maxPositions, s.headDim);
  s.maxPositions = scaledMaxPositions(s.rope, maxPositions);
  s.windows.assign(static_cast<size_t>(s.layers), 0);
  return s;
}

std::vector<int64_t> readWindows(const ConfigReader& config, int64_t layers, int64_t window, int64_t firstSliding) {
  std::vector<int64_t> windows(static_cast<size_t>(layers), 0);
  if (!config.has("layer_types")) {
    for (int64_t i = firstSliding; i < layers; ++i) windows[static_cast<size_t>(i)] = window;
    return windows;
  }
  const auto& types = config.json()["layer_types"];
  if (!types.is_array() || types.size() != windows.size())
    config.fail("layer_types",
                types.is_array() ? fmt::format("{} entries", types.size()) : std::string(types.type_name()),
                fmt::format("a list of {} entries", layers), kTakeConfigAgain);
  for (size_t i = 0; i < windows.size(); ++i) {
    const auto kind = types[i].is_string() ? types[i].get<std::string>() : types[i].dump();
    if (kind != "full_attention" && kind != "sliding_attention")
      config.fail("layer_types", kind.substr(0, 60), "full_attention or sliding_attention",
                  "Layers of other kinds are not supported; choose another model.");
    if (kind == "full_attention") continue;
    if (window <= 0)
      config.fail("layer_types", kind, "full_attention, for config.json gives no sliding window", kTakeConfigAgain);
    windows[i] = window;
  }
  return windows;
}

}  // namespace rankscope
