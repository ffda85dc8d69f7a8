#include "core/train/import_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include "core/config/files.h"
#include "core/config/hub_cache.h"
#include "core/config/task_heads.h"
#include "core/methods/adapter_file.h"
#include "core/runlog/event_log.h"
#include "core/runlog/heartbeat.h"
#include "core/train/checkpoint.h"
#include "core/train/output_check.h"
#include "core/train/run_output.h"
#include "core/train/setup.h"
#include "rankscope_version.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool isModel(const fs::path& folder) { return readModelConfig(folder).ok(); }

Result<std::string> baseModel(const ImportRequest& request, const AdapterFile& adapter, const Places& places) {
  const std::string named = request.model.empty() ? adapter.basePath : request.model;
  if (named.empty())
    return Error{ErrorCode::Usage,         "the adapter does not name its base model",
                 request.adapter.string(), "",
                 "a model folder",         "Give it with --model."};
  if (!request.model.empty()) {
    Result<fs::path> folder = places.resolve(named);
    if (!folder) return folder.error();
    if (auto config = readModelConfig(*folder); !config) return config.error();
    return named;
  }
  std::string found = findBaseModel(named, places);
  if (found.empty())
    return Error{ErrorCode::Usage, "the adapter's base model is not on this machine",   request.adapter.string(), named,
                 "a model folder", "Fetch that model and give its folder with --model."};
  return found;
}

// "classification", "regression", "question_answering" or "causal_lm", from PEFT's task or the head among the tensors;
// "image_classification" for a model that looks at images, a task that PEFT has no name for.
std::string taskOf(const ImportRequest& request, const AdapterFile& adapter, const json& modelConfig, int64_t rows) {
  if (!request.task.empty()) return request.task;
  if (const auto family = findModelFamily(modelConfig.value("model_type", std::string())); family && (*family)->imagePass)
    return "image_classification";
  if (adapter.taskType == "QUESTION_ANS") return "question_answering";
  const bool classifies = adapter.taskType == "SEQ_CLS" || (adapter.taskType.empty() && rows > 0);
  return !classifies ? "causal_lm" : rows == 1 ? "regression" : "classification";
}

// Classes by index: as given, as the base model calls them, or by number.
std::vector<std::string> labelsOf(const ImportRequest& request, const json& modelConfig, int64_t rows) {
  if (!request.labels.empty()) return request.labels;
  std::vector<std::string> labels;
  const auto names = modelConfig.find("id2label");
  const bool known = names != modelConfig.end() && names->is_object() && static_cast<int64_t>(names->size()) == rows;
  for (int64_t i = 0; i < rows; ++i) {
    const auto name = known ? names->find(std::to_string(i)) : json::const_iterator();
    labels.push_back(known && name != names->end() && name->is_string() ? name->get<std::string>()
                                                                        : fmt::format("LABEL_{}", i));
  }
  return labels;
}

Result<void> setMethod(RunConfig& config, const MethodSettings& settings) {
  json ranks = json::object(), alphas = json::object();
  for (const auto& [site, rank] : settings.rankPattern) ranks[site] = rank;
  for (const auto& [site, alpha] : settings.alphaPattern) alphas[site] = alpha;
  const std::vector<std::pair<const char*, json>> values = {{"method.name", settings.name},
                                                            {"method.rank", settings.rank},
                                                            {"method.alpha", settings.alpha},
                                                            {"method.dropout", settings.dropout},
                                                            {"method.target_modules", settings.targetModules},
                                                            {"method.layers", settings.layersToTransform},
                                                            {"method.rank_pattern", ranks},
                                                            {"method.alpha_pattern", alphas},
                                                            {"method.bias", settings.bias},
                                                            {"method.modules_to_save", settings.modulesToSave}};
  for (const auto& [key, value] : values)
    if (applies(*findOption(key), config))
      if (auto set = config.set(key, value); !set) return set;
  for (const auto& [key, value] : settings.options.items())
    if (auto set = config.set("method." + key, value); !set) return set;
  return {};
}

