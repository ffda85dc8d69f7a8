#include "core/train/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/io/shard_index.h"
#include "core/methods/registry.h"
#include "core/methods/site_selection.h"
#include "core/models/config_reader.h"
#include "core/models/registry.h"
#include "core/train/evaluation.h"
#include "core/train/image_memory.h"
#include "core/train/model_inputs.h"
#include "core/train/packing.h"
#include "core/train/pass_memory.h"
#include "core/train/process_memory.h"
#include "core/train/setup.h"
#include "kernels/ops.h"

namespace rankscope {
namespace {

using nlohmann::json;

// Measured where nothing but the program is there: a run that fails in its config peaks at 127 MB, and reading a
// tokenizer and opening the event log brings that to 136. The matrix libraries' code and threads come with the first
// product.
constexpr int64_t kProgramBytes = 136'000'000;
constexpr int64_t kPackedProductsBytes = 12'000'000, kMatrixLibraryBytes = 19'000'000;
// A token of a set: its id, type and mask. The set is built once more while it is tokenised.
constexpr int64_t kDataBytesPerToken = 2 * 6;
// glibc's heap keeps freed blocks that are too small or too far from its end to go back to the system. Measured as the
// resident size beyond the live blocks at their peak: a tenth to a quarter of what is allocated and freed in every step.
constexpr double kHeldBack = 0.18;

int64_t numberOf(const json& config, const char* key, int64_t standard) {
  const auto found = config.find(key);
  return found != config.end() && found->is_number_integer() ? std::max<int64_t>(1, found->get<int64_t>()) : standard;
}

// Sizes that the memory of a pass depends on; GPT-2 has names of its own for them.
struct Sizes {
  int64_t hidden, inner, layers, heads, vocab;
};

Sizes sizesOf(const json& config) {
  const int64_t hidden = numberOf(config, "hidden_size", numberOf(config, "n_embd", 1));
  return {hidden, numberOf(config, "intermediate_size", numberOf(config, "n_inner", 4 * hidden)),
          numberOf(config, "num_hidden_layers", numberOf(config, "n_layer", 1)),
          numberOf(config, "num_attention_heads", numberOf(config, "n_head", 1)), numberOf(config, "vocab_size", 1)};
}

// Share of the tokens with a loss mask that are predicted in one pass.
double predictedShare(const RunConfig& config) {
  return config.str("data.task") == "masked_lm" ? config.real("data.mask_share") : 1.0;
}

// Tokens of some examples, and how many of them are predicted.
std::pair<int64_t, int64_t> sizeOf(const TokenizedSet& set, const std::vector<uint32_t>& indices, double share) {
  int64_t tokens = 0, labels = 0;
  for (const uint32_t index : indices) {
    const ExampleView row = set[index];
    tokens += static_cast<int64_t>(row.length());
    for (size_t i = 1; i < row.lossMask.size(); ++i) labels += row.lossMask[i] != 0;
  }
  return {tokens, static_cast<int64_t>(std::ceil(static_cast<double>(labels) * share))};
}

bool matches(const TargetMatcher& targets, const LayerFilter& layers, const SiteShape& site) {
  return (targets.allLinear() || targets.matches(site.name)) && layers.contains(site.layer);
}

struct Counts {
  int64_t factors = 0, whole = 0;  // trained: in factors, and in parameters of the model itself
  int64_t sites = 0;
  std::vector<int64_t> rankAt;  // of each of the model's sites, 0 where nothing is adapted
  std::vector<int64_t> keptAt;  // columns that each site keeps for backward besides
  int64_t movedByMethod = 0;    // of the factors
  int64_t state = 0;            // float32 values that the method keeps beside the optimizer's
  int64_t keptWeights = 0;      // weights that stay beside those that the method has changed
};

// Parameters that are not linear weights of blocks: embeddings, norms, biases and the head, from the checkpoint's headers
// (or, where a model starts from random weights, from the sizes).
int64_t checkpointParameters(const std::filesystem::path& folder, const std::vector<SiteShape>& sites, const Sizes& sizes,
                             const json& config) {
  if (const Result<WeightSummary> weights = inspectWeights(folder); weights)
    return static_cast<int64_t>(weights->parameters);
  int64_t count = sizes.vocab * sizes.hidden * (config.value("tie_word_embeddings", false) ? 1 : 2);
  for (const SiteShape& site : sites) count += site.outFeatures * site.inFeatures + (site.hasBias ? site.outFeatures : 0);
  return count + (2 * sizes.layers + 1) * sizes.hidden;
}

// Whether a tensor's name holds one of the two.
bool checkpointHas(const std::filesystem::path& folder, std::string_view name, std::string_view other) {
  const Result<WeightSummary> weights = inspectWeights(folder);
  return weights && std::any_of(weights->tensors.begin(), weights->tensors.end(), [&](const TensorInfo& tensor) {
    return tensor.name.find(name) != std::string::npos || tensor.name.find(other) != std::string::npos;
  });
}

Result<Counts> countTrainable(const MethodSettings& settings, const MethodEntry& entry, const std::vector<SiteShape>& sites,
                              int64_t parameters, int64_t headParameters) {
  Counts counts;
  counts.rankAt.assign(sites.size(), 0);
  counts.keptAt.assign(sites.size(), 0);
  if (!entry.lowRank) {
    counts.whole = parameters;
    return counts;
  }
  Result<TargetMatcher> targets = TargetMatcher::make(settings.targetModules);
  if (!targets) return targets.error();
  Result<LayerFilter> layers = LayerFilter::make(settings.layersToTransform);
  if (!layers) return layers.error();
  for (size_t i = 0; i < sites.size(); ++i) {
    const SiteShape& site = sites[i];
    if (settings.bias == "all" && site.hasBias) counts.whole += site.outFeatures;
    if (!matches(*targets, *layers, site)) continue;
    const int64_t* special = findPattern(settings.rankPattern, site.name);
    const int64_t rank = special ? *special : settings.rank;
    const SiteCost cost = entry.costAtSite(settings, site, rank);
    counts.factors += cost.trained;
    counts.state += cost.state;
    counts.movedByMethod += cost.movedByMethod;
    if (cost.keepsOutput) counts.keptAt[i] = site.outFeatures;
    if (cost.keepsWeight) counts.keptWeights += site.outFeatures * site.inFeatures;
    counts.rankAt[i] = rank;
    ++counts.sites;
    if (settings.bias == "lora_only" && site.hasBias) counts.whole += site.outFeatures;
  }
  if (counts.sites == 0)
    return Error{ErrorCode::Usage, "no matrix of the model matches", "method.target_modules",
                 settings.targetModules.empty() ? "" : settings.targetModules.front(),
                 sites.empty() ? "" : "for instance " + sites.front().kind,
                 "Choose matrices that the model has; `rankscope-train models inspect MODEL` lists them."};
  counts.whole += headParameters;
  return counts;
}

PassModel passModel(const RunConfig& config, const MethodEntry& entry, const Sizes& sizes,
                    const std::vector<SiteShape>& sites, const Counts& counts, at::ScalarType dtype) {
  PassModel pass;
  pass.hidden = sizes.hidden;
  pass.heads = sizes.heads;
  pass.vocabulary = sizes.vocab;
  pass.full = !entry.lowRank;
  pass.blocks = blockShapes(sites, counts.rankAt, counts.keptAt, sizes.inner, pass.full);
  while (!pass.full && pass.firstTrained < pass.blocks.size() && pass.blocks[pass.firstTrained].ranks == 0)
    ++pass.firstTrained;
  pass.checkpointing = config.flag("train.gradient_checkpointing");
  pass.computeBytes = dtype == at::kBFloat16 ? 2 : 4;
  pass.packed = dtype == at::kBFloat16 && kernels::cpuHasBf16();
  pass.threads = threadsOf(config);
  return pass;
}

MemoryEstimate larger(MemoryEstimate a, MemoryEstimate b) {
  for (MemoryEstimate* each : {&a, &b})
    each->total = each->program + each->weights + each->adapter + each->gradients + each->optimizer + each->activations +
                  each->logits;
  return a.total >= b.total ? a : b;
}

MemoryEstimate fullestMoment(const MemoryEstimate& fixed, const PassModel& pass, const PassShape& training,
                             const PassShape& evaluation, int64_t trainable, const Sizes& sizes) {
  const auto withReserve = [](int64_t bytes) { return bytes + static_cast<int64_t>(kHeldBack * static_cast<double>(bytes)); };
  const PassMemory forward = trainingPass(pass, training);
  MemoryEstimate step = fixed;
  step.moment = "training pass";
  step.activations = withReserve(forward.activations + forward.weightCopies) + forward.buffers;
  step.logits = forward.logits;
  // Under an adapter the gradients are small and come one by one; of a full model only the head's are there by then.
  step.gradients = pass.full ? forward.headGradient : 4 * trainable;

  MemoryEstimate end = fixed;
  end.moment = "end of backward";
  // The embedding's own gradient is as large as the head's: where they are tied, one is added to the other.
  const int64_t embedding = pass.full ? 4 * sizes.vocab * sizes.hidden * (pass.tied && pass.languageHead ? 2 : 1) : 0;
  end.gradients = 4 * trainable;
  end.activations = withReserve(training.tokens * pass.computeBytes * 2 * sizes.hidden + embedding) + forward.buffers;
  if (pass.full) end.activations += static_cast<int64_t>(kHeldBack * static_cast<double>(end.gradients));
  end.logits = pass.packed ? forward.logits : 0;

  MemoryEstimate scoring = fixed;
  scoring.moment = "evaluation";
  const PassMemory look = evaluationPass(pass, evaluation);
  scoring.activations = withReserve(look.activations + look.weightCopies) + std::max(look.buffers, forward.buffers);
  scoring.logits = std::max(look.logits, pass.packed ? forward.logits : 0);
  return larger(larger(step, end), scoring);
}

// Of a family that looks at images: what one image of the run's size needs.
Result<ImagePass> imagePassOf(const RunConfig& config, const std::filesystem::path& folder, const json& modelConfig,
                              const ModelFamily& family) {
  if (!family.imagePass) return ImagePass{};
  DataSettings settings;
  settings.task = DataTask::ImageClassification;
  if (auto inputs = loadModelInputs(folder, config, settings); !inputs) return inputs.error();
  return family.imagePass(modelConfig, settings.image.height, settings.image.width);
}

MemoryEstimate imageRunMemory(const ImagePass& image, const PassModel& pass, MemoryEstimate fixed,
                              int64_t trainable, int64_t images, const DataShape* data) {
  ImageRun run;
  run.pass = image;
  run.images = images;
  run.evalImages = data ? data->largestEvalTokens : 0;
  run.stored = data ? (data->tokens + data->evalTokens) * image.pixels : 0;
  run.computeBytes = pass.computeBytes;
  run.trainable = trainable;
  run.full = pass.full;
  run.recompute = pass.checkpointing;
  // The masters are all that a model trained whole holds: the checkpoint's own tensors are given back.
  if (pass.full) fixed.weights = 0;
  const MemoryEstimate made = imageMemory(run, fixed);
  return larger(made, made);
}

}  // namespace

DataShape dataShape(const RunConfig& config, const PreparedData& data) {
  const TokenizedSet& train = data.train;
  DataShape shape;
  shape.examples = static_cast<int64_t>(train.size());
  shape.tokens = static_cast<int64_t>(train.tokens());
  shape.longest = static_cast<int64_t>(train.longest());
  shape.classes = static_cast<int64_t>(data.labels.size());
  shape.evalTokens = static_cast<int64_t>(data.eval.tokens());
  shape.longestEval = static_cast<int64_t>(data.eval.longest());
  EvaluationOptions groups;
  groups.sequences = evaluationSequences(config);
  if (!data.eval.empty())
    for (const std::vector<uint32_t>& group : evaluationGroups(data.eval, groups.sequences, groups.tokens)) {
      const auto [tokens, labels] = sizeOf(data.eval, group, predictedShare(config));
      if (tokens > shape.largestEvalTokens) shape.largestEvalTokens = tokens, shape.largestEvalLabels = labels;
    }
  if (train.empty()) return shape;
  StepPlan plan(planSettingsOf(config, train.size()));
  // Every batch that will be run, up to a bound that keeps this quick.
  constexpr int64_t kSteps = 20000;
  for (int64_t step = 0; step < std::min(plan.totalSteps(), kSteps); ++step) {
    int64_t ofStep = 0;
    for (const std::vector<uint32_t>& batch : plan.microBatches(step)) {
      int64_t tokens = 0;
      for (uint32_t index : batch) tokens += static_cast<int64_t>(train.length(index));
      ofStep += tokens;
      if (tokens > shape.largestBatchTokens) {
        shape.largestBatchTokens = tokens;
        shape.largestBatchLabels = sizeOf(train, batch, predictedShare(config)).second;
      }
    }
    shape.largestStepTokens = std::max(shape.largestStepTokens, ofStep);
  }
  return shape;
}

Result<RunEstimate> estimateRun(const RunConfig& config, const Places& places, const DataShape* data) {
  Result<std::filesystem::path> folder = places.resolve(config.str("model.path"));
  if (!folder) return folder.error();
  Result<json> modelConfig = readModelConfig(*folder);
  if (!modelConfig) return modelConfig.error();
  Result<const ModelFamily*> family = findModelFamily(modelConfig->value("model_type", std::string()));
  if (!family) return family.error();
  Result<HeadKind> head = headOf(config, **family);
  if (!head) return head.error();
  Result<std::vector<SiteShape>> sites = (*family)->siteShapes(*modelConfig);
  if (!sites) return sites.error();
  Result<MethodSettings> settings = methodSettingsOf(config, **family);
  if (!settings) return settings.error();
  Result<const MethodEntry*> entry = findMethod(settings->name);
  if (!entry) return entry.error();
  Result<at::ScalarType> dtype = computeDtypeOf(config.str("train.compute_dtype"));
  if (!dtype) return dtype.error();

  const Sizes sizes = sizesOf(*modelConfig);
  RunEstimate estimate;
  Result<ImagePass> image = imagePassOf(config, *folder, *modelConfig, **family);
  if (!image) return image.error();
  const bool images = (*family)->imagePass != nullptr;
  int64_t base = images ? image->parameters : checkpointParameters(*folder, *sites, sizes, *modelConfig);
  int64_t headParameters = 0;
  if (images) {
    const int64_t own = classCountOf(*modelConfig), given = static_cast<int64_t>(config.list("data.labels").size());
    const int64_t classes = data && data->classes > 0 ? data->classes : given > 0 ? given : own;
    const SiteShape& classifier = sites->front();
    if (classes != own) {
      headParameters = newClassifierParameters((*family)->newClassifier, classifier.inFeatures, classes);
      base -= newClassifierParameters((*family)->newClassifier, classifier.inFeatures, classifier.outFeatures);
      if ((*entry)->lowRank) sites->clear();  // a new classifier trains whole, and there is no other matrix
    }
  }
  if (*head == HeadKind::SequenceClassification) {
    const bool regression = config.str("data.task") == "regression";
    const int64_t given = static_cast<int64_t>(config.list("data.labels").size());
    const int64_t classes = regression ? 1 : std::max<int64_t>(2, data && data->classes > 0 ? data->classes : given);
    headParameters = newClassifierParameters((*family)->newClassifier, sizes.hidden, classes);
  }
  estimate.parameters = base + headParameters;
  if (*head == HeadKind::TokenSpan || *head == HeadKind::MaskedLm) {
    const bool spans = *head == HeadKind::TokenSpan, there = checkpointHas(*folder, spans ? "qa_outputs" : "lm_head", spans ? "qa_outputs" : "cls.predictions");
    // A masked-LM head: dense map, norm, and a bias for each word; the words' vectors are the embedding's.
    const int64_t size = spans ? 2 * (sizes.hidden + 1) : sizes.hidden * (sizes.hidden + 3) + sizes.vocab;
    headParameters = spans || !there ? size : 0;  // a span head trains, an old masked-LM head does not
    estimate.parameters = base + (there ? 0 : size);
  }
  Result<Counts> counts = countTrainable(*settings, **entry, *sites, estimate.parameters, headParameters);
  if (!counts) return counts.error();
  estimate.trainable = counts->factors + counts->whole;
  estimate.effectiveScale = (*entry)->lowRank ? (*entry)->scale(*settings, settings->rank, settings->alpha) : 1;

  const int64_t maxLength = config.integer("data.max_length"), batch = config.integer("train.batch_size");
  const int64_t tokens = data && data->largestBatchTokens > 0 ? data->largestBatchTokens : images ? batch : batch * maxLength;
  estimate.largestBatchTokens = tokens;
  if (data && data->examples > 0) {
    const StepPlan plan(planSettingsOf(config, static_cast<size_t>(data->examples)));
    estimate.steps = plan.totalSteps();
    estimate.stepsPerEpoch = plan.stepsPerEpoch();
    estimate.tokensPerEpoch = data->tokens;
  } else if (config.integer("train.max_steps") > 0) {
    estimate.steps = config.integer("train.max_steps");
  }

  PassModel pass = passModel(config, **entry, sizes, *sites, *counts, *dtype);
  pass.decoder = std::find((*family)->heads.begin(), (*family)->heads.end(), HeadKind::CausalLm) != (*family)->heads.end();
  pass.languageHead = *head == HeadKind::CausalLm || *head == HeadKind::MaskedLm;
  pass.maskedHead = *head == HeadKind::MaskedLm;
  pass.tied = modelConfig->value("tie_word_embeddings", false);
  PassShape training{tokens, tokens, tokens, maxLength}, evaluation;
  if (data && data->largestBatchTokens > 0) {
    training = {tokens, data->largestBatchLabels, data->largestStepTokens, data->longest};
    evaluation = {data->largestEvalTokens, data->largestEvalLabels, 0, data->longestEval};
  }
  if (!pass.languageHead) training.labelled = evaluation.labelled = config.integer("train.batch_size");
  // Where nearly every token has a label, all are computed (core/models/task_loss.h).
  if (training.labelled * 10 > training.tokens * 9) training.labelled = training.tokens;

  const bool adam = config.str("optim.name") == "adamw";
  MemoryEstimate fixed;  // what is there at every moment of training
  fixed.program = kProgramBytes + (pass.packed ? kPackedProductsBytes : kMatrixLibraryBytes);
  if (data) fixed.program += (data->tokens + data->evalTokens) * kDataBytesPerToken;
  // Full fine-tuning keeps W0 beside the masters, for the size of the update; both in float32.
  const int64_t held = (pass.full ? 4 : pass.computeBytes) * base;
  fixed.weights = held + pass.computeBytes * counts->keptWeights;
  fixed.adapter = 4 * estimate.trainable;
  fixed.optimizer = (adam ? 8 : config.real("optim.momentum") > 0 ? 4 : 0) * (estimate.trainable - counts->movedByMethod) +
                    4 * counts->state;
  if (images)
    estimate.memory = imageRunMemory(*image, pass, fixed, estimate.trainable, tokens, data);
  else
    estimate.memory = fullestMoment(fixed, pass, training, evaluation, estimate.trainable, sizes);
  // The weights are copied out of their mapped file one by one; the one at hand is there twice.
  if (!config.flag("model.random_init"))
    if (const Result<WeightSummary> file = inspectWeights(*folder); file) {
      MemoryEstimate loading;
      loading.moment = "loading";
      loading.program = kProgramBytes;
      uint64_t largest = 0;
      for (const TensorInfo& tensor : file->tensors) largest = std::max(largest, tensor.end - tensor.begin);
      loading.weights = held + static_cast<int64_t>(largest);
      estimate.memory = larger(estimate.memory, loading);
    }
  estimate.memory.available = availableMemory();
  return estimate;
}

std::string memoryText(const MemoryEstimate& memory) {
  std::vector<std::pair<int64_t, const char*>> parts = {
      {memory.program, "program and data"}, {memory.weights, "weights"},   {memory.adapter, "trained tensors"},
      {memory.gradients, "gradients"},      {memory.optimizer, "optimizer"}, {memory.activations, "activations"},
      {memory.logits, "logits"}};
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text = fmt::format("{} MB (", memory.total / 1'000'000);
  for (size_t i = 0; i < parts.size() && parts[i].first >= 500'000; ++i)
    text += fmt::format("{}{} {}", i > 0 ? ", " : "", parts[i].second, (parts[i].first + 500'000) / 1'000'000);
  return text + ")";
}

json toJson(const RunEstimate& estimate) {
  const MemoryEstimate& memory = estimate.memory;
  const double share = estimate.parameters > 0
                           ? static_cast<double>(estimate.trainable) / static_cast<double>(estimate.parameters)
                           : 0;
  return {{"trainable", estimate.trainable},
          {"parameters", estimate.parameters},
          {"share", share},
          {"effective_scale", estimate.effectiveScale},
          {"memory",
           {{"program", memory.program},
            {"weights", memory.weights},
            {"adapter", memory.adapter},
            {"gradients", memory.gradients},
            {"optimizer", memory.optimizer},
            {"activations", memory.activations},
            {"logits", memory.logits},
            {"total", memory.total},
            {"moment", memory.moment},
            {"available", memory.available}}},
          {"steps", estimate.steps},
          {"steps_per_epoch", estimate.stepsPerEpoch},
          {"tokens_per_epoch", estimate.tokensPerEpoch},
          {"largest_batch_tokens", estimate.largestBatchTokens}};
}

}  // namespace rankscope
