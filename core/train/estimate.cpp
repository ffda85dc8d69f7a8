#include "core/train/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/config/method_parts.h"
#include "core/config/step_size.h"
#include "core/io/shard_index.h"
#include "core/train/evaluation.h"
#include "core/train/image_memory.h"
#include "core/train/packing.h"
#include "core/train/pass_memory.h"
#include "core/train/process_memory.h"
#include "core/train/run_parameters.h"
#include "core/train/setup.h"
#include "core/train/spectrum_probe.h"
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
// Where no matrix of a block trains, its layers' results are freed between those that are kept, and their holes stay:
// measured with adapters, prefixes and edits on three models in both precisions, 0.4 to 0.6.
constexpr double kHeldBackBetweenFrozen = 0.45;

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

PassModel passModel(const RunConfig& config, const RunModel& model, const ParameterCounts& counts, at::ScalarType dtype) {
  PassModel pass;
  pass.hidden = model.sizes.hidden;
  pass.heads = model.sizes.heads;
  pass.vocabulary = model.sizes.vocab;
  pass.full = model.method->kind() == MethodKind::Full;
  pass.frozenMatrices = model.method->kind() == MethodKind::Inserted;
  if (const auto tokens = model.settings.options.find("virtual_tokens"); tokens != model.settings.options.end())
    pass.prefixRows = tokens->get<int64_t>() * config.integer("train.batch_size");
  pass.blocks = blockShapes(counts.sites, counts.rankAt, counts.keptAt, model.sizes.inner, pass.full);
  pass.firstTrained = std::min(counts.firstTrained, pass.blocks.size());
  bool lookup = false;  // its adapter's gradient comes through all blocks
  for (size_t i = 0; i < counts.sites.size(); ++i)
    lookup |= counts.sites[i].operation == SiteOperation::Embedding && counts.rankAt[i] > 0;
  while (model.method->lowRank() && !lookup && pass.firstTrained < pass.blocks.size() &&
         pass.blocks[pass.firstTrained].ranks == 0)
    ++pass.firstTrained;
  const std::vector<HeadKind>& heads = model.family->heads;
  pass.decoder = std::find(heads.begin(), heads.end(), HeadKind::CausalLm) != heads.end();
  pass.languageHead = model.head == HeadKind::CausalLm || model.head == HeadKind::MaskedLm;
  pass.maskedHead = model.head == HeadKind::MaskedLm;
  pass.tied = model.config.value("tie_word_embeddings", false);
  pass.checkpointing = config.flag("train.gradient_checkpointing");
  pass.computeBytes = dtype == at::kBFloat16 ? 2 : 4;
  pass.packed = dtype == at::kBFloat16 && kernels::cpuHasBf16();
  pass.threads = threadsOf(config);
  return pass;
}

// Of the live spectrum: nothing where there is none.
SpectrumProbeCost spectrumCost(const RunConfig& config, const ParameterCounts& counts, bool full) {
  const std::optional<MethodParts> parts = partsOf(config);
  const bool whole = full || (parts && parts->form == "dora");
  SpectrumProbeCost cost;
  for (size_t i = 0; i < counts.sites.size(); ++i)
    if (full ? counts.sites[i].operation != SiteOperation::Embedding : counts.rankAt[i] > 0)
      cost.add(counts.sites[i].outFeatures, counts.sites[i].inFeatures, whole, threadsOf(config));
  return probesSpectrum(config, cost) ? cost : SpectrumProbeCost{};
}

MemoryEstimate larger(MemoryEstimate a, MemoryEstimate b) {
  for (MemoryEstimate* each : {&a, &b})
    each->total = each->program + each->weights + each->adapter + each->gradients + each->optimizer + each->activations +
                  each->logits + each->spectrum;
  return a.total >= b.total ? a : b;
}

