#include "core/train/training_loop.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/config/task_heads.h"
#include "core/methods/trained_parameters.h"
#include "core/runlog/event_search.h"
#include "core/train/memory_error.h"
#include "core/train/process_memory.h"
#include "core/train/run_output.h"
#include "core/train/stop_signal.h"
#include "rankscope_version.h"

namespace rankscope {
namespace {

using Clock = std::chrono::steady_clock;
using event::RunState;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// How often this run was started before, from its own record.
int64_t livesBefore(const std::filesystem::path& eventsFile) {
  int64_t lives = 0;
  const Result<void> read = visitEvents(eventsFile, "start", [&lives](const event::Event& item) {
    if (const auto* start = std::get_if<event::Start>(&item.body)) lives = std::max(lives, start->life);
  });
  return read ? lives : 0;
}

}  // namespace

TrainingLoop::TrainingLoop(const RunFolder& run, const Places& places, const TrainOptions& options, EventWriter& events,
                           Heartbeat& heartbeat)
    : m_run(run), m_places(places), m_options(options), m_recorder(events, heartbeat, options.progress),
      m_control(run.path(), events, options.resume) {}

TrainOutcome TrainingLoop::run() {
  try {
    m_recorder.state(RunState::Loading, "reading the config", 0);
    if (auto prepared = prepare(); !prepared) {
      if (prepared.error().code != ErrorCode::Interrupted || leaving() == Leave::No)
        return finish(RunState::Failed, prepared.error());
      return finish(leaving() == Leave::Signal ? RunState::Interrupted : RunState::Stopped, std::nullopt);
    }
    Result<RunState> ended = loop();
    if (!ended) return finish(RunState::Failed, ended.error());
    return finish(*ended, std::nullopt);
  } catch (const std::exception& problem) {
    return finish(RunState::Failed, errorFromException(problem, m_config, m_estimate, m_state.step));
  }
}

Result<void> TrainingLoop::prepare() {
  Result<RunConfig> config = m_run.config();
  if (!config) return config.error();
  m_config = std::move(*config);
  if (const auto issues = validate(m_config); !issues.empty()) return combineIssues(issues);

  estimateMemory(nullptr);
  const int64_t earlierLives = livesBefore(m_run.eventsFile());
  if (m_options.resume) {
    std::vector<Error> damaged;
    Result<FoundCheckpoint> found = findGoodCheckpoint(m_run.path(), -1, damaged);
    for (const Error& error : damaged) m_recorder.log("warning", "a checkpoint is passed over: " + error.message());
    if (found) m_resumedFrom = std::move(*found);
  }

  SetupOptions options;
  options.stateFollows = m_resumedFrom.has_value();
  options.stateFolder = m_run.path();
  if (m_resumedFrom) {
    // The same bits need the same sums: what the first life chose by itself, later lives keep.
    if (m_config.integer("train.threads") == 0) options.threads = m_resumedFrom->contents.trainer.threads;
    if (m_config.str("train.compute_dtype") == "auto") options.computeDtype = m_resumedFrom->contents.trainer.computeDtype;
  }
  options.progress = [this](const std::string& what) { m_recorder.state(RunState::Loading, what, 0); };
  options.startProgress = [this](const std::string& what, double share) {
    m_recorder.progress(fmt::format("{} {:.0f}%", what, 100 * share));
    return serveBetweenPasses(RunState::Loading);
  };
  Result<TrainingSetup> setup = setUpTraining(m_config, m_places, options);
  if (!setup) return setup.error();
  m_setup = std::make_unique<TrainingSetup>(std::move(*setup));
  const DataShape shape = dataShape(m_config, m_setup->data);
  estimateMemory(&shape);
  if (m_estimate) {
    m_recorder.log("info", "expected memory: " + memoryText(m_estimate->memory));
    if (const auto warning = memoryWarning(m_config, *m_estimate)) m_recorder.log("warning", *warning);
  }
  for (const std::string& remark : m_setup->remarks) m_recorder.log("info", remark);
  const auto& problems = m_setup->data.trainProblems;
  for (size_t i = 0; i < std::min<size_t>(problems.items.size(), 20); ++i)
    m_recorder.log("warning", fmt::format("{}, line {}: {}", m_setup->dataSettings.train.filename().string(),
                                          problems.items[i].line, problems.items[i].message));
  if (problems.total > 20) m_recorder.log("warning", fmt::format("{} more rows were passed over", problems.total - 20));

  if (auto chosen = chooseBestMetric(); !chosen) return chosen;
  m_engine = std::make_unique<StepEngine>(*m_setup->model, *m_setup->method, *m_setup->optimizer, m_setup->schedule,
                                          m_setup->stepSettings);
  if (m_config.integer("train.probe_every") > 0) m_probes = std::make_unique<FactorProbes>(*m_setup->method);
  if (auto ready = readySpectrum(); !ready) return ready;
  m_state.life = earlierLives + 1;
  m_state.threads = m_setup->threads;
  m_state.computeDtype = computeDtypeName(m_setup->computeDtype);
  m_state.bestMetric = "eval/" + m_bestMetric;
  m_state.labels = m_setup->data.labels;
  m_recorder.setTotal(m_setup->plan.totalSteps());
  m_recorder.setUnit(unitOfTask(dataTaskName(m_setup->task)));
  if (m_resumedFrom) {
    if (auto restored = restore(); !restored) return restored;
  } else {
    m_setup->method->onStart(*m_setup->optimizer);
  }
  announceStart();
  return {};
}

void TrainingLoop::estimateMemory(const DataShape* data) {
  if (Result<RunEstimate> made = estimateRun(m_config, m_places, data); made) m_estimate = std::move(*made);
}

Result<void> TrainingLoop::chooseBestMetric() {
  const std::string task = dataTaskName(m_setup->task);
  m_bestMetric = m_config.str("train.best_metric");
  if (m_bestMetric.rfind("eval/", 0) == 0) m_bestMetric.erase(0, 5);
  if (m_bestMetric.empty()) m_bestMetric = mainMetric(task);
  m_higherIsBetter = false;
  if (m_bestMetric == "loss") return {};
  std::string known = "loss";
  for (const MetricEntry* entry : metricsOfTask(task, static_cast<int64_t>(m_setup->data.labels.size()))) {
    m_higherIsBetter = entry->better == BetterWhen::Higher;
    if (entry->name == m_bestMetric) return {};
    known += ", " + entry->name;
  }
  return Error{ErrorCode::Usage, "this task has no such metric", "train.best_metric", m_bestMetric, known,
               "Choose one of these, or leave train.best_metric empty for the task's main metric."};
}

Result<void> TrainingLoop::restore() {
  const CheckpointContents& saved = m_resumedFrom->contents;
  if (auto copied = copyInto(m_engine->parameters(), saved.trainable); !copied) return copied;
  if (auto loaded = m_setup->optimizer->loadState(saved.optimizer); !loaded) return loaded;
  if (auto loaded = m_setup->method->loadState(saved.method); !loaded) return loaded;
  const int64_t life = m_state.life;
  const std::string metric = m_state.bestMetric;
  const int threads = m_state.threads;
  const std::string dtype = m_state.computeDtype;
  if (saved.trainer.labels != m_state.labels)
    return Error{ErrorCode::BadInput, "the training data has other labels than when the checkpoint was written",
                 "data.labels", fmt::format("{}", fmt::join(m_state.labels, ", ")),
                 fmt::format("{}", fmt::join(saved.trainer.labels, ", ")),
                 "Put the data back as it was, or set data.labels to the classes in their old order."};
  m_state = saved.trainer;
  m_state.life = life;
  m_state.threads = threads;
  m_state.computeDtype = dtype;
  if (m_state.bestMetric != metric) {  // a branch with another metric judges afresh
    m_state.bestMetric = metric;
    m_state.bestStep = -1;
    m_state.badEvaluations = 0;
  }
  m_recorder.restoreLastValues(m_state.lastEvaluation);
  m_lastCheckpointStep = m_state.step;
  m_lastCheckpoint = "checkpoints/" + m_resumedFrom->info.path.filename().string();
  m_resumedFrom->contents = {};
  return {};
}

void TrainingLoop::announceStart() {
  event::Start start;
  start.life = m_state.life;
  start.host = hostName();
  start.pid = getpid();
  start.version = RANKSCOPE_VERSION;
  start.step = m_state.step;
  start.totalSteps = m_setup->plan.totalSteps();
  start.tokensPerEpoch = static_cast<int64_t>(m_setup->data.train.tokens());
  start.unit = unitOfTask(dataTaskName(m_setup->task));
  start.device = "cpu";
  start.threads = m_setup->threads;
  start.computeDtype = m_state.computeDtype;
  start.trainable = m_setup->trainableCount();
  start.parameters = m_setup->parameterCount();
  start.modelFamily = m_setup->model->family();
  if (const auto& chat = m_setup->dataSettings.chatTemplate) start.chatTemplate = chat->name;
  std::map<const LinearSite*, int64_t> ranks;
  for (const FactorPair& pair : m_setup->method->factorPairs()) ranks[pair.site] = pair.A.size(0);
  for (const LinearSite* site : m_setup->method->changedSites()) {
    const auto rank = ranks.find(site);
    start.sites.push_back({site->name, site->kind, site->layer, site->outFeatures, site->inFeatures,
                           rank == ranks.end() ? std::min(site->outFeatures, site->inFeatures) : rank->second});
  }
  m_recorder.events().append(std::move(start));
  if (m_state.life > 1) m_recorder.events().append(event::Rewind{m_state.step});
}

Result<event::RunState> TrainingLoop::loop() {
  const int64_t total = m_setup->plan.totalSteps();
  const int64_t patience = m_config.integer("train.early_stopping");
  if (m_state.step == 0) {
    // Where the base model stands, so that every curve begins before the first step.
    if (auto evaluated = evaluateNow(); !evaluated) return evaluated.error();
    if (m_probes) probe();
    if (m_spectrum) probeSpectrum();
  }
  m_recorder.state(RunState::Running, "", m_state.step);
  while (m_state.step < total) {
    if (patience > 0 && m_state.badEvaluations >= patience) {
      m_recorder.log("info", fmt::format("no better {} in {} evaluations: stopping early", m_state.bestMetric, patience));
      break;
    }
    Result<bool> goOn = serveBetweenSteps();
    if (!goOn) return goOn.error();
    if (*goOn) {
      Result<Leave> left = oneStep();
      if (!left) return left.error();
      if (*left == Leave::No) continue;
    }
    const bool signal = leaving() == Leave::Signal;
    if (auto saved = saveCheckpoint(signal ? event::CheckpointReason::Signal : event::CheckpointReason::Asked); !saved)
      return saved.error();
    return signal ? RunState::Interrupted : RunState::Stopped;
  }
  if (m_state.lastEvaluatedStep != m_state.step)
    if (auto evaluated = evaluateNow(); !evaluated) return evaluated.error();
  if (leaving() == Leave::Signal && m_state.lastEvaluatedStep != m_state.step) {
    if (auto saved = saveCheckpoint(event::CheckpointReason::Signal); !saved) return saved.error();
    return RunState::Interrupted;
  }
  if (auto saved = saveCheckpoint(event::CheckpointReason::End); !saved) return saved.error();
  return RunState::Finished;
}

Result<TrainingLoop::Leave> TrainingLoop::oneStep() {
  const auto start = Clock::now();
  m_pausedSeconds = 0;
  const std::vector<PackedBatch> batches = m_setup->packStep(m_state.step);
  Result<StepResult> result =
      m_engine->run(m_state.step, m_setup->plan.totalSteps(), batches, [this] { return serveBetweenPasses(); });
  if (!result) return result.error();
  if (result->abandoned) return leaving();
  const double seconds = std::max(0.0, secondsSince(start) - m_pausedSeconds);
  ++m_state.step;
  m_state.tokens += result->tokens;
  m_state.seconds += seconds;
  m_control.setStep(m_state.step);
  const bool last = m_state.step == m_setup->plan.totalSteps();
  const bool record = last || m_state.step % m_config.integer("train.log_every") == 0;
  m_recorder.step(here(), *result, seconds, record);
  if (auto done = afterStep(); !done) return done.error();
  return Leave::No;
}

Result<void> TrainingLoop::afterStep() {
  const bool last = m_state.step == m_setup->plan.totalSteps();
  if (const int64_t every = m_config.integer("train.probe_every"); every > 0 && (last || m_state.step % every == 0)) probe();
  if (m_spectrum && (last || m_state.step % m_config.integer("train.spectrum_every") == 0)) probeSpectrum();
  if (due("train.eval_every", true) || last)
    if (auto evaluated = evaluateNow(); !evaluated) return evaluated;
  if (!last && m_lastCheckpointStep != m_state.step && due("train.checkpoint_every", true))
    if (auto saved = saveCheckpoint(event::CheckpointReason::Schedule); !saved) return saved;
  const int64_t sampleEvery = m_config.integer("train.sample_every");
  if (sampleEvery > 0 && (last || m_state.step % sampleEvery == 0))
    if (auto sampled = sampleNow(); !sampled) return sampled;
  return {};
}

bool TrainingLoop::due(const char* key, bool eachEpoch) const {
  const int64_t every = m_config.integer(key);
  if (every > 0) return m_state.step % every == 0;
  return eachEpoch && m_state.step % m_setup->plan.stepsPerEpoch() == 0;
}

event::Point TrainingLoop::here() const {
  return {m_state.step, m_setup ? m_setup->plan.epochAt(m_state.step) : 0, m_state.tokens, m_state.seconds};
}

TrainOutcome TrainingLoop::finish(event::RunState state, std::optional<Error> error) {
  if (!error && m_setup && (state == RunState::Finished || state == RunState::Stopped)) {
    Result<SavedOutput> output = saveRunOutput(m_run.path(), *m_setup->method, *m_setup->model, m_setup->modelFolder,
                                               m_setup->data.labels);
    if (output) {
      m_recorder.log("info", fmt::format("saved {}/ ({:.1f} MB)", output->name, static_cast<double>(output->bytes) / 1e6));
      for (const std::string& remark : output->remarks) m_recorder.log("info", remark);
    } else {
      error = output.error();
      state = RunState::Failed;
    }
  }
  TrainOutcome outcome;
  outcome.state = state;
  outcome.step = m_state.step;
  nlohmann::json& summary = outcome.summary;
  summary["values"] = m_recorder.lastValues();
  summary["seconds"] = m_state.seconds;
  summary["tokens"] = m_state.tokens;
  summary["unit"] = unitOfTask(m_config.str("data.task"));
  summary["peak_memory"] = readProcessMemory().peak;
  summary["trainable"] = m_setup && m_setup->method ? m_setup->trainableCount() : 0;
  summary["parameters"] = m_setup && m_setup->model ? m_setup->parameterCount() : 0;
  summary["best_metric"] = m_state.bestMetric;
  summary["best_value"] = m_state.bestStep >= 0 ? nlohmann::json(m_state.bestValue) : nlohmann::json(nullptr);
  summary["best_step"] = m_state.bestStep >= 0 ? nlohmann::json(m_state.bestStep) : nlohmann::json(nullptr);
  summary["checkpoint"] = m_lastCheckpoint;
  if (error) {
    if (error->code == ErrorCode::Training && !m_lastCheckpoint.empty())
      error->hint += " Last good checkpoint: " + m_lastCheckpoint + ".";
    m_recorder.failure(*error, m_state.step);
    outcome.error = error;
  }
  m_recorder.state(state, error ? error->message() : "", m_state.step);
  m_recorder.events().append(event::End{state, m_state.step, summary});
  return outcome;
}

}  // namespace rankscope
