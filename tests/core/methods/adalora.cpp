// AdaLoRA: its budget, its term in the loss, resuming at every step, and files without what was pruned.

#include <QtTest/QtTest>

#include <cmath>

#include "core/methods/peft_format.h"
#include "core/methods/registry.h"
#include "core/methods/rules/adalora.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

constexpr int64_t kSteps = 30, kRank = 6, kTarget = 3;

MethodSettings settings() {
  MethodSettings s = smallSettings(
      "adalora", {{"target_rank", kTarget}, {"initial_share", 0.2}, {"final_share", 0.3}, {"mask_interval", 2}});
  s.rank = kRank;
  s.alpha = 12;
  return s;
}

struct AdaLoraTraining : FakeTraining {
  AdaLoraTraining() : FakeTraining(settings(), {.totalSteps = kSteps}) { start(); }
  // Triplets that are not pruned.
  int64_t alive() const {
    int64_t count = 0;
    for (const auto& p : method->trainable())
      if (p.name.ends_with(".lora_E")) count += p.tensor.detach().ne(0).sum().item<int64_t>();
    return count;
  }
  int64_t sites() const { return static_cast<int64_t>(method->changedSites().size()); }
};

}  // namespace

class AdaLora : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // METHODS 7, and the figures that PEFT's own schedule gives for 20 steps, tinit 4, tfinal 6, every second step.
  void theBudgetFallsByACubic() {
    const AdaLoraSchedule schedule{0.2, 0.3, 2};
    const int64_t expected[] = {24, 24, 24, 24, 20, 18, 16, 14, 13, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12};
    std::vector<int64_t> pruned;
    for (int64_t t = 1; t <= 20; ++t) {
      QCOMPARE(schedule.budget(t, 20, 24, 12), expected[t - 1]);
      if (schedule.prunesAt(t, 20)) pruned.push_back(t);
    }
    QCOMPARE(pruned, (std::vector<int64_t>{6, 8, 10, 12, 14}));
    // Runs too short to measure anything are not pruned to nothing.
    for (int64_t total : {1, 2})
      for (int64_t t = 1; t <= total; ++t) QVERIFY(!(AdaLoraSchedule{0.1, 0.6, 1}.prunesAt(t, total)));
  }

  void asManyStayAsTheBudgetSays() {
    AdaLoraTraining training;
    const AdaLoraSchedule schedule{0.2, 0.3, 2};
    const int64_t first = kRank * training.sites(), last = kTarget * training.sites();
    for (int64_t t = 1; t <= kSteps; ++t) {
      training.step(t - 1);
      if (schedule.prunesAt(t, kSteps)) QCOMPARE(training.alive(), schedule.budget(t, kSteps, first, last));
      if (t <= schedule.initialSteps(kSteps)) QCOMPARE(training.alive(), first);
      if (t >= kSteps - schedule.finalSteps(kSteps)) QCOMPARE(training.alive(), last);
    }
  }

  void theTermInTheLoss() {
    AdaLoraTraining training;
    double sum = 0;
    int64_t count = 0;
    for (const auto& p : training.method->trainable()) {
      const bool a = p.name.find("lora_A") != std::string::npos, b = p.name.find("lora_B") != std::string::npos;
      if (!a && !b) continue;
      const at::Tensor wide = p.tensor.detach().to(at::kDouble), gram = a ? wide.mm(wide.t()) : wide.t().mm(wide);
      sum += (gram - at::eye(kRank, at::kDouble)).norm().item<double>();
      ++count;
    }
    const at::Tensor term = training.method->lossTerm();
    QVERIFY(std::abs(term.item<double>() - 0.5 * sum / static_cast<double>(count)) < 1e-5);
    term.backward();
    for (const auto& p : training.method->trainable()) {
      const bool factor = p.name.find("lora_A") != std::string::npos || p.name.find("lora_B") != std::string::npos;
      QCOMPARE(p.tensor.grad().defined(), factor);
    }
  }

  void resumedAtAnyStepItIsTheSameRun() {
    AdaLoraTraining whole;
    std::vector<FakeCheckpoint> checkpoints;
    for (int64_t t = 0; t < kSteps; ++t) {
      checkpoints.push_back(whole.checkpoint());
      whole.step(t);
    }
    for (int64_t from = 0; from < kSteps; from += 3) {
      AdaLoraTraining resumed;
      QVERIFY(resumed.resume(checkpoints[static_cast<size_t>(from)]).ok());
      resumed.run(from, kSteps);
      QCOMPARE(firstDifference(trainedTensors(*resumed.method), trainedTensors(*whole.method)), std::string());
    }
  }

  void filesLeaveOutWhatWasPruned() {
    AdaLoraTraining training;
    training.run(0, 3);
    const auto config = training.method->adapterConfig(training.model, "base");
    QCOMPARE(config["peft_type"], nlohmann::json("ADALORA"));
    QCOMPARE(config["init_r"], nlohmann::json(kRank));
    QCOMPARE(config["target_r"], nlohmann::json(kTarget));
    QCOMPARE(config["total_step"], nlohmann::json(kSteps));
    QCOMPARE(config["tinit"], nlohmann::json(6));
    QCOMPARE(config["tfinal"], nlohmann::json(9));
    QVERIFY(config["rank_pattern"].is_null());
    training.run(3, kSteps);

    QTemporaryDir dir;
    const std::filesystem::path folder = std::filesystem::path(dir.path().toStdString()) / "adapter";
    QVERIFY(saveAdapterFolder(folder, *training.method, training.model, "base").ok());
    const auto pattern = training.method->adapterConfig(training.model, "base")["rank_pattern"];
    QCOMPARE(static_cast<int64_t>(pattern.size()), training.sites());
    int64_t kept = 0;
    for (const auto& [name, mask] : pattern.items()) {
      QVERIFY(name.ends_with(".lora_E"));
      QCOMPARE(static_cast<int64_t>(mask.size()), kRank);
      for (const auto& entry : mask) kept += entry.get<bool>();
    }
    QCOMPARE(kept, kTarget * training.sites());
    int64_t rows = 0;
    const auto written = copiesOf(training.method->adapterTensors());
    for (const auto& [name, tensor] : written)
      if (name.ends_with(".lora_E")) rows += tensor.size(0);
    QCOMPARE(rows, kept);

    FakeModel model;
    auto loaded = loadAdapterFolder(folder, model);
    QVERIFY2(loaded.ok(), loaded.ok() ? "" : loaded.error().message().c_str());
    QVERIFY(worstDifference(logitsOf(model), training.logits()) < 1e-6);
    // And out again as it came in; merged it is the same function.
    QCOMPARE(firstDifference((*loaded)->adapterTensors(), written), std::string());
    QVERIFY((*loaded)->merge(model).ok());
    QVERIFY(worstDifference(logitsOf(model), training.logits()) < 1e-5);
  }

  void refusals_data() {
    QTest::addColumn<QString>("options");
    QTest::addColumn<QString>("where");
    QTest::newRow("target above the rank") << R"({"target_rank":7})" << "method.target_rank";
    QTest::newRow("no steps left") << R"({"initial_share":0.6,"final_share":0.4})" << "method.final_share";
    QTest::newRow("another start") << R"({"init":"kaiming"})" << "method.init";
    QTest::newRow("a rule for pairs") << R"({"rule":"reflora"})" << "method.rule";
    QTest::newRow("another form") << R"({"form":"dora","init":"kaiming"})" << "method.rule";
    QTest::newRow("root scaling") << R"({"scaling":"root_rank"})" << "method.scaling";
    QTest::newRow("negative weight") << R"({"orthogonality":-1})" << "method.orthogonality";
  }
  void refusals() {
    QFETCH(QString, options);
    QFETCH(QString, where);
    MethodSettings s = settings();
    s.options.update(nlohmann::json::parse(options.toStdString()));
    FakeModel model;
    auto ok = (*makeMethod(s))->attach(model);
    QVERIFY(!ok.ok());
    QCOMPARE(ok.error().where, where.toStdString());
    QVERIFY(!ok.error().hint.empty());
  }
};

QTEST_GUILESS_MAIN(AdaLora)
#include "adalora.moc"
