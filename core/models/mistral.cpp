#include "core/models/mistral.h"

#include "core/models/causal_model.h"
#include "core/models/rotary_decoder.h"

namespace rankscope {

namespace {

DecoderSizes mistralSizes(const nlohmann::json& config) {
  const ConfigReader r(config, "config.json");
  auto s = readDecoderSizes(r, {"mistral", 32000, 14336, 8, 0, 4096 * 32});
  // Without the entry the window is 4096; an entry of null means none.
  const bool none = config.contains("sliding_window") && config["sliding_window"].is_null();
  s.windows = readWindows(r, s.layers, none ? 0 : r.integer("sliding_window", 4096, 1, 1 << 30), 0);
  return s;
}

}  // namespace

Result<std::unique_ptr<Model>> loadMistral(const std::filesystem::path& folder, const nlohmann::json& config,
                                           const ModelLoadOptions& options) {
  return resultOf([&] { return loadDecoder(folder, config, mistralSizes(config), options); });
}

Result<std::vector<SiteShape>> mistralSiteShapes(const nlohmann::json& config) {
  return resultOf([&] { return decoderSiteShapes(mistralSizes(config)); });
}

}  // namespace rankscope