event::Start startOf(const TrainingSetup& setup) {
  event::Start start;
  start.host = hostName();
  start.pid = ::getpid();
  start.version = RANKSCOPE_VERSION;
  start.unit = unitOfTask(dataTaskName(setup.task));
  start.device = "cpu";
  start.threads = setup.threads;
  start.computeDtype = computeDtypeName(setup.computeDtype);
  start.trainable = setup.trainableCount();
  start.parameters = setup.parameterCount();
  start.modelFamily = setup.model->family();
  for (const FactorPair& pair : setup.method->factorPairs())
    start.sites.push_back({pair.site->name, pair.site->kind, pair.site->layer, pair.site->outFeatures,
                           pair.site->inFeatures, pair.A.size(0)});
  return start;
}

Result<void> writeRun(const RunFolder& run, const TrainingSetup& setup, const std::vector<std::string>& remarks) {
  Result<std::unique_ptr<EventWriter>> events = EventWriter::open(run.eventsFile());
  if (!events) return events.error();
  Result<std::unique_ptr<Heartbeat>> heartbeat = Heartbeat::start(run.path());
  if (!heartbeat) return heartbeat.error();
  (*events)->append(startOf(setup));
  for (const std::string& remark : remarks) (*events)->append(event::Log{"info", remark});

  CheckpointContents contents;
  contents.trainer.threads = setup.threads;
  contents.trainer.computeDtype = computeDtypeName(setup.computeDtype);
  contents.trainer.labels = setup.data.labels;
  for (const OptimizedParameter& parameter : setup.method->trainable())
    contents.trainable.emplace(parameter.name, parameter.tensor.detach());
  contents.optimizer = setup.optimizer->state();
  contents.method = setup.method->state();
  Result<CheckpointInfo> checkpoint = writeCheckpoint(run.path(), contents);
  if (!checkpoint) return checkpoint.error();
  const std::string name = "checkpoints/" + checkpoint->path.filename().string();
  (*events)->append(event::Checkpoint{0, name, event::CheckpointReason::End, checkpoint->bytes, false});
  if (auto saved = saveRunOutput(run.path(), *setup.method, *setup.model, setup.modelFolder, setup.data.labels); !saved)
    return saved.error();

  (*events)->append(event::State{event::RunState::Finished, "imported", 0});
  (*events)->append(event::End{event::RunState::Finished,
                               0,
                               {{"values", json::object()},
                                {"seconds", 0},
                                {"tokens", 0},
                                {"unit", unitOfTask(dataTaskName(setup.task))},
                                {"trainable", setup.trainableCount()},
                                {"parameters", setup.parameterCount()},
                                {"best_step", nullptr},
                                {"best_value", nullptr},
                                {"checkpoint", name}}});
  if (auto closed = (*events)->close(); !closed) return closed;
  (*heartbeat)->finish(event::RunState::Finished, 0);
  return {};
}

}  // namespace

std::string findBaseModel(const std::string& named, const Places& places) {
  if (named.empty()) return {};
  if (Result<fs::path> folder = places.resolve(named); folder && isModel(*folder)) return named;
  // "owner/name" is a repository's name elsewhere, and often the folder's name here.
  const std::string last = named.substr(named.find_last_of('/') + 1);
  for (const std::string& name : {named, last})
    if (Result<fs::path> folder = places.resolve("models:" + name); folder && !name.empty() && isModel(*folder))
      return "models:" + name;
  if (const std::optional<fs::path> folder = findHubModel(named); folder && isModel(*folder)) return pathText(*folder);
  return {};
}

