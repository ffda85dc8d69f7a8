// LoRA+ and only-B LoRA: which tensors move, and how fast.

#include <QtTest/QtTest>

#include "core/methods/registry.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

struct Trained : FakeTraining {
  explicit Trained(const MethodSettings& settings, int64_t steps = 8) : FakeTraining(settings, {.dtype = at::kDouble}) {
    run(0, steps);
  }
};

}  // namespace

class Rates : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void bLearnsFasterThanA() {
    MethodSettings s = smallSettings("loraplus", {{"lr_ratio", 5}, {"form", "dora"}});
    s.bias = "all";
    const Trained training(s, 0);
    for (const auto& p : training.method->trainable()) {
      const bool fast = p.name.ends_with(".lora_B.weight") || p.tensor.dim() == 1;
      QVERIFY2(p.learningRateScale == (fast ? 5.0 : 1.0), p.name.c_str());
    }
  }

  // METHODS 14: with a ratio of 1 it is LoRA.
  void aRatioOfOneIsLora() {
    const Trained plus(smallSettings("loraplus", {{"lr_ratio", 1}})), lora(smallSettings("lora"));
    QCOMPARE(firstDifference(trainedTensors(*plus.method), trainedTensors(*lora.method)), std::string());
  }

  // METHODS 20: A is bit-identical after training, A Aᵀ = I, and the update's singular values are s σ(B).
  void onlyBTrains() {
    const Trained before(smallSettings("only_b"), 0), after(smallSettings("only_b"));
    const auto first = before.method->factorPairs(), last = after.method->factorPairs();
    for (size_t i = 0; i < first.size(); ++i) {
      const at::Tensor a = last[i].A.detach(), b = last[i].B.detach();
      QVERIFY(at::equal(a, first[i].A.detach()));
      QVERIFY(worstDifference(a.mm(a.t()), at::eye(3, at::kDouble)) < 1e-14);
      QVERIFY(sizeOf(b) > 0);
      const at::Tensor update = at::linalg_svdvals(b.mm(a) * last[i].scaling).narrow(0, 0, 3);
      QVERIFY(worstDifference(update, at::linalg_svdvals(b) * last[i].scaling) < 1e-13);
    }
    for (const auto& p : after.method->trainable()) QVERIFY(p.name.find("lora_A") == std::string::npos);
    QCOMPARE((*findMethod("only_b"))->countAtSite(20, 12, true, 3), int64_t{60});
    // A is in the checkpoint: a run of another seed takes it over.
    MethodSettings other = smallSettings("only_b");
    other.seed = 99;
    Trained resumed(other, 0);
    QVERIFY(!at::equal(resumed.method->factorPairs().front().A, last.front().A));
    QVERIFY(resumed.method->loadState(after.method->state()).ok());
    QVERIFY(at::equal(resumed.method->factorPairs().front().A, last.front().A));
  }

  void moreRowsThanInputsAreNotOrthonormal() {
    MethodSettings s = smallSettings("only_b");
    s.rank = FakeModel::kHidden + 1;
    s.targetModules = {"q_proj"};
    FakeModel model;
    const auto ok = (*makeMethod(s))->attach(model);
    QVERIFY(!ok.ok());
    QCOMPARE(ok.error().where, std::string("method.rank"));
  }
};

QTEST_GUILESS_MAIN(Rates)
#include "rates.moc"
