#include "core/models/qwen.h"

#include "core/models/causal_model.h"
#include "core/models/rotary_decoder.h"

namespace rankscope {

namespace {

// The layers behind `max_window_layers` see a window, and only where `use_sliding_window` says so.
void readSliding(const ConfigReader& r, DecoderSizes& sizes) {
  const bool none = r.json().contains("sliding_window") && r.json()["sliding_window"].is_null();
  const bool slides = r.flag("use_sliding_window", false) && !none;
  const auto window = slides ? r.integer("sliding_window", 4096, 1, 1 << 30) : 0;
  sizes.windows = readWindows(r, sizes.layers, window, r.integer("max_window_layers", 28, 0, 1 << 20));
}

DecoderSizes readQwen2(const nlohmann::json& config) {
  const ConfigReader r(config, "config.json");
  auto s = readDecoderSizes(r, {"qwen2", 151936, 22016, 32, 0, 32768});
  s.inputBias = true;
  readSliding(r, s);
  return s;
}

DecoderSizes readQwen3(const nlohmann::json& config) {
  const ConfigReader r(config, "config.json");
  auto s = readDecoderSizes(r, {"qwen3", 151936, 22016, 32, 128, 32768});
  s.inputBias = s.outputBias = r.flag("attention_bias", false);
  s.queryKeyNorm = true;
  readSliding(r, s);
  return s;
}

}  // namespace

Result<std::unique_ptr<Model>> loadQwen2(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options) {
  return resultOf([&] { return loadDecoder(folder, config, readQwen2(config), options); });
}

Result<std::vector<SiteShape>> qwen2SiteShapes(const nlohmann::json& config) {
  return resultOf([&] { return decoderSiteShapes(readQwen2(config)); });
}

Result<std::unique_ptr<Model>> loadQwen3(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options) {
  return resultOf([&] { return loadDecoder(folder, config, readQwen3(config), options); });
}

Result<std::vector<SiteShape>> qwen3SiteShapes(const nlohmann::json& config) {
  return resultOf([&] { return decoderSiteShapes(readQwen3(config)); });
}

}  // namespace rankscope
