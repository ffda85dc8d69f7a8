#include "core/train/run_parameters.h"

#include <algorithm>

#include "core/io/shard_index.h"
#include "core/methods/base_format.h"
#include "core/methods/inserted.h"
#include "core/methods/parameter_method.h"
#include "core/methods/site_selection.h"
#include "core/models/config_reader.h"
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

// Parameters that are not linear weights of blocks: embeddings, norms, biases and the head, from the checkpoint's headers
// (or, where a model starts from random weights, from the sizes).
int64_t checkpointParameters(const RunModel& model) {
  if (const Result<WeightSummary> weights = inspectWeights(model.folder); weights)
    return static_cast<int64_t>(weights->parameters);
  const ModelSizes& sizes = model.sizes;
  int64_t count = sizes.vocab * sizes.hidden * (model.config.value("tie_word_embeddings", false) ? 1 : 2);
  for (const SiteShape& site : model.sites)
    if (site.operation == SiteOperation::Linear)
      count += site.outFeatures * site.inFeatures + (site.hasBias ? site.outFeatures : 0);
  return count + (2 * sizes.layers + 1) * sizes.hidden;
}

// Whether a tensor's name holds one of the two.
bool checkpointHas(const std::filesystem::path& folder, std::string_view name, std::string_view other) {
  const Result<WeightSummary> weights = inspectWeights(folder);
  return weights && std::any_of(weights->tensors.begin(), weights->tensors.end(), [&](const TensorInfo& tensor) {
    return tensor.name.find(name) != std::string::npos || tensor.name.find(other) != std::string::npos;
  });
}

// What checkpoints carry besides: running statistics, masks and tables that follow from the config.
bool isNoParameter(const TensorInfo& tensor) {
  constexpr std::string_view kEndings[] = {"running_mean", "running_var", "num_batches_tracked", "position_ids", "inv_freq",
                                           "masked_bias"};
  return (isBias(tensor.name) && tensor.shape.size() != 1) ||  // GPT-2's causal mask, which is called a bias
         std::any_of(std::begin(kEndings), std::end(kEndings),
                     [&](std::string_view ending) { return tensor.name.ends_with(ending); });
}

// Parameters of the checkpoint that `chosen` names.
template <typename Chosen>
int64_t parametersOf(const RunModel& model, const Chosen& chosen) {
  const Result<WeightSummary> weights = inspectWeights(model.folder);
  if (!weights) {  // a model of random weights: its linear maps are what is known of it
    int64_t known = 0;
    for (const SiteShape& site : model.sites) {
      if (chosen(site.name + ".weight")) known += site.outFeatures * site.inFeatures;
      if (site.hasBias && chosen(site.name + ".bias")) known += site.outFeatures;
    }
    return known;
  }
  int64_t count = 0;
  for (const TensorInfo& tensor : weights->tensors) {
    if (isNoParameter(tensor) || !chosen(tensor.name)) continue;
    int64_t size = 1;
    for (const int64_t side : tensor.shape) size *= side;
    count += size;
  }
  return count;
}

// Of full fine-tuning of some modules or layers.
Result<int64_t> chosenWeights(const RunModel& model, const std::vector<SiteShape>& sites) {
  const MethodSettings& settings = model.settings;
  Result<TargetMatcher> targets = TargetMatcher::make(settings.targetModules);
  if (!targets) return targets.error();
  Result<LayerFilter> layers = LayerFilter::make(settings.layersToTransform);
  if (!layers) return layers.error();
  return parametersOf(model, [&](const std::string& name) {
    const std::string module = name.substr(0, name.rfind('.'));
    if (!settings.layersToTransform.empty() && !layers->contains(layerOfParameter(name))) return false;
    if (settings.targetModules.empty()) return true;
    if (!targets->allLinear()) return targets->matches(module);
    return std::any_of(sites.begin(), sites.end(), [&](const SiteShape& site) {
      return targets->chooses(site) && endsInModule(site.name, module);
    });
  });
}

// Parts of a checkpoint that a run with another head leaves in the file.
bool isUnusedHead(const RunModel& model, const std::string& name) {
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  const bool language = model.head == HeadKind::CausalLm || model.head == HeadKind::MaskedLm;
  return has("classifier") || has("qa_outputs") || has("seq_relationship") || (!language && (has("lm_head") || has("cls.predictions") || has("lm_predictions"))) ||
         (has("pooler") && (language || model.family->newClassifier == NewClassifier::DenseThenOutput));
}

Result<int64_t> chosenBiases(const RunModel& model) {
  Result<LayerFilter> layers = LayerFilter::make(model.settings.layersToTransform);
  if (!layers) return layers.error();
  return parametersOf(model, [&](const std::string& name) {
    return (isBias(name) || endsInModule(name, "beta")) && !isUnusedHead(model, name) &&
           (model.settings.layersToTransform.empty() || layers->contains(layerOfParameter(name)));
  });
}

