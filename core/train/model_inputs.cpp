#include "core/train/model_inputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/models/registry.h"
#include "core/text/registry.h"

namespace rankscope {

namespace fs = std::filesystem;

Result<std::unique_ptr<Tokenizer>> loadModelInputs(const fs::path& model, const RunConfig& config, DataSettings& settings) {
  if (!readsImages(settings.task)) return loadTokenizer(model);
  Result<nlohmann::json> modelConfig = readModelConfig(model);
  if (!modelConfig) return modelConfig.error();
  Result<const ModelFamily*> family = findModelFamily(modelConfig->value("model_type", std::string()));
  if (!family) return family.error();
  if (!(*family)->imagePass)
    return Error{ErrorCode::Usage, fmt::format("a model of the {} family cannot look at images", (*family)->title),
                 "data.task", config.str("data.task"), "a task for text", "Choose another task, or an image model such as a ResNet."};
  const auto pass = (*family)->imagePass(*modelConfig, 1, 1);
  if (!pass) return pass.error();
  std::error_code code;
  const fs::path folder = fs::is_regular_file(model, code) ? model.parent_path() : model;
  Result<ImageSettings> image = readImageSettings(folder, ImageSettings::standard(pass->usualSide, pass->channels));
  if (!image) return image.error();
  settings.image = *image;
  if (const int64_t side = config.integer("data.image_size"); side > 0) settings.image.setSide(side);
  return std::unique_ptr<Tokenizer>();
}

std::vector<std::string> classNamesOf(const nlohmann::json& modelConfig) {
  const auto map = modelConfig.find("id2label");
  if (map == modelConfig.end() || !map->is_object()) return {};
  std::vector<std::string> names;
  bool invented = true;  // "LABEL_0": what transformers writes where nobody named the classes
  for (size_t i = 0; i < map->size(); ++i) {
    const auto name = map->find(std::to_string(i));
    if (name == map->end() || !name->is_string()) return {};
    names.push_back(name->get<std::string>());
    invented = invented && names.back() == fmt::format("LABEL_{}", i);
  }
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  const bool twice = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
  return invented || twice ? std::vector<std::string>() : names;
}

void takeModelsOrder(PreparedData& data, const std::vector<std::string>& modelNames) {
  if (data.labels == modelNames || !std::is_permutation(data.labels.begin(), data.labels.end(), modelNames.begin(), modelNames.end()))
    return;
  std::vector<int32_t> place;
  for (const std::string& label : data.labels)
    place.push_back(static_cast<int32_t>(std::find(modelNames.begin(), modelNames.end(), label) - modelNames.begin()));
  data.train.renumberClasses(place);
  data.eval.renumberClasses(place);
  data.labels = modelNames;
}

}  // namespace rankscope
