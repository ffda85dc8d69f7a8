#pragma once
// Run folders as a trainer would have left them, with curves made by a formula, for tests and pictures of the interface.
// Never shipped: what users get are real runs. Deterministic in its options.

#include <QString>

#include <cmath>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "core/config/places.h"
#include "core/config/run_config.h"
#include "core/runlog/event_log.h"
#include "core/runlog/run_folder.h"

namespace rankscope::test {

struct SyntheticRun {
  std::string method = "lora";
  int rank = 8;
  int seed = 0;
  std::string model = "MiniLM-L6", data = "mrpc", task = "classification";
  std::string name;
  int steps = 400;
  event::RunState end = event::RunState::Finished;
  double alpha = 16;
};

// Writes one run; returns its id.
inline std::string writeRun(const Places& places, const SyntheticRun& what) {
  RunConfig config;
  const auto set = [&config](const char* key, const nlohmann::json& value) {
    if (const auto done = config.set(key, value); !done.ok()) qFatal("%s", done.error().message().c_str());
  };
  if (!what.name.empty()) set("name", what.name);
  set("seed", what.seed);
  set("model.path", (places.models / what.model).string());
  set("data.task", what.task);
  set("data.train", "/data/" + what.data + "/train.tsv");
  set("method.name", what.method);
  if (what.method != "full") {
    set("method.rank", what.rank);
    set("method.alpha", what.alpha);
  }
  set("optim.learning_rate", what.method == "full" ? 2e-5 : 2e-4);
  auto folder = RunFolder::create(places, config);
  if (!folder.ok()) qFatal("%s", folder.error().message().c_str());
  auto writer = EventWriter::open(folder->eventsFile());
  if (!writer.ok()) qFatal("%s", writer.error().message().c_str());

  std::mt19937 random(static_cast<unsigned>(std::hash<std::string>{}(what.method + what.data)) + static_cast<unsigned>(what.rank * 31 + what.seed));
  std::normal_distribution<double> noise(0, 1);
  const double strength = (what.method == "reflora" ? 1.25 : what.method == "rora" ? 1.12 : what.method == "full" ? 1.3 : 1.0) *
                          (what.method == "full" ? 1.0 : 0.8 + 0.06 * std::log2(what.rank + 1.0));
  const int64_t parameters = 22700000, trainable = what.method == "full" ? parameters : 9216LL * what.rank;
  event::Start start;
  start.host = "bench";
  start.pid = 1;
  start.version = "0.1.0";
  start.totalSteps = 400;
  start.tokensPerEpoch = 40000;
  start.device = "cpu";
  start.threads = 2;
  start.computeDtype = "bf16";
  start.trainable = trainable;
  start.parameters = parameters;
  start.modelFamily = "bert";
  for (int layer = 0; layer < 6; ++layer)
    for (const char* kind : {"query", "value"})
      start.sites.push_back({"encoder.layer." + std::to_string(layer) + "." + kind, kind, layer, 384, 384, what.rank});
  EventWriter& log = **writer;
  log.append(start);
  log.append(event::State{event::RunState::Running, "", 0});
  double best = 0, loss = 0, evalLoss = 0;
  int64_t bestStep = 0;
  for (int step = 1; step <= what.steps; ++step) {
    const double t = static_cast<double>(step) / 400;
    loss = 0.18 + 0.52 * std::exp(-3.2 * strength * t) + 0.05 * noise(random) * std::exp(-t);
    event::Metrics metrics;
    metrics.at = {step, t * 3, step * 300, step * 0.05};
    metrics.values = {{"train/loss", std::max(0.02, loss)},
                      {"train/learning_rate", 2e-4 * std::min(1.0, t * 10) * (1 - t)},
                      {"train/grad_norm", 0.6 + std::abs(noise(random)) * 0.3},
                      {"train/tokens_per_second", 6000 + 300 * noise(random)},
                      {"train/step_seconds", 0.05},
                      {"memory/resident", 4.1e8 + 1e6 * step}};
    if (step % 10 == 0 && what.method != "full") {
      const double a = 1 + t, b = what.method == "reflora" ? 1 + t * 0.95 : 0.2 + t * 0.6;
      metrics.values.insert(metrics.values.end(), {{"factors/norm_A", a}, {"factors/norm_A/q10", a * 0.9}, {"factors/norm_A/q90", a * 1.1},
                                                   {"factors/norm_B", b}, {"factors/norm_B/q10", b * 0.85}, {"factors/norm_B/q90", b * 1.15},
                                                   {"factors/balance_gap", std::abs(a * a - b * b)}});
    }
    log.append(metrics);
    if (step % 50 == 0) {
      evalLoss = 0.26 + 0.42 * std::exp(-2.6 * strength * t) + 0.01 * noise(random);
      const double accuracy = 0.68 + 0.19 * (1 - std::exp(-2.2 * strength * t)) + 0.008 * noise(random);
      event::Eval eval;
      eval.at = metrics.at;
      eval.values = {{"eval/loss", evalLoss}, {what.data == "cola" ? "eval/matthews" : "eval/accuracy", accuracy}};
      eval.best = accuracy > best;
      if (eval.best) best = accuracy, bestStep = step;
      log.append(eval);
      log.append(event::Checkpoint{step, "checkpoints/step-" + std::to_string(step), event::CheckpointReason::Schedule, 1 << 20, eval.best});
    }
  }
  if (what.end == event::RunState::Failed)
    log.append(event::Failure{{ErrorCode::Training, "the loss is not finite", "step 120", "nan", "a finite loss", "Lower the learning rate."}, what.steps});
  event::End end;
  end.state = what.end;
  end.step = what.steps;
  end.summary = {{"seconds", what.steps * 0.05}, {"tokens", what.steps * 300}, {"peak_memory", 8.1e8 + (what.method == "full" ? 3e8 : 0)},
                 {"trainable", trainable}, {"parameters", parameters},
                 {"best_metric", what.data == "cola" ? "eval/matthews" : "eval/accuracy"}, {"best_value", best}, {"best_step", bestStep}};
  if (what.end != event::RunState::Running) log.append(end);
  if (const auto closed = log.close(); !closed.ok()) qFatal("%s", closed.error().message().c_str());
  return folder->id();
}

// Four methods, ranks 4 8 16 64, two data sets, three seeds, and some that ended otherwise: 80 runs or so.
inline std::vector<std::string> writeManyRuns(const Places& places) {
  std::vector<std::string> ids;
  for (const char* data : {"mrpc", "cola"})
    for (int seed = 0; seed < 3; ++seed) {
      for (const char* method : {"lora", "rora", "reflora"})
        for (int rank : {4, 8, 16, 64}) {
          SyntheticRun run;
          run.method = method;
          run.rank = rank;
          run.seed = seed;
          run.data = data;
          ids.push_back(writeRun(places, run));
        }
      SyntheticRun full;
      full.method = "full";
      full.seed = seed;
      full.data = data;
      ids.push_back(writeRun(places, full));
    }
  SyntheticRun odd;
  odd.end = event::RunState::Failed;
  odd.steps = 120;
  odd.name = "lora-r8 too hot";
  ids.push_back(writeRun(places, odd));
  odd.end = event::RunState::Interrupted;
  odd.name = "night run, pre-empted";
  odd.method = "reflora";
  ids.push_back(writeRun(places, odd));
  odd.end = event::RunState::Stopped;
  odd.name = "stopped by hand";
  ids.push_back(writeRun(places, odd));
  return ids;
}

}  // namespace rankscope::test
