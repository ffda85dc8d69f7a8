#include "core/models/llama.h"

#include "core/models/causal_model.h"
#include "core/models/rotary_decoder.h"

namespace rankscope {

namespace {

DecoderSizes llamaSizes(const nlohmann::json& config) {
  const ConfigReader r(config, "config.json");
  auto s = readDecoderSizes(r, {"llama", 32000, 11008, 0, 0, 2048});
  s.inputBias = s.outputBias = r.flag("attention_bias", false);
  s.mlpBias = r.flag("mlp_bias", false);
  return s;
}

}  // namespace

Result<std::unique_ptr<Model>> loadLlama(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options) {
  return resultOf([&] { return loadDecoder(folder, config, llamaSizes(config), options); });
}

Result<std::vector<SiteShape>> llamaSiteShapes(const nlohmann::json& config) {
  return resultOf([&] { return decoderSiteShapes(llamaSizes(config)); });
}

}  // namespace rankscope