Result<void> countInserted(const RunModel& model, const std::vector<SiteShape>& sites, ParameterCounts* counts) {
  const InsertedKind* kind = findInsertedKind(model.settings.name);
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

// Which of the parameters train; `headParameters` train whole beside a method's factors. An image network's classifier is
// its last site: it may carry an adapter in their place, where it is named and not `newHead`.
Result<void> countTrainable(const RunModel& model, int64_t headParameters, bool newHead, ParameterCounts* counts) {
  const std::vector<SiteShape>& sites = model.sites;
  counts->rankAt.assign(sites.size(), 0);
  counts->keptAt.assign(sites.size(), 0);
  const MethodSettings& settings = model.settings;
  switch (model.method->kind()) {
    case MethodKind::Full: {
      counts->whole = counts->total;
      if (settings.targetModules.empty() && settings.layersToTransform.empty()) return {};
      const Result<int64_t> chosen = chosenWeights(model, sites);
      if (!chosen) return chosen.error();
      counts->whole = std::min(counts->total, *chosen + headParameters);
      return {};
    }
    case MethodKind::Biases: {
      const Result<int64_t> chosen = chosenBiases(model);
      if (!chosen) return chosen.error();
      counts->whole = *chosen + headParameters;
      return {};
    }
    case MethodKind::Inserted:
      counts->whole = headParameters;
      return countInserted(model, sites, counts);
    case MethodKind::LowRank: break;
  }
  Result<TargetMatcher> targets = TargetMatcher::make(settings.targetModules);
  if (!targets) return targets.error();
  Result<LayerFilter> layers = LayerFilter::make(settings.layersToTransform);
  if (!layers) return layers.error();
  Result<BaseFormat> base = baseFormatOf(settings);
  if (!base) return base.error();
  bool any = false;
  for (size_t i = 0; i < sites.size(); ++i) {
    const SiteShape& site = sites[i];
    if (settings.bias == "all" && site.hasBias) counts->whole += site.outFeatures;
    const bool classifier = model.image && i + 1 == sites.size();
    const bool adapted = targets->chooses(site) && layers->contains(site.layer) &&
                         !(classifier && (newHead || targets->allLinear()));
    const bool coded = isCoded(*base, site, adapted);
    if (adapted && classifier) headParameters = 0;
    if (coded) {
      counts->codedWeights += site.outFeatures * site.inFeatures;
      counts->codedBytes += codedBytes(*base, site.outFeatures * site.inFeatures);
    }
    if (!adapted) continue;
    const int64_t* special = findPattern(settings.rankPattern, site.name);
    const int64_t rank = special ? *special : settings.rank;
    const SiteCost cost = model.method->costAtSite(settings, site, rank);
    counts->factors += cost.trained;
    counts->state += cost.state;
    counts->movedByMethod += cost.movedByMethod;
    counts->sought += cost.sought;
    counts->soughtWork = std::max(counts->soughtWork, cost.soughtWork);
    if (cost.keepsOutput) counts->keptAt[i] = site.outFeatures;
    if (cost.keepsWeight && !coded) counts->keptWeights += site.outFeatures * site.inFeatures;
    counts->rankAt[i] = rank;
    any = true;
    if (settings.bias == "lora_only" && site.hasBias) counts->whole += site.outFeatures;
  }
  if (!any)
    return Error{ErrorCode::Usage, "no matrix of the model matches", "method.target_modules",
                 settings.targetModules.empty() ? "" : settings.targetModules.front(),
                 sites.empty() ? "" : "for instance " + sites.front().kind,
                 "Choose matrices that the model has; `rankscope-train models inspect MODEL` lists them."};
  counts->whole += headParameters;
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
  Result<std::vector<SiteShape>> sites = (*family)->siteShapes(model.config);
  if (!sites) return sites.error();
  model.sites = std::move(*sites);
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
  ParameterCounts counts;
  const auto named = static_cast<int64_t>(config.list("data.labels").size());
  const auto classifier = [&model](int64_t in, int64_t out) { return newClassifierParameters(model.family->newClassifier, in, out); };
  int64_t headParameters = 0;
  bool newHead = false;
  counts.base = model.image ? model.image->parameters : checkpointParameters(model);
  if (model.image) {
    const int64_t own = classCountOf(model.config), wanted = classes > 0 ? classes : named > 0 ? named : own;
    const SiteShape& old = model.sites.back();
    newHead = wanted != own;
    headParameters = classifier(old.inFeatures, wanted);
    if (newHead) counts.base -= classifier(old.inFeatures, old.outFeatures);
  }
  const ModelSizes& sizes = model.sizes;
  if (model.head == HeadKind::SequenceClassification) {
    const bool regression = config.str("data.task") == "regression";
    headParameters = classifier(sizes.hidden, regression ? 1 : std::max<int64_t>(2, classes > 0 ? classes : named));
  }
  counts.total = counts.base + (model.image && !newHead ? 0 : headParameters);
  if (model.head == HeadKind::TokenSpan || model.head == HeadKind::MaskedLm) {
    const bool spans = model.head == HeadKind::TokenSpan;
    const bool there = checkpointHas(model.folder, spans ? "qa_outputs" : "lm_head", spans ? "qa_outputs" : "cls.predictions");
    // A masked-LM head: dense map, norm, and a bias for each word; the words' vectors are the embedding's.
    const int64_t size = spans ? 2 * (sizes.hidden + 1) : sizes.hidden * (sizes.hidden + 3) + sizes.vocab;
    headParameters = spans || !there ? size : 0;  // a span head trains, an old masked-LM head does not
    counts.total = counts.base + (there ? 0 : size);
  }
  if (const Result<void> counted = countTrainable(model, headParameters, newHead, &counts); !counted) return counted.error();
  return counts;
}

}  // namespace rankscope
