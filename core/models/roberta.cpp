#include "core/models/roberta.h"

#include "core/models/encoder.h"

namespace rankscope {

namespace {

EncoderNames robertaNames() { return {"roberta"}; }

EncoderSizes robertaSizes(const nlohmann::json& config) {
  const ConfigReader reader(config, "config.json");
  EncoderSizes s;
  s.vocab = 50265;
  s.hidden = 768;
  s.inner = 3072;
  s.layers = s.heads = 12;
  s.positions = 512;
  s.types = 2;
  s.padId = 1;
  s = readEncoderSizes(reader, s);
  countPositionsBehindPadding(reader, s);
  return s;
}

class RobertaModel final : public EncoderModel {
 public:
  RobertaModel(const nlohmann::json& config, const ModelLoadOptions& options)
      : RobertaModel(config, robertaSizes(config), options) {}

 private:
  RobertaModel(const nlohmann::json& config, const EncoderSizes& sizes, const ModelLoadOptions& options)
      : EncoderModel(config, robertaNames(), sizes, robertaHead("roberta", sizes, options), options) {}
};

}  // namespace

Result<std::unique_ptr<Model>> loadRoberta(const std::filesystem::path& folder, const nlohmann::json& config,
                                           const ModelLoadOptions& options) {
  return loadEncoder<RobertaModel>(folder, config, options);
}

Result<std::vector<SiteShape>> robertaSiteShapes(const nlohmann::json& config) try {
  return encoderSites(robertaNames(), robertaSizes(config), TaskHead({}));
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
