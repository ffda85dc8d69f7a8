#include "core/train/estimate.h"

#include <algorithm>
#include <cmath>

#include "core/io/shard_index.h"
#include "core/methods/registry.h"
#include "core/methods/site_selection.h"
#include "core/models/registry.h"
#include "core/train/process_memory.h"
#include "core/train/setup.h"

namespace rankscope {
namespace {

using nlohmann::json;

// The program with LibTorch's pages that a training run touches, and the small change of its heap.
constexpr int64_t kProgramBytes = 170'000'000;

int64_t numberOf(const json& config, const char* key, int64_t standard) {
  const auto found = config.find(key);
  return found != config.end() && found->is_number_integer() ? std::max<int64_t>(1, found->get<int64_t>()) : standard;
}

// Sizes that the activation model needs; the names are those of Hugging Face's config.json for every family.
struct Sizes {
  int64_t hidden, inner, layers, heads, kvHeads, vocab;
};

Sizes sizesOf(const json& config) {
  const int64_t hidden = numberOf(config, "hidden_size", 1);
  const int64_t heads = numberOf(config, "num_attention_heads", 1);
  return {hidden, numberOf(config, "intermediate_size", 4 * hidden), numberOf(config, "num_hidden_layers", 1), heads,
          numberOf(config, "num_key_value_heads", heads), numberOf(config, "vocab_size", 1)};
}

bool matches(const TargetMatcher& targets, const LayerFilter& layers, const SiteShape& site) {
  return (targets.allLinear() || targets.matches(site.name)) && layers.contains(site.layer);
}

struct Counts {
  int64_t factors = 0, whole = 0;  // trained: in factors, and in parameters of the model itself
  int64_t sites = 0;
  int64_t rankSum = 0;
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

// What a training pass over `tokens` tokens keeps for backward, plus the buffers of one block at work.
int64_t activationBytes(const Sizes& s, int64_t tokens, int64_t computeBytes, int64_t rankSum, bool full,
                        bool checkpointing) {
  const double perToken = static_cast<double>(computeBytes);
  // Kept per block: inputs of the norms, q, k, v, the attention's output, and the feed-forward layer's inner values.
  const double kv = static_cast<double>(s.hidden) * static_cast<double>(s.kvHeads) / static_cast<double>(s.heads);
  const double block = 5.0 * static_cast<double>(s.hidden) + 2.0 * kv + 3.0 * static_cast<double>(s.inner);
  const double kept = checkpointing ? static_cast<double>(s.hidden) * static_cast<double>(s.layers) + block
                                    : block * static_cast<double>(s.layers) + (full ? 0.0 : static_cast<double>(rankSum));
  const double working = 4.0 * (static_cast<double>(s.hidden) + static_cast<double>(s.inner));
  return static_cast<int64_t>(static_cast<double>(tokens) * perToken * (kept + working));
}

// The head's cross-entropy runs in chunks: one chunk's logits and their gradient in float32.
int64_t logitBytes(const Sizes& s, int64_t tokens) {
  constexpr int64_t kChunkTokens = 256;
  return 2 * 4 * std::min(tokens, kChunkTokens) * s.vocab;
}

Result<Counts> countTrainable(const MethodSettings& settings, const MethodEntry& entry, const std::vector<SiteShape>& sites,
                              int64_t parameters, int64_t headParameters) {
  Counts counts;
  if (!entry.lowRank) {
    counts.whole = parameters;
    return counts;
  }
  Result<TargetMatcher> targets = TargetMatcher::make(settings.targetModules);
  if (!targets) return targets.error();
  Result<LayerFilter> layers = LayerFilter::make(settings.layersToTransform);
  if (!layers) return layers.error();
  for (const SiteShape& site : sites) {
    if (settings.bias == "all" && site.hasBias) counts.whole += site.outFeatures;
    if (!matches(*targets, *layers, site)) continue;
    const int64_t* special = findPattern(settings.rankPattern, site.name);
    const int64_t rank = special ? *special : settings.rank;
    counts.factors += entry.countAtSite(site.outFeatures, site.inFeatures, site.hasBias, rank);
    counts.rankSum += rank;
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

}  // namespace

DataShape dataShape(const RunConfig& config, const TokenizedSet& train, size_t classes) {
  DataShape shape;
  shape.examples = static_cast<int64_t>(train.size());
  shape.tokens = static_cast<int64_t>(train.tokens());
  shape.longest = static_cast<int64_t>(train.longest());
  shape.classes = static_cast<int64_t>(classes);
  if (train.empty()) return shape;
  StepPlan plan(planSettingsOf(config, train.size()));
  // Every batch that will be run, up to a bound that keeps this quick.
  constexpr int64_t kSteps = 20000;
  for (int64_t step = 0; step < std::min(plan.totalSteps(), kSteps); ++step)
    for (const std::vector<uint32_t>& batch : plan.microBatches(step)) {
      int64_t tokens = 0;
      for (uint32_t index : batch) tokens += static_cast<int64_t>(train.length(index));
      shape.largestBatchTokens = std::max(shape.largestBatchTokens, tokens);
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
  const int64_t base = checkpointParameters(*folder, *sites, sizes, *modelConfig);
  int64_t headParameters = 0;
  if (*head == HeadKind::SequenceClassification) {
    const bool regression = config.str("data.task") == "regression";
    const int64_t given = static_cast<int64_t>(config.list("data.labels").size());
    const int64_t classes = regression ? 1 : std::max<int64_t>(2, data && data->classes > 0 ? data->classes : given);
    headParameters = classes * (sizes.hidden + ((*family)->modelType == "llama" ? 0 : 1));
  }
  estimate.parameters = base + headParameters;
  Result<Counts> counts = countTrainable(*settings, **entry, *sites, estimate.parameters, headParameters);
  if (!counts) return counts.error();
  estimate.trainable = counts->factors + counts->whole;
  estimate.effectiveScale = (*entry)->lowRank ? (*entry)->effectiveScale(settings->rank, settings->alpha) : 1;

  const int64_t maxLength = config.integer("data.max_length"), batch = config.integer("train.batch_size");
  const int64_t tokens = data && data->largestBatchTokens > 0 ? data->largestBatchTokens : batch * maxLength;
  estimate.largestBatchTokens = tokens;
  if (data && data->examples > 0) {
    const StepPlan plan(planSettingsOf(config, static_cast<size_t>(data->examples)));
    estimate.steps = plan.totalSteps();
    estimate.stepsPerEpoch = plan.stepsPerEpoch();
    estimate.tokensPerEpoch = data->tokens;
  } else if (config.integer("train.max_steps") > 0) {
    estimate.steps = config.integer("train.max_steps");
  }

  MemoryEstimate& memory = estimate.memory;
  const int64_t computeBytes = *dtype == at::kBFloat16 ? 2 : 4;
  const bool full = !(*entry)->lowRank;
  memory.program = kProgramBytes;
  // Full fine-tuning keeps W0 beside the masters, for the size of the update; both in float32.
  memory.weights = full ? 4 * base : computeBytes * base;
  memory.adapter = 4 * estimate.trainable;
  memory.gradients = 4 * estimate.trainable;
  const bool adam = config.str("optim.name") == "adamw";
  memory.optimizer = (adam ? 8 : config.real("optim.momentum") > 0 ? 4 : 0) * estimate.trainable;
  memory.activations = activationBytes(sizes, tokens, computeBytes, counts->rankSum, full,
                                       config.flag("train.gradient_checkpointing"));
  memory.logits = *head == HeadKind::CausalLm ? logitBytes(sizes, tokens) : 0;
  memory.total = memory.program + memory.weights + memory.adapter + memory.gradients + memory.optimizer +
                 memory.activations + memory.logits;
  memory.available = availableMemory();
  return estimate;
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
            {"available", memory.available}}},
          {"steps", estimate.steps},
          {"steps_per_epoch", estimate.stepsPerEpoch},
          {"tokens_per_epoch", estimate.tokensPerEpoch},
          {"largest_batch_tokens", estimate.largestBatchTokens}};
}

}  // namespace rankscope
