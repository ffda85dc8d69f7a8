// RefLoRA's invariants (METHODS 4) on the method itself, with plain SGD on ½‖s B A − M‖² in float64.

#include <QtTest/QtTest>

#include <cmath>

#include "core/methods/registry.h"
#include "core/methods/rules/reflora.h"
#include "kernels/reflora_ops.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

constexpr const char* kSite = "model.layers.0.mlp.up_proj";  // [20, 12]

struct Rig : FakeTraining {
  FactorPair pair;

  Rig(const std::string& name, int64_t warmup, int64_t interval)
      : FakeTraining(smallSettings(name, {{"warmup_steps", warmup}, {"interval", interval}}, {kSite}),
                     {.dtype = at::kDouble, .optimizer = {.name = "sgd"}, .learningRate = 2e-3, .maxGradNorm = 0}),
        pair(method->factorPairs().front()) {}
  void set(const at::Tensor& a, const at::Tensor& b) {
    const at::NoGradGuard noGrad;
    pair.A.copy_(a);
    pair.B.copy_(b);
  }
  void stepTo(const at::Tensor& target, int64_t t) {
    for (const auto& p : method->trainable()) p.tensor.mutable_grad() = at::Tensor();
    (0.5 * (pair.scaling * pair.B.mm(pair.A) - target).square().sum()).backward();
    update(t);
  }
  at::Tensor product() const { return pair.B.detach().mm(pair.A.detach()); }
};

}  // namespace

class RefLoraMethod : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void sgdTrajectoryDoesNotSeeTheFactorisation_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("invariant");
    QTest::newRow("reflora") << "reflora" << true;
    QTest::newRow("lora, which does see it") << "lora" << false;
  }
  void sgdTrajectoryDoesNotSeeTheFactorisation() {
    QFETCH(QString, name);
    QFETCH(bool, invariant);
    const at::Tensor a = normalTensor({3, 12}, "a"), b = normalTensor({20, 3}, "b");
    const at::Tensor target = normalTensor({20, 12}, "m");
    const at::Tensor r = normalTensor({3, 3}, "r") + 3 * at::eye(3, at::kDouble);
    Rig one(name.toStdString(), 1, 1), two(name.toStdString(), 1, 1);
    one.set(a, b);
    two.set(r.mm(a), b.mm(at::inverse(r)));
    for (int64_t t = 1; t <= 15; ++t) {
      one.stepTo(target, t);
      two.stepTo(target, t);
    }
    const double difference = relativeDifference(two.product(), one.product());
    QVERIFY2(invariant ? difference < 1e-12 : difference > 1e-3, fmt::format("{}", difference).c_str());
  }

  void aBalancedStartStepsAsLora() {
    const auto [a, b] = refloraRefactor(normalTensor({3, 12}, "a"), normalTensor({20, 3}, "b"));
    const at::Tensor target = normalTensor({20, 12}, "m");
    Rig reflora("reflora", 1, 1), lora("lora", 1, 1);
    reflora.set(a, b);
    lora.set(a, b);
    reflora.stepTo(target, 1);
    lora.stepTo(target, 1);
    QVERIFY(relativeDifference(reflora.pair.A.detach(), lora.pair.A.detach()) < 1e-12);
    QVERIFY(relativeDifference(reflora.pair.B.detach(), lora.pair.B.detach()) < 1e-12);
  }

  void warmupAndIntervalDecideWhichStepsAreConditioned() {
    const at::Tensor a = normalTensor({3, 12}, "a"), b = normalTensor({20, 3}, "b");
    const at::Tensor target = normalTensor({20, 12}, "m");
    for (int64_t t = 0; t < 9; ++t) {
      Rig reflora("reflora", 3, 2), lora("lora", 3, 2);
      reflora.set(a, b);
      lora.set(a, b);
      reflora.stepTo(target, t);
      lora.stepTo(target, t);
      const bool plain = at::equal(reflora.pair.A.detach(), lora.pair.A.detach());
      QCOMPARE(plain, t < 3 || (t - 3) % 2 != 0);
    }
  }

  void warmupZeroStartsFromRandomFactorsAndTheSameFunction() {
    FakeModel plain({at::kDouble});
    Rig rig("reflora", 0, 1);
    QVERIFY(rig.pair.B.detach().abs().max().item<double>() > 0);
    QVERIFY(rig.pair.B.detach().abs().max().item<double>() <= 1 / std::sqrt(3.0));
    QVERIFY(worstDifference(logitsOf(plain), rig.logits()) < 1e-13);
    QVERIFY(at::equal(rig.method->originalWeight(*rig.pair.site), plain.site(kSite).weight));
    QVERIFY(relativeDifference(rig.pair.site->weight, plain.site(kSite).weight) > 0.01);
  }

  void stateOfARandomStartIsRestored() {
    Rig first("reflora", 0, 1);
    MethodSettings other = first.method->settings();
    other.seed = 77;  // another draw
    FakeModel model({at::kDouble});
    auto second = attached(model, other);
    QVERIFY(!at::equal(model.site(kSite).weight, first.pair.site->weight));
    QVERIFY(second->loadState(first.method->state()).ok());
    QVERIFY(at::equal(model.site(kSite).weight, first.pair.site->weight));
    QVERIFY(!second->loadState({}).ok());
  }

  void refactoringBalancesAndKeepsTheProduct() {
    for (auto dtype : {at::kFloat, at::kDouble}) {
      const at::Tensor a = normalTensor({5, 30}, "a", 0.01, dtype), b = normalTensor({40, 5}, "b", 3, dtype);
      const auto [newA, newB] = refloraRefactor(a, b);
      const double tolerance = dtype == at::kFloat ? 1e-5 : 1e-12;
      QVERIFY(relativeDifference(newB.mm(newA), b.mm(a)) < tolerance);
      QVERIFY(relativeDifference(newA.mm(newA.t()), newB.t().mm(newB)) < tolerance);
    }
  }

  void badOptionsAreRefused() {
    for (const auto& [key, value] :
         {std::pair<std::string, nlohmann::json>{"warmup_steps", -1}, {"interval", 0}, {"interval", "x"}}) {
      MethodSettings s;
      s.name = "reflora";
      s.targetModules = {"q_proj"};
      s.options[key] = value;
      FakeModel model;
      auto method = makeMethod(s);
      auto ok = (*method)->attach(model);
      QVERIFY(!ok.ok());
      QCOMPARE(ok.error().where, "method." + key);
      QVERIFY(model.site("model.layers.0.self_attn.q_proj").adapter == nullptr);
    }
  }
};

QTEST_GUILESS_MAIN(RefLoraMethod)
#include "reflora.moc"
