#include "core/train/run_parameters.h"

#include <algorithm>
#include <set>

#include "core/io/shard_index.h"
#include "core/methods/base_format.h"
#include "core/methods/inserted.h"
#include "core/methods/parameter_method.h"
#include "core/methods/site_selection.h"
#include "core/train/model_inputs.h"
#include "core/train/setup.h"

namespace rankscope {
namespace {

using nlohmann::json;

int64_t numberOf(const json& config, const char* key, int64_t standard) {
  const auto found = config.find(key);
  return found != config.end() && found->is_number_integer() ? std::max<int64_t>(1, found->get<int64_t>()) : standard;
}

// GPT-2 has names of its own for them.
ModelSizes sizesOf(const json& config) {
  const int64_t hidden = numberOf(config, "hidden_size", numberOf(config, "n_embd", 1));
  const int64_t heads = numberOf(config, "num_attention_heads", numberOf(config, "n_head", 1));
  const int64_t keyValues = numberOf(config, "num_key_value_heads", heads) * numberOf(config, "head_dim", hidden / heads);
  return {hidden, numberOf(config, "intermediate_size", numberOf(config, "n_inner", 4 * hidden)),
          numberOf(config, "num_hidden_layers", numberOf(config, "n_layer", 1)),
          heads, numberOf(config, "vocab_size", 1), keyValues};
}

Result<ImagePass> imagePassOf(const RunConfig& config, const RunModel& model) {
  DataSettings settings;
  settings.task = DataTask::ImageClassification;
  if (auto inputs = loadModelInputs(model.folder, config, settings); !inputs) return inputs.error();
  return model.family->imagePass(model.config, settings.image.height, settings.image.width);
}

// The model that the run would load, as shapes alone; where the folder has a config but no weights yet, as the config says.
Result<std::unique_ptr<Model>> outlineOf(const RunModel& model, const RunConfig& config, int64_t classes) {
  const auto named = static_cast<int64_t>(config.list("data.labels").size());
  ModelLoadOptions load;
  load.shapesOnly = true;
  load.head = model.head;
  load.numLabels = labelCountOf(config, model.config, classes > 0 ? classes : named);
  load.randomInit = config.flag("model.random_init") || !findWeightFiles(model.folder);
  return loadModel(model.folder, model.config, load);
}

int64_t valuesOf(const Model& model, const std::set<std::string>& parameters) {
  int64_t values = 0;
  for (const std::string& name : parameters) values += model.parameters().at(name).numel();
  return values;
}

Result<void> countInserted(const RunModel& model, ParameterCounts* counts) {
  const InsertedKind* kind = findInsertedKind(model.settings.name);
  const std::vector<SiteShape>& sites = counts->sites;
  const ModelOutline outline{model.sizes.hidden, model.sizes.layers, model.sizes.keyValues, &sites};
  counts->firstTrained = static_cast<size_t>(model.sizes.layers);
  for (int64_t layer = model.sizes.layers - 1; layer >= 0; --layer) {
    const Result<InsertedCost> cost = kind->cost(model.settings, outline, layer);
    if (!cost) return cost.error();
    if (cost->trained == 0) continue;
    counts->factors += cost->trained;
    counts->firstTrained = static_cast<size_t>(layer);
    for (size_t i = 0; i < sites.size(); ++i)
      if (sites[i].layer == layer) {
        counts->keptAt[i] = cost->keptPerToken;
        break;
      }
  }
  if (counts->factors > 0) return {};
  return Error{ErrorCode::Usage, "the method puts nothing into the model", "method.layers", model.settings.name,
               fmt::format("layers 0 … {}, or matrices that the model has", model.sizes.layers - 1),
               "Leave method.layers and method.target_modules empty."};
}

// The factors at each site, and what they and the format of the base weights cost.
Result<void> countLowRank(const RunModel& model, const Model& outline, const std::set<std::string>& whole,
                          ParameterCounts* counts) {
  const MethodSettings& settings = model.settings;
  Result<std::vector<LinearSite*>> chosen = selectSites(outline, settings);
  if (!chosen) return chosen.error();
  Result<BaseFormat> base = baseFormatOf(settings);
  if (!base) return base.error();
  const std::set<const LinearSite*> adapted(chosen->begin(), chosen->end());
  for (size_t i = 0; i < counts->sites.size(); ++i) {
    const SiteShape& site = counts->sites[i];
    const bool here = adapted.count(outline.sites()[i]) > 0;
    const int64_t weights = site.outFeatures * site.inFeatures;
    const bool coded = isCoded(*base, site, here) && !whole.count(ownerOfParameter(outline, site.name + ".weight"));
    if (coded) {
      counts->codedWeights += weights;
      counts->codedBytes += codedBytes(*base, weights);
    }
    if (!here) continue;
    const int64_t* special = findPattern(settings.rankPattern, site.name);
    const int64_t rank = special ? *special : settings.rank;
    const SiteCost cost = model.method->costAtSite(settings, site, rank);
    counts->factors += cost.trained;
    counts->state += cost.state;
    counts->movedByMethod += cost.movedByMethod;
    counts->sought += cost.sought;
    counts->soughtWork = std::max(counts->soughtWork, cost.soughtWork);
    if (cost.keepsOutput) counts->keptAt[i] = site.outFeatures;
    if (cost.keepsWeight && !coded) counts->keptWeights += weights;
    counts->rankAt[i] = rank;
  }
  return {};
}

}  // namespace

Result<RunModel> runModel(const RunConfig& config, const Places& places) {
  RunModel model;
  Result<std::filesystem::path> folder = places.resolve(config.str("model.path"));
  if (!folder) return folder.error();
  model.folder = std::move(*folder);
  Result<json> document = readModelConfig(model.folder);
  if (!document) return document.error();
  model.config = std::move(*document);
  Result<const ModelFamily*> family = findModelFamily(model.config.value("model_type", std::string()));
  if (!family) return family.error();
  model.family = *family;
  Result<HeadKind> head = headOf(config, **family);
  if (!head) return head.error();
  model.head = *head;
  model.sizes = sizesOf(model.config);
  Result<MethodSettings> settings = methodSettingsOf(config, **family);
  if (!settings) return settings.error();
  model.settings = std::move(*settings);
  Result<const MethodEntry*> method = findMethod(model.settings.name);
  if (!method) return method.error();
  model.method = *method;
  if (!model.family->imagePass) return model;
  Result<ImagePass> image = imagePassOf(config, model);
  if (!image) return image.error();
  model.image = *image;
  return model;
}

Result<ParameterCounts> countParameters(const RunModel& model, const RunConfig& config, int64_t classes) {
  Result<std::unique_ptr<Model>> loaded = outlineOf(model, config, classes);
  if (!loaded) return loaded.error();
  const Model& outline = **loaded;
  Result<std::unique_ptr<Method>> method = makeMethod(model.settings);
  if (!method) return method.error();
  Result<std::vector<std::string>> trained = (*method)->wholeParameters(outline);
  if (!trained) return trained.error();
  std::set<std::string> whole, head;
  for (const std::string& name : *trained) whole.insert(ownerOfParameter(outline, name));
  for (const std::string& name : outline.headParameters()) head.insert(ownerOfParameter(outline, name));

  ParameterCounts counts;
  for (const LinearSite* site : outline.sites()) counts.sites.push_back(*site);
  counts.rankAt.assign(counts.sites.size(), 0);
  counts.keptAt.assign(counts.sites.size(), 0);
  counts.total = outline.parameterCount();
  counts.base = counts.total - valuesOf(outline, head);
  counts.whole = valuesOf(outline, whole);
  Result<void> counted;
  if (model.method->kind() == MethodKind::LowRank) counted = countLowRank(model, outline, whole, &counts);
  if (model.method->kind() == MethodKind::Inserted) counted = countInserted(model, &counts);
  if (!counted) return counted.error();
  return counts;
}

}  // namespace rankscope