MemoryEstimate fullestMoment(const MemoryEstimate& fixed, const PassModel& pass, const PassShape& training,
                             const PassShape& evaluation, int64_t trainable) {
  const double held = pass.frozenMatrices ? kHeldBackBetweenFrozen : kHeldBack;
  const auto withReserve = [held](int64_t bytes) { return bytes + static_cast<int64_t>(held * static_cast<double>(bytes)); };
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
  const int64_t embedding = pass.full ? 4 * pass.vocabulary * pass.hidden * (pass.tied && pass.languageHead ? 2 : 1) : 0;
  end.gradients = 4 * trainable;
  end.activations = withReserve(training.tokens * pass.computeBytes * 2 * pass.hidden + embedding) + forward.buffers;
  if (pass.full) end.activations += static_cast<int64_t>(kHeldBack * static_cast<double>(end.gradients));
  end.logits = pass.packed ? forward.logits : 0;

  MemoryEstimate scoring = fixed;
  scoring.moment = "evaluation";
  const PassMemory look = evaluationPass(pass, evaluation);
  scoring.activations = withReserve(look.activations + look.weightCopies) + std::max(look.buffers, forward.buffers);
  scoring.logits = std::max(look.logits, pass.packed ? forward.logits : 0);
  return larger(larger(step, end), scoring);
}

// Values of one image that are kept for backward: all of them when everything trains, else what lies behind the input of
// the first convolution with an adapter, and the r channels of each. The convolutions are the first sites, in this order.
int64_t keptOfImage(const ImagePass& image, const ParameterCounts& counts, bool full) {
  if (full) return image.kept;
  int64_t kept = 0;
  bool any = false;
  for (size_t i = 0; i < image.sites.size(); ++i) {
    if (counts.rankAt[i] == 0) continue;
    if (!any) kept = image.kept - image.sites[i].keptBefore;
    any = true;
    kept += image.sites[i].places * (counts.rankAt[i] + counts.keptAt[i]);
  }
  return kept;
}

