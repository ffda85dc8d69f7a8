// RefLoRA-S: what a rescaling keeps, and when it happens (METHODS 5).

#include <QtTest/QtTest>

#include <cmath>

#include "core/methods/registry.h"
#include "core/methods/seeded_start.h"
#include "core/optim/registry.h"
#include "tests/support/fake_model.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

struct Rig {
  FakeModel model{{at::kDouble}};
  std::unique_ptr<Method> method;
  std::unique_ptr<Optimizer> optimizer;

  Rig(int64_t warmup, const std::string& optimizerName) {
    MethodSettings s;
    s.name = "reflora_s";
    s.rank = 3;
    s.alpha = 6;
    s.targetModules = {"q_proj", "up_proj"};
    s.options = {{"warmup_steps", warmup}};
    method = std::move(*makeMethod(s));
    if (auto ok = method->attach(model); !ok) qFatal("%s", ok.error().message().c_str());
    OptimizerSettings o;
    o.name = optimizerName;
    o.momentum = 0.9;
    optimizer = std::move(*makeOptimizer(method->trainable(), o));
  }
  void backward() {
    for (const auto& p : method->trainable()) p.tensor.mutable_grad() = at::Tensor();
    ForwardContext context;
    model.loss(fakeBatch(model), context, 0).backward();
  }
};

double sizeOf(const at::Tensor& t) { return t.detach().norm().item<double>(); }
double relative(const at::Tensor& a, const at::Tensor& b) { return sizeOf(a - b) / sizeOf(b); }

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
      rig.backward();
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
      rig.method->afterStep({t, 10, 0.01}, *rig.optimizer);
      const bool rescaled = t + 1 >= 2;
      size_t i = 0;
      for (const auto& pair : rig.method->factorPairs()) {
        const Before& was = before[i++];
        QCOMPARE(at::equal(pair.A.detach(), was.a), !rescaled);
        QVERIFY(relative(pair.B.detach().mm(pair.A.detach()), was.b.mm(was.a)) < 1e-13);
        if (!rescaled) continue;
        QVERIFY(std::abs(sizeOf(pair.A) / sizeOf(pair.B) - 1) < 1e-13);
        const double root = std::sqrt(sizeOf(was.b) / sizeOf(was.a));
        const MomentView a = rig.optimizer->moments(pair.A), b = rig.optimizer->moments(pair.B);
        QVERIFY(relative(a.first, was.firstA / root) < 1e-13);
        if (was.ratioA.defined()) {
          // m/√v is unchanged (A's m was 0 as long as B was).
          QVERIFY((a.first / a.second.sqrt() - was.ratioA).abs().max().item<double>() < 1e-12);
          QVERIFY((b.first / b.second.sqrt() - was.ratioB).abs().max().item<double>() < 1e-12);
        }
      }
    }
  }

  void theSetUpCallOnlyCountsDuringWarmup() {
    Rig rig(1, "adamw");
    const at::Tensor before = rig.method->factorPairs().front().A.detach().clone();
    rig.method->onStart(*rig.optimizer);
    QVERIFY(at::equal(rig.method->factorPairs().front().A.detach(), before));
  }

  void warmupZeroBalancesAtSetUpFromARandomStart() {
    FakeModel plain({at::kDouble});
    Rig rig(0, "adamw");
    rig.method->onStart(*rig.optimizer);
    for (const auto& pair : rig.method->factorPairs()) {
      QVERIFY(sizeOf(pair.B) > 0);
      QVERIFY(std::abs(sizeOf(pair.A) / sizeOf(pair.B) - 1) < 1e-13);
    }
    const at::NoGradGuard noGrad;
    ForwardContext context;
    const PackedBatch batch = fakeBatch(plain);
    QVERIFY((plain.logits(batch, context) - rig.model.logits(batch, context)).abs().max().item<double>() < 1e-13);
  }

  void aZeroFactorIsLeftAlone() {
    Rig rig(1, "adamw");  // B = 0 as long as no step was taken
    rig.method->afterStep({0, 10, 0.01}, *rig.optimizer);
    for (const auto& pair : rig.method->factorPairs()) {
      QVERIFY(pair.A.detach().isfinite().all().item<bool>());
      QVERIFY(sizeOf(pair.B) == 0);
    }
  }
};

QTEST_GUILESS_MAIN(RefLoraSMethod)
#include "reflora_s.moc"
