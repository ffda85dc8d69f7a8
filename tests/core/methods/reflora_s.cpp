// RefLoRA-S: what a rescaling keeps, and when it happens (METHODS 5).

#include <QtTest/QtTest>

#include <cmath>

#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

struct Rig : FakeTraining {
  Rig(int64_t warmup, const std::string& optimizerName)
      : FakeTraining(smallSettings("reflora_s", {{"warmup_steps", warmup}}, {"q_proj", "up_proj"}),
                     {.dtype = at::kDouble, .optimizer = {.name = optimizerName, .momentum = 0.9}}) {}
};

}  // namespace

class RefLoraSMethod : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void aRescaleKeepsTheProductAndTheSizeOfAdamsStep_data() {
    QTest::addColumn<QString>("optimizer");
    QTest::newRow("adamw") << "adamw";
    QTest::newRow("sgd") << "sgd";
  }
  void aRescaleKeepsTheProductAndTheSizeOfAdamsStep() {
    QFETCH(QString, optimizer);
    Rig rig(2, optimizer.toStdString());
    for (int64_t t = 0; t < 4; ++t) {
      rig.backward(t);
      rig.optimizer->step(0.01);
      struct Before {
        at::Tensor a, b, ratioA, ratioB, firstA;
      };
      std::vector<Before> before;
      for (const auto& pair : rig.method->factorPairs()) {
        const MomentView a = rig.optimizer->moments(pair.A), b = rig.optimizer->moments(pair.B);
        before.push_back({pair.A.detach().clone(), pair.B.detach().clone(), {}, {}, a.first.clone()});
        if (a.second.defined()) {
          before.back().ratioA = a.first / a.second.sqrt();
          before.back().ratioB = b.first / b.second.sqrt();
        }
      }
      rig.method->afterStep(rig.infoOf(t), *rig.optimizer);
      const bool rescaled = t + 1 >= 2;
      size_t i = 0;
      for (const auto& pair : rig.method->factorPairs()) {
        const Before& was = before[i++];
        QCOMPARE(at::equal(pair.A.detach(), was.a), !rescaled);
        QVERIFY(relativeDifference(pair.B.detach().mm(pair.A.detach()), was.b.mm(was.a)) < 1e-13);
        if (!rescaled) continue;
        QVERIFY(std::abs(sizeOf(pair.A) / sizeOf(pair.B) - 1) < 1e-13);
        const double root = std::sqrt(sizeOf(was.b) / sizeOf(was.a));
        const MomentView a = rig.optimizer->moments(pair.A), b = rig.optimizer->moments(pair.B);
        QVERIFY(relativeDifference(a.first, was.firstA / root) < 1e-13);
        if (was.ratioA.defined()) {
          // m/√v is unchanged (A's m was 0 as long as B was).
          QVERIFY(worstDifference(a.first / a.second.sqrt(), was.ratioA) < 1e-12);
          QVERIFY(worstDifference(b.first / b.second.sqrt(), was.ratioB) < 1e-12);
        }
      }
    }
  }

  void theSetUpCallOnlyCountsDuringWarmup() {
    Rig rig(1, "adamw");
    const at::Tensor before = rig.method->factorPairs().front().A.detach().clone();
    rig.start();
    QVERIFY(at::equal(rig.method->factorPairs().front().A.detach(), before));
  }

  void warmupZeroBalancesAtSetUpFromARandomStart() {
    FakeModel plain({at::kDouble});
    Rig rig(0, "adamw");
    rig.start();
    for (const auto& pair : rig.method->factorPairs()) {
      QVERIFY(sizeOf(pair.B) > 0);
      QVERIFY(std::abs(sizeOf(pair.A) / sizeOf(pair.B) - 1) < 1e-13);
    }
    QVERIFY(worstDifference(logitsOf(plain), rig.logits()) < 1e-13);
  }

  void aZeroFactorIsLeftAlone() {
    Rig rig(1, "adamw");  // B = 0 as long as no step was taken
    rig.method->afterStep(rig.infoOf(0), *rig.optimizer);
    for (const auto& pair : rig.method->factorPairs()) {
      QVERIFY(pair.A.detach().isfinite().all().item<bool>());
      QVERIFY(sizeOf(pair.B) == 0);
    }
  }
};

QTEST_GUILESS_MAIN(RefLoraSMethod)
#include "reflora_s.moc"
