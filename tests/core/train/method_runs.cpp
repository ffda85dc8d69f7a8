// Runs whose method or optimizer needs more than a step: a start that is sought in the data and kept, moments that can be
// paged out, a rate that follows from the run's length.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <QtTest/QtTest>

#include <set>

#include "core/config/step_size.h"
#include "core/train/estimate.h"
#include "core/train/trained_model.h"
#include "tests/core/train/train_until.h"

using namespace rankscope;
using rankscope::test::adapterBytes;
using rankscope::test::eventsOf;
using rankscope::test::Home;
using rankscope::test::series;
using rankscope::test::train;
using rankscope::test::trainUntil;

class MethodRuns : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // LoRA-GA's gradients: told of while loading, a stop is heard in between, and what was found serves the next run of the
  // same model and data. They disturb nothing: a run from the cache is the same to the bit.
  void aStartIsSoughtOnceAndCanBeLeft() {
    Home home;
    const std::vector<std::string> change = {"method.name=lora_ga", "method.start_batches=6"};
    const RunFolder left = home.run(change), first = home.run(change), second = home.run(change);
    TrainOptions options;
    options.progress = [&, sent = false](const TrainProgress& progress) mutable {
      if (sent || progress.what != "preparing the method") return;
      sent = true;
      (void)ControlWriter::send(left.path(), Command::Stop);
      (void)QTest::qWaitFor([&] { return !eventsOf<event::CommandDone>(left).empty(); }, 20000);
    };
    const TrainOutcome stopped = trainRun(left, home.places, options);
    QVERIFY(!stopped.error);
    QCOMPARE(stopped.state, event::RunState::Stopped);
    QCOMPARE(stopped.step, int64_t{0});
    QVERIFY(eventsOf<event::Start>(left).empty() && !std::filesystem::exists(left.adapter()));
    QVERIFY(!train(left, home, true).error);
    QVERIFY(!train(first, home).error);
    const auto cached = home.places.cache / "starts";
    QCOMPARE(std::distance(std::filesystem::directory_iterator(cached), {}), 1);
    QVERIFY(adapterBytes(left) == adapterBytes(first));
    // What the gradients need is told before the start, where that is the fullest moment.
    const RunConfig small = home.config({"method.name=lora_ga", "train.batch_size=1", "data.max_length=4",
                                         "method.start_batch_size=1", "method.target_modules=all-linear", "train.spectrum=off"});
    const auto estimate = estimateRun(small, home.places, nullptr);
    QVERIFY(estimate.ok());
    QCOMPARE(estimate->memory.moment, std::string("seeking the start"));
    const auto all = home.run({"method.name=lora_ga", "method.start_batches=1", "method.target_modules=all-linear", "train.max_steps=1"});
    QVERIFY(!train(all, home).error);
    int64_t weights = 0;
    for (const event::SiteInfo& site : eventsOf<event::Start>(all).at(0).sites) weights += site.out * site.in;
    QCOMPARE(estimate->memory.gradients, 4 * weights);
    // An adapter without its checkpoints carries its start: nothing is sought, and no data is read.
    std::filesystem::remove_all(cached);
    std::filesystem::remove_all(first.checkpoints());
    QVERIFY(loadRunModel(first, home.places, {}).ok());
    QVERIFY(!std::filesystem::exists(cached));
    QVERIFY(!train(second, home).error);
    QVERIFY(adapterBytes(second) == adapterBytes(first));
    QCOMPARE(series(second, "train/loss"), series(first, "train/loss"));
  }

  // The constant step of MeFT's Algorithm 1: plain SGD at the rate that the formula gives, nothing else.
  void meftsStepIsPlainSgd() {
    Home home;
    const std::vector<std::string> common = {"method.name=lora", "method.rank=4"};
    auto meft = common, sgd = common;
    meft.insert(meft.end(), {"optim.name=meft", "optim.meft_gap=0.5", "optim.meft_inputs=3"});
    const double rate = meftStep({.gap = 0.5, .inputs = 3}, 4, 12);
    sgd.insert(sgd.end(), {"optim.name=sgd", fmt::format("optim.learning_rate={}", rate), "optim.schedule=constant",
                           "optim.weight_decay=0", "optim.max_grad_norm=0"});
    const RunFolder a = home.run(meft), b = home.run(sgd);
    QVERIFY(!train(a, home).error && !train(b, home).error);
    for (const auto& [step, value] : series(a, "train/learning_rate")) QCOMPARE(value, rate);
    QVERIFY(adapterBytes(a) == adapterBytes(b));
    const auto estimate = estimateRun(*a.config(), home.places, nullptr);
    QVERIFY(estimate.ok() && estimate->learningRate);
    QCOMPARE(*estimate->learningRate, rate);
  }

  // QLoRA's paged moments: the same bits, resumed or not, and nothing is left in the run's folder.
  void pagedMomentsChangeNothing() {
    Home home;
    const RunFolder plain = home.run(), paged = home.run({"optim.paged=true"}), broken = home.run({"optim.paged=true"});
    QVERIFY(!train(plain, home).error && !train(paged, home).error);
    QVERIFY(adapterBytes(plain) == adapterBytes(paged));
    QCOMPARE(trainUntil(broken, home, 4, Command::Stop).state, event::RunState::Stopped);
    QVERIFY(!train(broken, home, true).error);
    QVERIFY(adapterBytes(plain) == adapterBytes(broken));
    const auto names = [](const RunFolder& run) {
      std::set<std::string> found;
      for (const auto& entry : std::filesystem::directory_iterator(run.path())) found.insert(entry.path().filename());
      return found;
    };
    QVERIFY(names(plain) == names(paged));
    const auto one = estimateRun(*plain.config(), home.places, nullptr), two = estimateRun(*paged.config(), home.places, nullptr);
    QVERIFY(one.ok() && two.ok());
    QCOMPARE(one->memory.pageable, int64_t{0});
    QCOMPARE(two->memory.pageable, 8 * two->trainable);
    QCOMPARE(one->memory.total, two->memory.total);
  }
};

QTEST_GUILESS_MAIN(MethodRuns)
#include "method_runs.moc"
