// Probes against the same measures taken the long way, with B A formed.

#include <QtTest/QtTest>

#include <cmath>

#include "core/methods/factor_probes.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

std::unique_ptr<Method> attachedEverywhere(Model& model, const std::string& name, int warmup) {
  MethodSettings s = smallSettings(name, {{"warmup_steps", warmup}});
  if (name != "full") s.targetModules = {"all-linear"};
  return attached(model, s);
}

bool near(double a, double b, double tolerance = 1e-5) {
  return std::abs(a - b) <= tolerance * std::max(1e-12, std::abs(b));
}

}  // namespace

class FactorProbesTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void factorsTheLongWay_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<int>("warmup");
    QTest::addColumn<int>("dtype");
    for (auto dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
      QTest::addRow("lora %d", static_cast<int>(dtype)) << "lora" << 1 << static_cast<int>(dtype);
      QTest::addRow("reflora warm-up 0 %d", static_cast<int>(dtype)) << "reflora" << 0 << static_cast<int>(dtype);
    }
  }
  void factorsTheLongWay() {
    QFETCH(QString, name);
    QFETCH(int, warmup);
    QFETCH(int, dtype);
    FakeModel model({static_cast<at::ScalarType>(dtype)});
    std::map<std::string, at::Tensor> before;
    for (const auto* site : model.sites()) before[site->name] = site->weight;
    auto method = attachedEverywhere(model, name.toStdString(), warmup);
    const FactorProbes probes(*method);
    disturb(*method, 0.05);
    const FactorStats stats = probes.measure();
    const auto pairs = method->factorPairs();
    QCOMPARE(stats.normA.size(), pairs.size());
    for (size_t i = 0; i < pairs.size(); ++i) {
      const at::Tensor a = pairs[i].A.detach().to(at::kDouble), b = pairs[i].B.detach().to(at::kDouble);
      at::Tensor update = b.mm(a);
      if (pairs[i].startA.defined())
        update = update - pairs[i].startB.to(at::kDouble).mm(pairs[i].startA.to(at::kDouble));
      QVERIFY(near(stats.normA[i], sizeOf(a)));
      QVERIFY(near(stats.normB[i], sizeOf(b)));
      QVERIFY(near(stats.balanceGap[i], sizeOf(a.mm(a.t()) - b.t().mm(b))));
      QVERIFY(near(stats.relativeUpdate[i], sizeOf(update * pairs[i].scaling) / sizeOf(before[pairs[i].site->name])));
    }
  }

  void nothingHasMovedAtTheStart() {
    for (const auto& [name, warmup] : {std::pair{"lora", 1}, std::pair{"reflora", 0}, std::pair{"full", 1}}) {
      FakeModel model;
      auto method = attachedEverywhere(model, name, warmup);
      for (double value : FactorProbes(*method).measure().relativeUpdate) QVERIFY(std::abs(value) < 1e-7);
    }
  }

  void fullFineTuning() {
    for (auto dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
      FakeModel model({dtype});
      std::map<std::string, at::Tensor> before;
      for (const auto* site : model.sites()) before[site->name] = site->weight.to(at::kDouble);
      auto method = attachedEverywhere(model, "full", 1);
      const FactorProbes probes(*method);
      disturb(*method, 0.05);
      const FactorStats stats = probes.measure();
      QVERIFY(stats.normA.empty());
      const auto sites = method->changedSites();
      for (size_t i = 0; i < sites.size(); ++i) {
        const double expected =
            sizeOf(sites[i]->weight.detach().to(at::kDouble) - before[sites[i]->name]) / sizeOf(before[sites[i]->name]);
        QVERIFY(near(stats.relativeUpdate[i], expected));
      }
    }
  }

  void distancesOfLargeTensors() {
    const at::Tensor a = normalTensor({311, 517}, "a", 1, at::kFloat), b = normalTensor({311, 517}, "b", 1, at::kFloat);
    QVERIFY(near(frobeniusNorm(a), sizeOf(a), 1e-12));
    QVERIFY(near(frobeniusDistance(a, b), sizeOf(a.to(at::kDouble) - b.to(at::kDouble)), 1e-6));
    QVERIFY(near(frobeniusDistance(a, b.to(at::kBFloat16)),
                 sizeOf(a.to(at::kDouble) - b.to(at::kBFloat16).to(at::kDouble)), 1e-6));
    QVERIFY(near(frobeniusDistance(a.t(), b.t()), frobeniusDistance(a, b), 1e-6));
  }

  void bands() {
    const Band band = bandOf({5, 1, 3, std::nan(""), 2, 4});
    QCOMPARE(band.median, 3.0);
    QVERIFY(near(band.low, 1.4));
    QVERIFY(near(band.high, 4.6));
    QVERIFY(std::isnan(bandOf({}).median));
    QVERIFY(std::isnan(bandOf({HUGE_VAL}).median));
  }
};

QTEST_GUILESS_MAIN(FactorProbesTest)
#include "factor_probes.moc"