MemoryEstimate imageRunMemory(const ImagePass& image, int64_t kept, const PassModel& pass, MemoryEstimate fixed,
                              int64_t trainable, int64_t images, const DataShape* data) {
  ImageRun run;
  run.pass = image;
  run.kept = kept;
  run.images = images;
  run.evalImages = data ? data->largestEvalTokens : 0;
  run.stored = data ? (data->tokens + data->evalTokens) * image.pixels : 0;
  run.computeBytes = pass.computeBytes;
  run.trainable = trainable;
  run.recompute = pass.checkpointing;
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
  Result<RunModel> model = runModel(config, places);
  if (!model) return model.error();
  Result<at::ScalarType> dtype = computeDtypeOf(config.str("train.compute_dtype"));
  if (!dtype) return dtype.error();
  Result<ParameterCounts> counts = countParameters(*model, config, data ? data->classes : 0);
  if (!counts) return counts.error();
  RunEstimate estimate;
  estimate.parameters = counts->total + counts->factors;
  estimate.trainable = counts->trainable();
  estimate.effectiveScale = model->method->lowRank() ? model->method->scale(model->settings, model->settings.rank, model->settings.alpha) : 1;

  const int64_t maxLength = config.integer("data.max_length"), batch = config.integer("train.batch_size");
  const int64_t tokens = data && data->largestBatchTokens > 0 ? data->largestBatchTokens : model->image ? batch : batch * maxLength;
  estimate.largestBatchTokens = tokens;
  if (data && data->examples > 0) {
    const StepPlan plan(planSettingsOf(config, static_cast<size_t>(data->examples)));
    estimate.steps = plan.totalSteps();
    estimate.stepsPerEpoch = plan.stepsPerEpoch();
    estimate.tokensPerEpoch = data->tokens;
  } else if (config.integer("train.max_steps") > 0) {
    estimate.steps = config.integer("train.max_steps");
  }

  estimate.learningRate = peakLearningRate(config, estimate.steps);

  const PassModel pass = passModel(config, *model, *counts, *dtype);
  PassShape training{tokens, tokens, tokens, maxLength}, evaluation;
  if (data && data->largestBatchTokens > 0) {
    training = {tokens, data->largestBatchLabels, data->largestStepTokens, data->longest};
    evaluation = {data->largestEvalTokens, data->largestEvalLabels, 0, data->longestEval};
  }
  if (!pass.languageHead) training.labelled = evaluation.labelled = config.integer("train.batch_size");
  // Where nearly every token has a label, all are computed (core/models/task_loss.h).
  if (training.labelled * 10 > training.tokens * 9) training.labelled = training.tokens;

  const OptimizerSettings optimizerSettings = optimizerSettingsOf(config);
  const Result<const OptimizerEntry*> optimizer = findOptimizer(optimizerSettings.name);
  if (!optimizer) return optimizer.error();
  MemoryEstimate fixed;  // what is there at every moment of training
  fixed.program = kProgramBytes + (pass.packed ? kPackedProductsBytes : kMatrixLibraryBytes);
  if (data) fixed.program += (data->tokens + data->evalTokens) * kDataBytesPerToken;
  // Full fine-tuning keeps W0 beside the masters, for the size of the update; both in float32.
  const int64_t held = (pass.full ? 4 : pass.computeBytes) * (counts->base - counts->codedWeights) + counts->codedBytes;
  fixed.weights = held + pass.computeBytes * counts->keptWeights;
  fixed.adapter = 4 * estimate.trainable;
  const int64_t moments = 4 * (*optimizer)->slots(optimizerSettings) * (estimate.trainable - counts->movedByMethod);
  fixed.optimizer = moments + 4 * counts->state;
  if (config.flag("optim.paged")) fixed.pageable = moments;
  const SpectrumProbeCost spectrum = spectrumCost(config, *counts, pass.full);
  fixed.spectrum = spectrum.bytes;
  if (model->image)
    estimate.memory = imageRunMemory(*model->image, keptOfImage(*model->image, *counts, pass.full), pass, fixed, estimate.trainable, tokens, data);
  else
    estimate.memory = fullestMoment(fixed, pass, training, evaluation, estimate.trainable);
  if (spectrum.work > 0) {
    MemoryEstimate looking = fixed;
    looking.moment = "spectrum";
    looking.spectrum += spectrum.work;
    estimate.memory = larger(estimate.memory, looking);
  }
  if (counts->sought + counts->soughtWork > 0) {
    // Seeking the start: the gradients that it looks at (float32, whatever the run computes in) lie beside a pass over a
    // batch of its own, and later beside the decomposition of one matrix.
    MemoryEstimate seeking = fixed;
    seeking.moment = "seeking the start";
    seeking.optimizer = seeking.pageable = seeking.spectrum = 0;
    seeking.gradients = 4 * counts->sought;
    if (counts->sought > 0) seeking.weights = held;  // the weights are changed when the gradients have gone
    if (counts->sought > 0 && model->image) {
      const int64_t images = config.integer("method.start_batch_size");
      seeking.activations = imageRunMemory(*model->image, keptOfImage(*model->image, *counts, pass.full), pass, fixed,
                                           estimate.trainable, images, nullptr)
                                .activations;
    } else if (counts->sought > 0) {
      const int64_t longest = data && data->longest > 0 ? data->longest : maxLength;
      const int64_t startTokens = config.integer("method.start_batch_size") * longest;
      const PassMemory look = trainingPass(pass, {startTokens, pass.languageHead ? startTokens : 0, startTokens, longest});
      seeking.activations = look.activations + look.buffers;
      seeking.logits = look.logits;
    }
    if (4 * counts->soughtWork > seeking.activations + seeking.logits) {
      seeking.activations = 4 * counts->soughtWork;
      seeking.logits = 0;
    }
    estimate.memory = larger(estimate.memory, seeking);
  }
  // The weights are copied out of their mapped file one by one; the one at hand is there twice.
  if (!config.flag("model.random_init"))
    if (const Result<WeightSummary> file = inspectWeights(model->folder); file) {
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
      {memory.logits, "logits"},            {memory.spectrum, "base spectra"}};
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text = fmt::format("{} MB (", memory.total / 1'000'000);
  for (size_t i = 0; i < parts.size() && parts[i].first >= 500'000; ++i)
    text += fmt::format("{}{} {}", i > 0 ? ", " : "", parts[i].second, (parts[i].first + 500'000) / 1'000'000);
  if (memory.pageable >= 500'000)
    text += fmt::format("; {} of it can be paged out to the disk", (memory.pageable + 500'000) / 1'000'000);
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
          {"learning_rate", estimate.learningRate ? json(*estimate.learningRate) : json(nullptr)},
          {"memory",
           {{"program", memory.program},
            {"weights", memory.weights},
            {"adapter", memory.adapter},
            {"gradients", memory.gradients},
            {"optimizer", memory.optimizer},
            {"pageable", memory.pageable},
            {"activations", memory.activations},
            {"logits", memory.logits},
            {"spectrum", memory.spectrum},
            {"total", memory.total},
            {"moment", memory.moment},
            {"available", memory.available}}},
          {"steps", estimate.steps},
          {"steps_per_epoch", estimate.stepsPerEpoch},
          {"tokens_per_epoch", estimate.tokensPerEpoch},
          {"largest_batch_tokens", estimate.largestBatchTokens}};
}

}  // namespace rankscope
