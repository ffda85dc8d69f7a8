#include "core/train/setup.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/cpu/Utils.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <thread>

#include "core/config/files.h"
#include "core/config/step_size.h"
#include "core/config/task_heads.h"
#include "core/data/roles.h"
#include "core/models/config_reader.h"
#include "core/train/model_inputs.h"
#include "core/train/packing.h"

namespace rankscope {
namespace {

// Frozen weights are held in the compute dtype, but a module of the base model that trains beside an adapter starts from
// the checkpoint's own values, not from their bfloat16 rounding.
Result<void> restoreExactMasters(TrainingSetup& setup, ModelLoadOptions options) {
  if (options.dtype == at::kFloat || options.keepFloat32) return {};
  const std::vector<std::string>& drawn = setup.model->loadReport().newlyInitialised;
  std::vector<OptimizedParameter> masters;
  for (OptimizedParameter& parameter : setup.method->trainable())
    if (setup.model->parameters().contains(parameter.name) &&
        std::find(drawn.begin(), drawn.end(), parameter.name) == drawn.end())
      masters.push_back(parameter);
  if (masters.empty()) return {};
  // Nothing but the masters is read: all stays in the file.
  options.dtype = at::kFloat;
  for (const NamedTensor& entry : setup.model->parameters().entries()) options.leftInFile.insert(entry.name);
  for (const LinearSite* site : setup.model->sites()) options.leftInFile.insert(site->name + ".weight");
  Result<std::unique_ptr<Model>> exact = loadModel(setup.modelFolder, options);
  if (!exact) return exact.error();
  const at::NoGradGuard noGrad;
  for (OptimizedParameter& master : masters) master.tensor.copy_((*exact)->parameters().at(master.name));
  return {};
}

// Products in bfloat16 are several times as fast where the processor multiplies them itself, and slower elsewhere.
bool processorHasBfloat16() {
  const auto capabilities = at::cpu::get_cpu_capabilities();
  for (const char* name : {"avx512_bf16", "amx_bf16", "bf16"}) {
    const auto found = capabilities.find(name);
    if (found != capabilities.end() && found->second.isBool() && found->second.toBool()) return true;
  }
  return false;
}

Result<void> checkData(const TrainingSetup& setup) {
  if (setup.data.train.empty())
    return Error{ErrorCode::BadInput, "the training data holds no usable example", pathText(setup.dataSettings.train),
                 fmt::format("{} rows, {} of them with problems", setup.data.trainStatistics.rows,
                             setup.data.trainProblems.total),
                 "at least one example",
                 "Look at the rows with `rankscope-train data FILE`; check data.columns and data.task."};
  const int64_t positions = setup.model->maxPositions();
  const auto longest = static_cast<int64_t>(std::max(setup.data.train.longest(), setup.data.eval.longest()));
  if (positions > 0 && longest > positions)
    return Error{ErrorCode::Usage, "sequences are longer than the model's positions", "data.max_length",
                 std::to_string(longest), fmt::format("at most {}", positions),
                 fmt::format("Set data.max_length to {} or less.", positions)};
  return {};
}

std::filesystem::path pageFolder(const Places& places, const SetupOptions& options) {
  std::error_code code;
  for (const std::filesystem::path& folder : {options.stateFolder, places.runs})
    if (!folder.empty() && std::filesystem::is_directory(folder, code)) return folder;
  return std::filesystem::temp_directory_path(code);
}

// What a start may ask for; used while the set-up is where it is.
StartSupport startSupport(const TrainingSetup& setup, const Places& places, const SetupOptions& options) {
  constexpr uint64_t kCacheBytes = uint64_t{4} << 30;
  StartSupport support;
  support.progress = [&options](const std::string& what, double share) {
    if (options.cancel && *options.cancel) return false;
    return !options.startProgress || options.startProgress(what, share);
  };
  if (!places.cache.empty()) support.cache = TensorCache(places.cache / "starts", kCacheBytes);
  const RunConfig& config = setup.config;
  if (setup.data.train.empty() || !applies(*findOption("method.start_batches"), config)) return support;
  const auto plan = std::make_shared<BatchPlan>(setup.data.train.size(),
                                                static_cast<size_t>(config.integer("method.start_batch_size")),
                                                static_cast<uint64_t>(config.integer("seed")), /*shuffle=*/true);
  support.batches = std::min(config.integer("method.start_batches"), plan->batchesPerEpoch());
  support.batch = [&setup, plan](int64_t number) {
    return setup.pack(setup.data.train, plan->batch(number), static_cast<uint64_t>(number));
  };
  return support;
}

// A method that begins with plain steps would never begin in a run that is no longer than these.
void shortenMethodWarmup(MethodSettings& settings, int64_t totalSteps, std::vector<std::string>& remarks) {
  const auto warmup = settings.options.find("warmup_steps");
  if (warmup == settings.options.end()) return;
  const auto asked = warmup->get<int64_t>();
  if (asked < totalSteps) return;
  const int64_t taken = std::max<int64_t>(1, totalSteps / 10);
  *warmup = taken;
  remarks.push_back(fmt::format("method.warmup_steps: {} plain steps would last as long as the run of {}; {} taken instead",
                                asked, totalSteps, taken));
}

}  // namespace

Result<HeadKind> headOf(const RunConfig& config, const ModelFamily& family) {
  Result<DataTask> task = parseDataTask(config.str("data.task"));
  if (!task) return task.error();
  const HeadKind wanted = headOfName(headForTask(dataTaskName(*task)));
  const std::string named = config.str("model.head");
  if (named != "auto" && named != headName(wanted))
    return Error{ErrorCode::Usage, "the head does not fit the task", "model.head", named, headName(wanted),
                 "Leave model.head at auto."};
  if (std::find(family.heads.begin(), family.heads.end(), wanted) == family.heads.end()) {
    std::string heads;
    for (const HeadKind head : family.heads)
      if (head != HeadKind::None) heads += (heads.empty() ? "" : ", ") + std::string(headName(head));
    return Error{ErrorCode::Usage,
                 fmt::format("a model of the {} family cannot do this task", family.title),
                 "data.task",
                 config.str("data.task"),
                 "a task for one of its heads: " + heads,
                 "Choose another task or another base model."};
  }
  return wanted;
}

int64_t labelCountOf(const RunConfig& config, const nlohmann::json& modelConfig, int64_t classes) {
  if (config.str("data.task") == "regression") return 1;
  return std::max<int64_t>(2, classes > 0 ? classes : classCountOf(modelConfig));
}

Result<MethodSettings> methodSettingsOf(const RunConfig& config, const ModelFamily& family) {
  Result<const MethodEntry*> entry = findMethod(config.str("method.name"));
  if (!entry) return entry.error();
  MethodSettings settings;
  settings.name = (*entry)->name;
  settings.seed = static_cast<uint64_t>(config.integer("seed"));
  settings.rank = config.integer("method.rank");
  settings.alpha = config.real("method.alpha");
  settings.dropout = config.real("method.dropout");
  const bool full = (*entry)->kind() == MethodKind::Full;
  settings.targetModules = config.list(full ? "method.train_modules" : "method.target_modules");
  if (settings.targetModules.empty() && (*entry)->lowRank()) settings.targetModules = family.defaultTargets;
  settings.layersToTransform = config.list("method.layers");
  for (const auto& [name, rank] : config.map("method.rank_pattern")) settings.rankPattern[name] = static_cast<int64_t>(rank);
  for (const auto& [name, alpha] : config.map("method.alpha_pattern")) settings.alphaPattern[name] = alpha;
  settings.bias = config.str("method.bias");
  settings.modulesToSave = config.list("method.modules_to_save");
  // The method's own options: whatever applies to it and is not one of the common ones above.
  constexpr std::string_view kGroup = "method.";
  constexpr std::array<std::string_view, 11> kCommon = {"name", "train_modules",         "rank",          "alpha", "dropout",        "target_modules",
                                                        "layers",       "rank_pattern",  "bias",  "alpha_pattern",  "modules_to_save"};
  for (const OptionSpec& option : optionTable()) {
    if (option.key.rfind(kGroup, 0) != 0 || !applies(option, config)) continue;
    const std::string key = option.key.substr(kGroup.size());
    if (std::find(kCommon.begin(), kCommon.end(), key) == kCommon.end()) settings.options[key] = config.value(option.key);
  }
  return settings;
}

OptimizerSettings optimizerSettingsOf(const RunConfig& config) {
  OptimizerSettings settings;
  settings.name = config.str("optim.name");
  settings.beta1 = config.real("optim.beta1");
  settings.beta2 = config.real("optim.beta2");
  settings.eps = config.real("optim.eps");
  settings.weightDecay = followsMeft(config) ? 0 : config.real("optim.weight_decay");
  settings.momentum = config.real("optim.momentum");
  return settings;
}

StepPlan::Settings planSettingsOf(const RunConfig& config, size_t examples) {
  StepPlan::Settings settings;
  settings.examples = examples;
  settings.batchSize = static_cast<size_t>(config.integer("train.batch_size"));
  settings.accumulation = config.integer("train.accumulation");
  settings.epochs = config.integer("train.epochs");
  settings.maxSteps = config.integer("train.max_steps");
  settings.shuffle = config.flag("data.shuffle");
  settings.seed = static_cast<uint64_t>(config.integer("seed"));
  return settings;
}

Result<at::ScalarType> computeDtypeOf(const std::string& name) {
  if (name == "fp32") return at::kFloat;
  if (name == "bf16") return at::kBFloat16;
  if (name == "auto") return processorHasBfloat16() ? at::kBFloat16 : at::kFloat;
  return Error{ErrorCode::Usage, "unknown arithmetic", "train.compute_dtype", name, "auto, fp32 or bf16",
               "Choose one of these."};
}

const char* computeDtypeName(at::ScalarType type) { return type == at::kBFloat16 ? "bf16" : "fp32"; }

Result<std::string> deviceOf(const RunConfig& config) {
  const std::string wanted = config.str("train.device");
  if (wanted == "cuda" && !at::hasCUDA())
    return Error{ErrorCode::Usage, "no GPU can be used", "train.device", "cuda", "cpu or auto",
                 "This machine has no NVIDIA GPU that LibTorch can open; set train.device to auto."};
  return std::string("cpu");
}

int threadsOf(const RunConfig& config) {
  const auto asked = static_cast<int>(config.integer("train.threads"));
  return asked > 0 ? asked : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void configureOperators(int threads) {
  at::set_num_threads(threads);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  // Fresh memory need not be filled for a run to repeat: every operator here writes what it allocates.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

int64_t TrainingSetup::trainableCount() const {
  int64_t count = 0;
  for (const OptimizedParameter& parameter : method->trainable()) count += parameter.tensor.numel();
  return count;
}

int64_t TrainingSetup::parameterCount() const {
  int64_t added = 0;
  for (const OptimizedParameter& p : method ? method->trainable() : std::vector<OptimizedParameter>())
    if (!model->parameters().contains(p.name)) added += p.tensor.numel();
  return model->parameterCount() + added;
}

PackedBatch TrainingSetup::pack(const TokenizedSet& set, std::span<const uint32_t> indices, uint64_t draw) const {
  return packExamples(set, indices, task, masking ? &*masking : nullptr, draw,
                      draw == kEvaluationDraw ? nullptr : &augmentation);
}

std::vector<PackedBatch> TrainingSetup::packStep(int64_t step) {
  const auto first = static_cast<uint64_t>(step) * static_cast<uint64_t>(config.integer("train.accumulation"));
  std::vector<PackedBatch> batches;
  for (const std::vector<uint32_t>& indices : plan.microBatches(step))
    batches.push_back(pack(data.train, indices, first + batches.size()));
  return batches;
}

Result<TrainingSetup> setUpTraining(const RunConfig& config, const Places& places, const SetupOptions& options) {
  const auto say = [&](const std::string& what) {
    if (options.progress) options.progress(what);
  };
  TrainingSetup setup;
  setup.config = config;
  Result<DataTask> task = parseDataTask(config.str("data.task"));
  if (!task) return task.error();
  setup.task = *task;
  if (auto device = deviceOf(config); !device) return device.error();
  setup.threads = options.threads > 0 ? options.threads : threadsOf(config);
  configureOperators(setup.threads);
  Result<at::ScalarType> dtype =
      computeDtypeOf(options.computeDtype.empty() ? config.str("train.compute_dtype") : options.computeDtype);
  if (!dtype) return dtype.error();
  setup.computeDtype = *dtype;

  Result<std::filesystem::path> folder = places.resolve(config.str("model.path"));
  if (!folder) return folder.error();
  setup.modelFolder = *folder;
  Result<nlohmann::json> modelConfig = readModelConfig(*folder);
  if (!modelConfig) return modelConfig.error();
  Result<const ModelFamily*> family = findModelFamily(modelConfig->value("model_type", std::string()));
  if (!family) return family.error();
  Result<HeadKind> head = headOf(config, **family);
  if (!head) return head.error();
  setup.head = *head;
  Result<MethodSettings> methodSettings = methodSettingsOf(config, **family);
  if (!methodSettings) return methodSettings.error();
  methodSettings->stateFollows = options.stateFollows;

  Result<DataSettings> dataSettings = DataSettings::fromConfig(config, places);
  if (!dataSettings && options.data) return dataSettings.error();
  if (dataSettings) setup.dataSettings = std::move(*dataSettings);  // a plain model need not name any data
  setup.dataSettings.task = setup.task;
  const bool images = readsImages(setup.task);
  say(images ? "reading the image settings" : "reading the tokenizer");
  Result<std::unique_ptr<Tokenizer>> tokenizer = loadModelInputs(*folder, config, setup.dataSettings);
  if (!tokenizer) return tokenizer.error();
  setup.tokenizer = std::move(*tokenizer);
  if (setup.task == DataTask::MaskedLm) {
    Result<TokenMasking> masking = TokenMasking::make(*setup.tokenizer, config.real("data.mask_share"),
                                                      static_cast<uint64_t>(config.integer("seed")));
    if (!masking) return masking.error();
    setup.masking = std::move(*masking);
  }
  setup.augmentation = {config.integer("data.augment.crop_padding"), config.flag("data.augment.flip"),
                        static_cast<uint64_t>(config.integer("seed"))};

  const std::vector<std::string> modelClasses = hasClasses(setup.task) ? classNamesOf(*modelConfig) : std::vector<std::string>();
  if (options.data) {
    say(images ? "decoding the images" : "tokenising the data");
    PrepareOptions prepare;
    prepare.threads = setup.threads;
    prepare.cacheFolder = places.cache.empty() ? std::filesystem::path() : places.cache / "tokens";
    prepare.cancel = options.cancel;
    Result<PreparedData> data = prepareData(setup.dataSettings, setup.tokenizer.get(), prepare);
    if (!data) return data.error();
    setup.data = std::move(*data);
    if (const auto& chat = setup.dataSettings.chatTemplate)
      setup.remarks.push_back(fmt::format("conversations are written with the chat template {}", chat->title));
    if (setup.dataSettings.labels.empty()) takeModelsOrder(setup.data, modelClasses);
  } else {
    setup.data.labels = !options.labels.empty()              ? options.labels
                        : !setup.dataSettings.labels.empty() ? setup.dataSettings.labels
                                                             : modelClasses;
  }

  if (options.method) {
    setup.plan = StepPlan(planSettingsOf(config, std::max<size_t>(1, setup.data.train.size())));
    if (options.optimizer) shortenMethodWarmup(*methodSettings, setup.plan.totalSteps(), setup.remarks);
    Result<std::unique_ptr<Method>> method = makeMethod(std::move(*methodSettings));
    if (!method) return method.error();
    setup.method = std::move(*method);
  }

  say("loading the model");
  ModelLoadOptions load;
  load.dtype = setup.computeDtype;
  load.head = setup.head;
  load.numLabels = labelCountOf(config, *modelConfig, static_cast<int64_t>(setup.data.labels.size()));
  load.seed = static_cast<uint64_t>(config.integer("seed"));
  load.randomInit = config.flag("model.random_init");
  load.keepFloat32 = (*findMethod(config.str("method.name")))->kind() == MethodKind::Full;  // every weight may be a master
  Result<std::unique_ptr<Model>> model = setup.method ? loadBaseModel(*folder, load, *setup.method) : loadModel(*folder, load);
  if (!model) return model.error();
  setup.model = std::move(*model);
  setup.model->gradientCheckpointing = config.flag("train.gradient_checkpointing");
  for (const std::string& name : setup.model->loadReport().newlyInitialised)
    setup.remarks.push_back(name + " is not in the checkpoint (or there for another number of classes) and starts from the seed");
  if (const size_t unused = setup.model->loadReport().unused.size(); unused > 0)
    setup.remarks.push_back(fmt::format("{} tensors of the checkpoint are not used ({}{})", unused,
                                        setup.model->loadReport().unused.front(), unused > 1 ? ", …" : ""));
  if (setup.tokenizer)
    if (auto fits = checkTokenizerFits(*setup.tokenizer, setup.model->vocabSize()); !fits) return fits.error();
  if (options.data)
    if (auto good = checkData(setup); !good) return good.error();

  if (!options.method) return setup;
  say("preparing the method");
  setup.method->supportStart(startSupport(setup, places, options));
  if (auto attached = setup.method->attach(*setup.model); !attached) return attached.error();
  if (auto exact = restoreExactMasters(setup, load); !exact) return exact.error();

  if (!options.optimizer) return setup;
  OptimizerSettings optimizerSettings = optimizerSettingsOf(config);
  if (config.flag("optim.paged")) optimizerSettings.pagedIn = pageFolder(places, options);
  Result<std::unique_ptr<Optimizer>> optimizer = makeOptimizer(setup.method->trainable(), optimizerSettings);
  if (!optimizer) return optimizer.error();
  setup.optimizer = std::move(*optimizer);
  const int64_t steps = setup.plan.totalSteps();
  const bool meft = followsMeft(config);  // a constant step and nothing else
  Result<Schedule> schedule = makeSchedule(meft ? "constant" : config.str("optim.schedule"), config.integer("optim.warmup_steps"),
                                           config.real("optim.warmup_ratio"), steps);
  if (!schedule) return schedule.error();
  setup.schedule = *schedule;
  setup.stepSettings.learningRate = peakLearningRate(config, steps).value_or(0);
  if (meft)
    setup.remarks.push_back(fmt::format("MeFT's constant step over {} steps at rank {}: a learning rate of {:.4g}", steps,
                                        config.integer("method.rank"), setup.stepSettings.learningRate));
  setup.stepSettings.maxGradNorm = meft ? 0 : config.real("optim.max_grad_norm");
  setup.stepSettings.seed = static_cast<uint64_t>(config.integer("seed"));
  return setup;
}

}  // namespace rankscope