Result<ImportedRun> importAdapter(const ImportRequest& request, const Places& places) {
  constexpr int64_t kStages = 5;
  const auto say = [&](int64_t done, const std::string& what) {
    if (request.progress) request.progress(done, kStages, what);
  };
  say(0, "reading the adapter");
  Result<AdapterFile> adapter = readAdapter(request.adapter, request.alpha);
  if (!adapter) return adapter.error();
  Result<std::string> base = baseModel(request, *adapter, places);
  if (!base) return base.error();
  Result<json> modelConfig = readModelConfig(*places.resolve(*base));
  if (!modelConfig) return modelConfig.error();

  RunConfig config;
  const int64_t rows = headRows(*adapter);
  const std::string task = taskOf(request, *adapter, *modelConfig, rows);
  fs::path source = request.adapter;
  if (!source.has_filename()) source = source.parent_path();
  const std::string name = request.name.empty() ? pathText(source.filename()) : request.name;
  for (const auto& [key, value] :
       std::vector<std::pair<const char*, json>>{{"name", name}, {"model.path", *base}, {"data.task", task}})
    if (auto set = config.set(key, value); !set) return set.error();
  if (task == "classification") {
    const std::vector<std::string> labels = labelsOf(request, *modelConfig, std::max<int64_t>(rows, 2));
    if (rows > 0 && static_cast<int64_t>(labels.size()) != rows)
      return Error{ErrorCode::Usage,
                   "the adapter's head has another number of classes",
                   "--labels",
                   fmt::format("{}", labels.size()),
                   fmt::format("{}", rows),
                   "Name as many classes."};
    if (auto set = config.set("data.labels", labels); !set) return set.error();
  }
  // The model first: what the adapter's settings mean is told from its sites.
  say(1, "loading the base model");
  SetupOptions options;
  options.data = options.method = options.optimizer = false;
  options.labels = config.list("data.labels");
  Result<TrainingSetup> setup = setUpTraining(config, places, options);
  if (!setup) return setup.error();
  if (auto fitted = fitAdapter(*adapter, *setup->model); !fitted) return fitted.error();
  if (auto set = setMethod(config, adapter->settings); !set) return set.error();
  for (const ValidationIssue& issue : config.assign(request.assignments)) return issue.error;
  for (const ValidationIssue& issue : validate(config))
    if (issue.key.rfind("data.", 0) != 0) return issue.error;  // an imported run has no data yet

  say(2, "attaching the adapter");
  Result<const ModelFamily*> family = findModelFamily(modelConfig->value("model_type", std::string()));
  if (!family) return family.error();
  Result<MethodSettings> settings = methodSettingsOf(config, **family);
  if (!settings) return settings.error();
  Result<std::unique_ptr<Method>> method = makeMethod(std::move(*settings));
  if (!method) return method.error();
  setup->method = std::move(*method);
  if (auto attached = setup->method->attach(*setup->model); !attached) return attached.error();
  if (auto loaded = setup->method->loadAdapterTensors(adapter->tensors); !loaded) return loaded.error();
  Result<std::unique_ptr<Optimizer>> optimizer = makeOptimizer(setup->method->trainable(), optimizerSettingsOf(config));
  if (!optimizer) return optimizer.error();
  setup->optimizer = std::move(*optimizer);

  const OutputSample sample(*setup);
  const at::Tensor before = sample.logits(*setup->model);

  say(3, "writing the run");
  if (auto made = places.ensure(); !made) return made.error();
  Result<RunFolder> run = RunFolder::create(places, config);
  if (!run) return run.error();
  ImportedRun imported{*run, name, static_cast<int64_t>(setup->method->factorPairs().size()), setup->trainableCount(),
                       std::move(adapter->remarks)};
  imported.remarks.insert(imported.remarks.begin(), "imported from " + pathText(fs::absolute(request.adapter)));
  const auto givenUp = [&](const Error& error) {
    std::error_code ignored;
    fs::remove_all(run->path(), ignored);
    return error;
  };
  if (auto written = writeRun(*run, *setup, imported.remarks); !written) return givenUp(written.error());

  say(4, "comparing the run with the adapter");
  setup->optimizer.reset();
  setup->method.reset();
  setup->model.reset();
  Result<TrainedModel> again = loadRunModel(*run, places, {});
  if (!again) return givenUp(again.error());
  Result<OutputCheck> check = sample.compare(before, *again->setup.model, kExactTolerance, run->path());
  if (!check) return givenUp(check.error());
  imported.check = *check;
  return imported;
}

}  // namespace rankscope
