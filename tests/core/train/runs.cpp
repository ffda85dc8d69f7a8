// Whole runs, small but real: the same bits twice, resumed and branched; wishes; early ends; what is left on disk.
#include <ATen/ATen.h>

#include <QtTest/QtTest>

#include <chrono>
#include <csignal>
#include <thread>

#include "core/io/safetensors.h"
#include "core/runlog/heartbeat.h"
#include "core/train/checkpoint.h"
#include "core/train/estimate.h"
#include "core/train/evaluation.h"
#include "core/train/packing.h"
#include "core/train/process_memory.h"
#include "core/train/trained_model.h"
#include "tests/core/train/train_until.h"

using namespace rankscope;
using rankscope::test::adapterBytes;
using rankscope::test::bytesOf;
using rankscope::test::eventsOf;
using rankscope::test::Home;
using rankscope::test::series;
using rankscope::test::train;
using rankscope::test::trainUntil;

class TrainRuns : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void runRecordsWhatItShould() {
    Home home;
    const RunFolder run = home.run();
    const TrainOutcome outcome = train(run, home);
    QVERIFY2(!outcome.error, outcome.error ? outcome.error->message().c_str() : "");
    QCOMPARE(outcome.state, event::RunState::Finished);
    QCOMPARE(outcome.exitCode(), 0);
    const auto starts = eventsOf<event::Start>(run);
    QCOMPARE(starts.size(), size_t{1});
    QCOMPARE(starts[0].life, int64_t{1});
    QCOMPARE(starts[0].totalSteps, int64_t{12});
    QVERIFY(!starts[0].sites.empty());
    QCOMPARE(starts[0].sites[0].rank, int64_t{8});
    const auto losses = series(run, "train/loss");
    QCOMPARE(losses.size(), size_t{12});
    QVERIFY(losses.at(12) < losses.at(1));
    for (const char* name : {"train/learning_rate", "train/grad_norm", "train/tokens_per_second", "train/step_seconds",
                             "memory/resident", "memory/peak"})
      QVERIFY2(series(run, name).size() == 12, name);
    for (const char* name : {"factors/norm_A", "factors/norm_B/q10", "factors/balance_gap/q90", "factors/relative_update"})
      QVERIFY2(series(run, name).size() == 4, name);  // steps 0, 4, 8, 12
    QCOMPARE(series(run, "factors/norm_B").at(0), 0.0);
    for (const event::Sites& sites : eventsOf<event::Sites>(run))
      for (const auto& [name, values] : sites.values) QCOMPARE(values.size(), starts[0].sites.size());
    const auto evals = eventsOf<event::Eval>(run);
    QCOMPARE(evals.size(), size_t{4});
    QVERIFY(!evals[0].best);
    const auto ends = eventsOf<event::End>(run);
    QCOMPARE(ends.size(), size_t{1});
    QCOMPARE(ends[0].summary.at("tokens").get<int64_t>(), eventsOf<event::Metrics>(run).back().at.tokens);
    QVERIFY(ends[0].summary.at("values").contains("eval/loss"));
    QCOMPARE(runLiveness(run.path()), Liveness::Finished);
    QVERIFY(std::filesystem::exists(run.adapter() / "adapter_config.json"));
    const auto checkpoints = listCheckpoints(run.path());
    QVERIFY(checkpoints.size() >= 2 && checkpoints.size() <= 3);
    QCOMPARE(checkpoints.front().step, int64_t{12});
  }

  void sameSeedSameBits_data() {
    QTest::addColumn<QString>("method");
    for (const char* name : {"lora", "reflora", "reflora_s", "qlora", "lora_ga", "parallel", "llm_series", "prefix", "loreft", "full"}) QTest::newRow(name) << name;
  }
  void sameSeedSameBits() {
    QFETCH(QString, method);
    Home home;
    std::vector<std::string> change = {"method.name=" + method.toStdString()};
    const RunFolder a = home.run(change), b = home.run(change);
    QVERIFY(!train(a, home).error && !train(b, home).error);
    QCOMPARE(series(a, "train/loss"), series(b, "train/loss"));
    QCOMPARE(series(a, "train/grad_norm"), series(b, "train/grad_norm"));
    const std::string file = method == "full" ? "model/model.safetensors" : "adapter/adapter_model.safetensors";
    QVERIFY(!bytesOf(a.path() / file).empty());
    QVERIFY(bytesOf(a.path() / file) == bytesOf(b.path() / file));
  }

  // Computing in bfloat16 must not round the weights that are trained: they are masters in float32 from the start.
  void fullTrainingKeepsFloat32Masters() {
    Home home;
    const RunFolder run = home.run({"method.name=full", "train.compute_dtype=bf16", "optim.learning_rate=1e-30",
                                    "optim.weight_decay=0", "train.max_steps=2"});
    QVERIFY(!train(run, home).error);
    const auto file = SafetensorsFile::open(run.path() / "model" / "model.safetensors");
    QVERIFY(file.ok());
    const auto weight = (*file)->tensor("model.layers.0.mlp.up_proj.weight");
    QVERIFY(weight.ok());
    QCOMPARE(weight->scalar_type(), at::kFloat);
    QVERIFY(!at::equal(weight->to(at::kBFloat16).to(at::kFloat), *weight));
  }

  void resumeToTheSameBits_data() { sameSeedSameBits_data(); }
  void resumeToTheSameBits() {
    QFETCH(QString, method);
    Home home;
    const std::vector<std::string> change = {"method.name=" + method.toStdString()};
    const RunFolder whole = home.run(change);
    QVERIFY(!train(whole, home).error);
    const RunFolder broken = home.run(change);
    const TrainOutcome first = trainUntil(broken, home, 5, Command::Stop);
    QCOMPARE(first.state, event::RunState::Stopped);
    QVERIFY(first.step >= 5 && first.step < 12);
    const TrainOutcome second = train(broken, home, true);
    QVERIFY2(!second.error, second.error ? second.error->message().c_str() : "");
    QCOMPARE(second.state, event::RunState::Finished);
    QCOMPARE(series(broken, "train/loss"), series(whole, "train/loss"));
    QCOMPARE(series(broken, "factors/balance_gap"), series(whole, "factors/balance_gap"));
    const auto starts = eventsOf<event::Start>(broken);
    QCOMPARE(starts.size(), size_t{2});
    QCOMPARE(starts[1].life, int64_t{2});
    QCOMPARE(starts[1].step, first.step);
    QCOMPARE(eventsOf<event::Rewind>(broken).size(), size_t{1});
    const std::string file = method == "full" ? "model/model.safetensors" : "adapter/adapter_model.safetensors";
    QVERIFY(bytesOf(whole.path() / file) == bytesOf(broken.path() / file));
  }

  // The adapter of a lookup too, also where blocks are computed again.
  void resumesAdaptersOnEmbeddings() {
    Home home;
    const std::vector<std::string> change = {"method.name=reflora", "method.warmup_steps=3",
                                             "method.target_modules=embed_tokens,v_proj",
                                             "train.gradient_checkpointing=true"};
    const RunFolder whole = home.run(change), broken = home.run(change);
    const TrainOutcome outcome = train(whole, home);
    QVERIFY2(!outcome.error, outcome.error ? outcome.error->message().c_str() : "");
    QVERIFY(!trainUntil(broken, home, 5, Command::Stop).error);
    QVERIFY(!train(broken, home, true).error);
    QCOMPARE(series(broken, "train/loss"), series(whole, "train/loss"));
    const std::string file = "adapter/adapter_model.safetensors";
    QVERIFY(bytesOf(whole.path() / file) == bytesOf(broken.path() / file));
    const auto sites = eventsOf<event::Start>(whole)[0].sites;
    QVERIFY(std::any_of(sites.begin(), sites.end(), [](const auto& site) { return site.kind == "embed_tokens"; }));
  }

  // More plain steps than the run has: a tenth of the run instead, and the log says so.
  void methodWarmupLongerThanTheRun() {
    Home home;
    const RunFolder asked = home.run({"method.warmup_steps=100"}), taken = home.run({"method.warmup_steps=1"});
    QVERIFY(!train(asked, home).error && !train(taken, home).error);
    QVERIFY(adapterBytes(asked) == adapterBytes(taken));
    const auto said = [](const RunFolder& run) {
      const auto logs = eventsOf<event::Log>(run);
      return std::any_of(logs.begin(), logs.end(), [](const event::Log& log) {
        return log.text == "method.warmup_steps: 100 plain steps would last as long as the run of 12; 1 taken instead";
      });
    };
    QVERIFY(said(asked) && !said(taken));
  }

  void resumePassesOverADamagedCheckpoint() {
    Home home;
    const RunFolder whole = home.run();
    QVERIFY(!train(whole, home).error);
    const RunFolder broken = home.run();
    (void)trainUntil(broken, home, 8, Command::Stop);
    const auto checkpoints = listCheckpoints(broken.path());
    QVERIFY(checkpoints.size() >= 2);
    std::filesystem::resize_file(checkpoints[0].path / "optimizer.safetensors", 40);
    QVERIFY(!train(broken, home, true).error);
    QCOMPARE(eventsOf<event::Start>(broken).back().step, checkpoints[1].step);
    bool warned = false;
    for (const event::Log& log : eventsOf<event::Log>(broken)) warned |= log.level == "warning" && log.text.find("passed over") != std::string::npos;
    QVERIFY(warned);
    QVERIFY(adapterBytes(whole) == adapterBytes(broken));
  }

  void branchGoesOnElsewhere() {
    Home home;
    const RunFolder parent = home.run();
    QVERIFY(!train(parent, home).error);
    const int64_t at = listCheckpoints(parent.path()).back().step;
    RunConfig config = *parent.config();
    QVERIFY(config.set("name", "child"));
    std::vector<Error> warnings;
    const auto child = branchRun(parent, home.places, config, at, warnings);
    QVERIFY2(child, child ? "" : child.error().message().c_str());
    QVERIFY(!train(*child, home, true).error);
    QCOMPARE(child->info()->parent, parent.id());
    QCOMPARE(child->info()->parentStep, at);
    QCOMPARE(eventsOf<event::Start>(*child).front().step, at);
    QVERIFY(adapterBytes(parent) == adapterBytes(*child));  // nothing was changed, so nothing differs
    QVERIFY(!branchRun(parent, home.places, config, 5, warnings));
  }

  void pauseIsAcknowledgedAndHolds() {
    Home home;
    const RunFolder run = home.run({"train.max_steps=400", "train.eval_every=0", "train.checkpoint_every=0"});
    TrainOutcome outcome;
    std::thread trainer([&] { outcome = train(run, home); });
    const auto wait = [&](auto condition) {
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
      while (!condition() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return condition();
    };
    const auto latest = [&] {
      const auto losses = series(run, "train/loss");
      return losses.empty() ? int64_t{0} : losses.rbegin()->first;
    };
    bool ok = wait([&] { return latest() >= 3; });
    const auto asked = std::chrono::steady_clock::now();
    const auto id = ControlWriter::send(run.path(), Command::Pause);
    ok = ok && wait([&] {
      for (const auto& done : eventsOf<event::CommandDone>(run))
        if (done.id == *id) return true;
      return false;
    });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - asked).count();
    ok = ok && wait([&] { return eventsOf<event::State>(run).back().state == event::RunState::Paused; });
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const int64_t held = latest();
    (void)ControlWriter::send(run.path(), Command::Checkpoint);  // served while paused
    ok = ok && wait([&] { return !listCheckpoints(run.path()).empty(); });
    const bool still = latest() == held;
    (void)ControlWriter::send(run.path(), Command::Continue);
    ok = ok && wait([&] { return latest() > held; });
    (void)ControlWriter::send(run.path(), Command::Sample);
    ok = ok && wait([&] { return !eventsOf<event::Sample>(run).empty(); });
    const size_t evaluations = eventsOf<event::Eval>(run).size();
    (void)ControlWriter::send(run.path(), Command::Evaluate);
    ok = ok && wait([&] { return eventsOf<event::Eval>(run).size() > evaluations; });
    (void)ControlWriter::send(run.path(), Command::Stop);
    trainer.join();
    QVERIFY(ok);
    QVERIFY2(seconds < 1.0, qPrintable(QString::number(seconds)));
    QVERIFY(still);
    QCOMPARE(outcome.state, event::RunState::Stopped);
    QVERIFY(std::filesystem::exists(run.adapter() / "adapter_model.safetensors"));
  }

  void terminationSignalCheckpointsAndLeaves() {
    Home home;
    const RunFolder run = home.run({"train.max_steps=400", "train.eval_every=1000", "train.checkpoint_every=1000"});
    TrainOptions options;
    bool sent = false;
    options.progress = [&](const TrainProgress& progress) {
      if (!sent && progress.step >= 2) {
        sent = true;
        std::raise(SIGTERM);
      }
    };
    const TrainOutcome outcome = trainRun(run, home.places, options);
    QCOMPARE(outcome.state, event::RunState::Interrupted);
    QCOMPARE(outcome.exitCode(), 5);
    QCOMPARE(listCheckpoints(run.path()).front().step, outcome.step);
    QCOMPARE(eventsOf<event::Checkpoint>(run).back().reason, event::CheckpointReason::Signal);
    QCOMPARE(runLiveness(run.path()), Liveness::Finished);
  }

  void earlyStopping() {
    Home home;
    // A rate of nearly nothing: no evaluation is better than the first one by more than chance.
    const RunFolder run = home.run({"optim.learning_rate=1e-12", "train.eval_every=1", "train.early_stopping=2", "train.max_steps=40",
                                    "method.name=lora", "method.dropout=0", "train.compute_dtype=bf16"});
    const TrainOutcome outcome = train(run, home);
    QCOMPARE(outcome.state, event::RunState::Finished);
    QVERIFY(outcome.step < 40);
    QVERIFY(outcome.step >= 3);
  }

  void explodingRunStopsWithItsLastCheckpoint() {
    Home home;
    const RunFolder run = home.run({"method.name=full", "optim.name=sgd", "optim.learning_rate=1000", "optim.max_grad_norm=0",
                                    "optim.weight_decay=1000", "train.checkpoint_every=1", "train.eval_every=0", "train.max_steps=60"});
    const TrainOutcome outcome = train(run, home);
    QCOMPARE(outcome.state, event::RunState::Failed);
    QVERIFY(outcome.error.has_value());
    QCOMPARE(outcome.exitCode(), 4);
    QVERIFY2(outcome.error->hint.find("checkpoints/step-") != std::string::npos, outcome.error->message().c_str());
    QCOMPARE(eventsOf<event::Failure>(run).size(), size_t{1});
    for (const auto& info : listCheckpoints(run.path())) {
      const Result<CheckpointContents> contents = readCheckpoint(info.path);
      QVERIFY(contents);
      for (const auto& [name, tensor] : contents->trainable) QVERIFY2(at::isfinite(tensor).all().item<bool>(), name.c_str());
    }
  }

  void mistakesEndTheRunWithARecord() {
    Home home;
    const RunFolder run = home.run();
    std::filesystem::path data = home.places.home / "empty.jsonl";
    QVERIFY(writeFileAtomically(data, ""));
    RunConfig config = home.config({"data.train=" + data.string()});
    const RunFolder empty = home.newRun(config);
    const TrainOutcome outcome = train(empty, home);
    QCOMPARE(outcome.state, event::RunState::Failed);
    QCOMPARE(outcome.exitCode(), 3);
    QCOMPARE(eventsOf<event::Failure>(empty).size(), size_t{1});
    QCOMPARE(eventsOf<event::End>(empty).size(), size_t{1});
    QCOMPARE(runLiveness(empty.path()), Liveness::Finished);
  }

  void packedEqualsPadded() {
    // The same sequences one by one, and packed end to end: the same mean loss to rounding.
    Home home;
    Result<TrainingSetup> setup = setUpTraining(home.config({"train.compute_dtype=fp32", "method.dropout=0"}), home.places);
    QVERIFY2(setup, setup ? "" : setup.error().message().c_str());
    std::vector<uint32_t> all = {0, 1, 2, 3, 4, 5};
    const PackedBatch packed = packExamples(setup->data.train, all, setup->task);
    ForwardContext context;
    const double together = setup->model->loss(packed, context).item<double>();
    double sum = 0;
    int64_t labels = 0;
    for (uint32_t index : all) {
      const PackedBatch single = packExamples(setup->data.train, std::vector<uint32_t>{index}, setup->task);
      ForwardContext own;
      sum += setup->model->loss(single, own, 1.0).item<double>();
      labels += countLabels(single);
    }
    QCOMPARE(labels, countLabels(packed));
    QVERIFY2(std::abs(together - sum / static_cast<double>(labels)) < 1e-5, qPrintable(QString::number(together - sum / static_cast<double>(labels))));
  }

  void trainedModelAnswersAsTheRunDid() {
    Home home;
    const RunFolder run = home.run();
    QVERIFY(!train(run, home).error);
    TrainedModelOptions options;
    options.data = true;
    Result<TrainedModel> trained = loadRunModel(run, home.places, options);
    QVERIFY2(trained, trained ? "" : trained.error().message().c_str());
    const auto result = evaluate(*trained->setup.model, trained->setup.data.eval, trained->setup.task, {});
    QVERIFY(result && *result);
    const double told = eventsOf<event::End>(run).front().summary.at("values").at("eval/loss").get<double>();
    QVERIFY(std::abs((*result)->values.at("loss") - told) < 1e-6);
  }

  void estimateCountsWhatTrains() {
    Home home;
    std::vector<std::vector<std::string>> changes = {{"method.name=full", "model.path=starter:model", "model.random_init=false", "method.train_modules=up_proj,norm"},
                                                     {"method.name=full", "model.path=starter:model", "model.random_init=false", "method.layers=1"},
                                                     {"method.name=full", "method.train_modules=all-linear"},
                                                     {"method.name=lora", "method.modules_to_save=embed_tokens,norm"},
                                                     {"method.name=parallel", "method.modules_to_save=norm"},
                                                     {"method.name=prefix", "method.prefix_projection=true"},
                                                     {"method.name=loreft", "method.share_weights=false", "method.layers=0,2"},
                                                     {"method.name=dora", "method.target_modules=embed_tokens,q_proj"},
                                                     {"method.name=qlora", "method.target_modules=embed_tokens,q_proj"}};
    for (const char* method : {"lora", "qlora", "houlsby", "pfeiffer", "parallel", "llm_series", "llm_parallel", "prefix", "loreft", "direft", "full"})
      changes.push_back({std::string("method.name=") + method});
    for (const std::vector<std::string>& change : changes) {
      const RunConfig config = home.config(change);
      Result<RunEstimate> estimate = estimateRun(config, home.places, nullptr);
      QVERIFY2(estimate, estimate ? "" : estimate.error().message().c_str());
      Result<TrainingSetup> setup = setUpTraining(config, home.places);
      QVERIFY(setup);
      QCOMPARE(estimate->trainable, setup->trainableCount());
      QCOMPARE(estimate->parameters, setup->parameterCount());
    }
  }
};

QTEST_GUILESS_MAIN(TrainRuns)
#include "runs.moc"
