// LoRA+ and only-B LoRA: which tensors move, and how fast.

#include <QtTest/QtTest>

#include <cmath>

#include "core/methods/registry.h"
#include "core/optim/registry.h"
#include "tests/support/fake_model.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

MethodSettings settingsOf(const std::string& name, nlohmann::json options = nlohmann::json::object()) {
  MethodSettings s;
  s.name = name;
  s.rank = 3;
  s.alpha = 6;
  s.targetModules = {"q_proj", "down_proj"};
  s.options = std::move(options);
  return s;
}

struct Training {
  FakeModel model{{at::kDouble}};
  std::unique_ptr<Method> method;

  explicit Training(const MethodSettings& settings, int64_t steps = 8) {
    method = std::move(*makeMethod(settings));
    if (auto ok = method->attach(model); !ok) qFatal("%s", ok.error().message().c_str());
    if (steps == 0) return;
    auto optimizer = std::move(*makeOptimizer(method->trainable(), OptimizerSettings{}));
    for (int64_t t = 0; t < steps; ++t) {
      for (const auto& p : method->trainable()) p.tensor.mutable_grad() = at::Tensor();
      ForwardContext context;
      model.loss(fakeBatch(model, static_cast<uint64_t>(t % 2)), context, 0).backward();
      const StepInfo info{t, steps, 0.01};
      method->beforeStep(info, *optimizer);
      optimizer->step(0.01);
      method->afterStep(info, *optimizer);
    }
  }
};

}  // namespace

class Rates : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void bLearnsFasterThanA() {
    MethodSettings s = settingsOf("loraplus", {{"lr_ratio", 5}, {"form", "dora"}});
    s.bias = "all";
    const Training training(s, 0);
    for (const auto& p : training.method->trainable()) {
      const bool fast = p.name.ends_with(".lora_B.weight") || p.tensor.dim() == 1;
      QVERIFY2(p.learningRateScale == (fast ? 5.0 : 1.0), p.name.c_str());
    }
  }

  // METHODS 14: with a ratio of 1 it is LoRA.
  void aRatioOfOneIsLora() {
    const Training plus(settingsOf("loraplus", {{"lr_ratio", 1}})), lora(settingsOf("lora"));
    const auto left = plus.method->trainable(), right = lora.method->trainable();
    QCOMPARE(left.size(), right.size());
    for (size_t i = 0; i < left.size(); ++i) QVERIFY(at::equal(left[i].tensor, right[i].tensor));
  }

  // METHODS 20: A is bit-identical after training, A Aᵀ = I, and the update's singular values are s σ(B).
  void onlyBTrains() {
    const Training before(settingsOf("only_b"), 0), after(settingsOf("only_b"));
    const auto first = before.method->factorPairs(), last = after.method->factorPairs();
    for (size_t i = 0; i < first.size(); ++i) {
      const at::Tensor a = last[i].A.detach(), b = last[i].B.detach();
      QVERIFY(at::equal(a, first[i].A.detach()));
      QVERIFY((a.mm(a.t()) - at::eye(3, at::kDouble)).abs().max().item<double>() < 1e-14);
      QVERIFY(b.norm().item<double>() > 0);
      const at::Tensor update = at::linalg_svdvals(b.mm(a) * last[i].scaling).narrow(0, 0, 3);
      QVERIFY((update - at::linalg_svdvals(b) * last[i].scaling).abs().max().item<double>() < 1e-13);
    }
    for (const auto& p : after.method->trainable()) QVERIFY(p.name.find("lora_A") == std::string::npos);
    QCOMPARE((*findMethod("only_b"))->countAtSite(20, 12, true, 3), int64_t{60});
    // A is in the checkpoint: a run of another seed takes it over.
    MethodSettings other = settingsOf("only_b");
    other.seed = 99;
    Training resumed(other, 0);
    QVERIFY(!at::equal(resumed.method->factorPairs().front().A, last.front().A));
    QVERIFY(resumed.method->loadState(after.method->state()).ok());
    QVERIFY(at::equal(resumed.method->factorPairs().front().A, last.front().A));
  }

  void moreRowsThanInputsAreNotOrthonormal() {
    MethodSettings s = settingsOf("only_b");
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
