// What single methods and their options promise beside what all do (properties.cpp): where biases, saved modules and
// dropout act, and which method is another one in disguise.

#include <QtTest/QtTest>

#include <cmath>
#include <limits>
#include <set>

#include "core/methods/registry.h"
#include "core/optim/registry.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

class MethodLaws : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // METHODS 19: every matrix of the layers or only the adapted ones; what trains whole keeps its values.
  void whatIsKeptInFourBits() {
    const auto coded = [](const FakeModel& model) {
      std::set<std::string> kinds;
      for (const LinearSite* site : model.sites())
        if (site->coded.defined()) kinds.insert(site->kind);
      return kinds;
    };
    FakeModel all, adapted, saved;
    const auto everywhere = attached(all, smallSettings("qlora"));
    QCOMPARE(coded(all), (std::set<std::string>{"q_proj", "up_proj", "down_proj"}));
    QCOMPARE(all.parameterCount(), FakeModel().parameterCount());
    const auto few = attached(adapted, smallSettings("qlora", {{"quant_sites", "adapted"}}));
    QCOMPARE(coded(adapted), (std::set<std::string>{"q_proj", "down_proj"}));
    MethodSettings settings = smallSettings("qlora");
    settings.modulesToSave = {"up_proj"};
    const auto method = attached(saved, settings);
    QCOMPARE(coded(saved), (std::set<std::string>{"q_proj", "down_proj"}));
    QVERIFY(at::equal(saved.sites()[1]->weight, FakeModel().sites()[1]->weight));
    std::vector<SiteShape> shapes(3);
    shapes[0].name = "model.layers.0.self_attn.q_proj";
    shapes[1].name = "model.layers.0.mlp.up_proj";
    shapes[2].name = "classifier";
    shapes[0].layer = shapes[1].layer = 0;
    QCOMPARE(everywhere->leftInFile(shapes), (std::set<std::string>{shapes[0].name + ".weight", shapes[1].name + ".weight"}));
    QCOMPARE(few->leftInFile(shapes), (std::set<std::string>{shapes[0].name + ".weight"}));
    FakeModel dense;
    QVERIFY(attached(dense, smallSettings("lora"))->leftInFile(shapes).empty());
  }

  void whatCannotBeKeptInFourBits() {
    FakeModel broken;
    {
      const at::NoGradGuard noGrad;
      broken.parameters().at("model.layers.1.mlp.up_proj.weight")[2][3] = std::numeric_limits<float>::infinity();
    }
    const auto refused = [](Model& model, const MethodSettings& settings) {
      const auto done = (*makeMethod(settings))->attach(model);
      return done ? std::string() : done.error().where;
    };
    QCOMPARE(refused(broken, smallSettings("qlora")), std::string("model.layers.1.mlp.up_proj"));
    FakeModel model;
    for (LinearSite* site : model.sites()) site->layer = -1;  // as in a network without blocks of linear maps
    QCOMPARE(refused(model, smallSettings("qlora")), std::string("method.base"));
    FakeModel sound;
    QCOMPARE(refused(sound, smallSettings("qlora", {{"quant_block", 48}})), std::string("method.quant_block"));
    QCOMPARE(refused(sound, smallSettings("lora", {{"base", "nf3"}})), std::string("method.base"));
  }

  // METHODS 4, 9: the path of B A is the same from (A, B) and (R A, B R⁻¹), for LoRA-RITE under its own step with decay,
  // for RefLoRA under plain SGD. Raw gradients depend on R, so nothing is clipped.
  void theFactoringIsNotSeen_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("optimizer");
    QTest::addColumn<bool>("seen");
    QTest::addRow("LoRA-RITE") << "lora_rite" << "adamw" << false;
    QTest::addRow("RefLoRA, SGD") << "reflora" << "sgd" << false;
    QTest::addRow("LoRA, SGD") << "lora" << "sgd" << true;
  }
  void theFactoringIsNotSeen() {
    QFETCH(QString, name);
    QFETCH(QString, optimizer);
    QFETCH(bool, seen);
    const MethodSettings settings = smallSettings(name.toStdString(), {{"init", "redraw"}, {"warmup_steps", 0}});
    FakeTrainingOptions options{.dtype = at::kDouble, .maxGradNorm = 0};
    options.optimizer.name = optimizer.toStdString();
    options.optimizer.weightDecay = optimizer == "adamw" ? 0.05 : 0;
    FakeTraining one(settings, options), two(settings, options);
    for (FakeTraining* training : {&one, &two}) training->start();
    {
      const at::NoGradGuard noGrad;
      for (FactorPair pair : two.method->factorPairs()) {
        const int64_t rank = pair.A.size(0);
        const at::Tensor r = normalTensor({rank, rank}, pair.site->name) + 2 * at::eye(rank, at::kDouble);
        pair.A.copy_(r.mm(pair.A));
        pair.B.copy_(pair.B.mm(at::linalg_inv(r)));
      }
    }
    QVERIFY(worstDifference(one.logits(), two.logits()) < 1e-12);
    one.run(0, 15);
    two.run(0, 15);
    const double apart = worstDifference(one.logits(), two.logits());
    QVERIFY2(seen ? apart > 1e-6 : apart < 1e-9, fmt::format("{}", apart).c_str());
  }

  void biasesTrainWhereAsked() {
    for (const auto& [bias, expected] : {std::pair{"none", 0}, std::pair{"lora_only", 2}, std::pair{"all", 2}}) {
      MethodSettings s = smallSettings("lora");
      s.bias = bias;
      FakeTraining training(s);
      int count = 0;
      for (const auto& p : training.method->trainable())
        if (p.name.find("q_proj.bias") != std::string::npos) {
          ++count;
          QVERIFY(!p.decay);
        }
      QCOMPARE(count, expected);
      training.run(0, 2);
    }
    MethodSettings elsewhere = smallSettings("lora");
    elsewhere.targetModules = {"up_proj"};
    elsewhere.bias = "lora_only";  // up_proj has none
    FakeTraining training(elsewhere);
    for (const auto& p : training.method->trainable()) QVERIFY(p.name.find("q_proj") == std::string::npos);
  }

  void savedModulesTrainWhole() {
    MethodSettings s = smallSettings("lora");
    s.modulesToSave = {"embed_tokens", "input_layernorm"};
    FakeTraining training(s, {.dtype = at::kBFloat16});
    int count = 0;
    for (const auto& p : training.method->trainable())
      if (p.name.find("embed_tokens") != std::string::npos || p.name.find("input_layernorm") != std::string::npos)
        ++count;
    QCOMPARE(count, 3);
    training.run(0, 2);
    for (const auto& [modules, where] : {std::pair<const char*, const char*>{"nowhere", "method.modules_to_save"},
                                         {"q_proj", "method.modules_to_save"}}) {
      MethodSettings wrong = smallSettings("lora");
      wrong.modulesToSave = {modules};
      FakeModel model;
      auto ok = (*makeMethod(wrong))->attach(model);
      QVERIFY(!ok.ok());
      QCOMPARE(ok.error().where, std::string(where));
    }
  }

  void dropoutActsOnTheAdapterAndOnlyInTraining() {
    MethodSettings s = smallSettings("lora");
    s.dropout = 0.5;
    FakeTraining training(s);
    const PackedBatch batch = fakeBatch(training.model);
    auto logits = [&](bool train, uint64_t seed) {
      const at::NoGradGuard noGrad;
      ForwardContext context;
      context.training = train;
      context.dropoutSeed = seed;
      return training.model.logits(batch, context);
    };
    // With B = 0 the adapter contributes nothing, dropped or not: dropout does not touch the base path.
    QVERIFY(at::equal(logits(true, 1), logits(false, 1)));
    training.run(0, 3);
    QVERIFY(!at::equal(logits(true, 1), logits(false, 1)));
    QVERIFY(!at::equal(logits(true, 1), logits(true, 2)));
    QVERIFY(at::equal(logits(true, 1), logits(true, 1)));
    QVERIFY(at::equal(logits(false, 1), logits(false, 2)));
  }

  void roraIsLoraWithAlphaTimesRootR() {
    MethodSettings rora = smallSettings("rora"), lora = smallSettings("lora");
    lora.alpha = rora.alpha * std::sqrt(static_cast<double>(rora.rank));
    FakeTraining one(rora, {.dtype = at::kDouble}), two(lora, {.dtype = at::kDouble});
    one.run(0, 10);
    two.run(0, 10);
    QVERIFY(worstDifference(one.logits(), two.logits()) < 1e-12);
    QCOMPARE((*findMethod("rora"))->effectiveScale(16, 8), 2.0);
    QCOMPARE((*findMethod("lora"))->effectiveScale(16, 8), 0.5);
    QCOMPARE((*findMethod("full"))->effectiveScale(16, 8), 1.0);
  }

  // METHODS 1: with r = in, A = I frozen and s = 1, a step of LoRA under SGD is a step of the whole layer.
  void loraOfFullRankWithFrozenIdentityStepsAsTheWholeLayer() {
    const std::string site = "model.layers.0.mlp.up_proj";
    const auto sgdStep = [](const Method& method, FakeModel& model, bool freezeA) {
      ForwardContext context;
      model.loss(fakeBatch(model), context, 0).backward();
      std::vector<OptimizedParameter> parameters;
      for (const auto& p : method.trainable())
        if (p.name.rfind("classifier", 0) != 0 && !(freezeA && p.name.find("lora_A") != std::string::npos))
          parameters.push_back(p);
      OptimizerSettings sgd;
      sgd.name = "sgd";
      (*makeOptimizer(parameters, sgd))->step(0.05);
    };
    FakeModel low({at::kDouble}), whole({at::kDouble});
    MethodSettings s;
    s.targetModules = {site};
    s.rank = FakeModel::kHidden;
    s.alpha = static_cast<double>(FakeModel::kHidden);
    const auto lora = attached(low, s);
    {
      const at::NoGradGuard noGrad;
      at::Tensor a = lora->factorPairs().front().A;
      a.copy_(at::eye(FakeModel::kHidden, at::kDouble));
    }
    s.name = "full";
    const auto full = attached(whole, s);
    sgdStep(*lora, low, true);
    sgdStep(*full, whole, false);
    const at::Tensor merged = low.site(site).weight + low.site(site).adapter->deltaWeight();
    QVERIFY(worstDifference(merged, whole.site(site).weight.detach()) < 1e-14);
  }
};

QTEST_GUILESS_MAIN(MethodLaws)
#include "laws.moc"
