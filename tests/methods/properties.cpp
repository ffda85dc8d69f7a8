// What every method must hold, whatever it is called: each property runs over the whole registry, in three precisions
// and with the starts a method can have. A new method gets all of this by its line in the registry.

#include <QtTest/QtTest>

#include <cmath>
#include <set>

#include "core/methods/low_rank_parts.h"
#include "core/methods/registry.h"
#include "core/methods/seeded_start.h"
#include "core/methods/trained_parameters.h"
#include "core/optim/clip.h"
#include "core/optim/registry.h"
#include "tests/support/fake_model.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

constexpr double kRate = 0.01;

MethodSettings settingsOf(const std::string& name, int64_t warmup,
                          const nlohmann::json& options = nlohmann::json::object()) {
  MethodSettings s;
  s.name = name;
  s.rank = 3;
  s.alpha = 6;
  s.seed = 4;
  if (name != "full") s.targetModules = {"q_proj", "down_proj"};
  s.options = options;
  s.options["warmup_steps"] = warmup;
  return s;
}

// Combinations of parts besides the presets.
struct Combination {
  const char *name, *options;
};
constexpr Combination kCombinations[] = {{"dora", R"({"rule":"reflora"})"},
                                         {"dora", R"({"rule":"reflora_s","scaling":"root_rank"})"},
                                         {"dora", R"({"init":"redraw"})"},
                                         {"dora", R"({"init":"pissa","rule":"loraplus"})"},
                                         {"rora", R"({"init":"redraw"})"},
                                         {"pissa", R"({"rule":"reflora","svd_iterations":4})"},
                                         {"only_b", R"({"init":"pissa","form":"dora"})"},
                                         {"adalora", R"({"rule":"loraplus"})"},
                                         {"preclora", R"({"variant":"released","correct_bias":true})"},
                                         {"lora_rite", R"({"balance":true,"init":"pissa"})"},
                                         {"dora", R"({"rule":"lora_rite"})"},
                                         {"dora", R"({"rule":"lora_pro"})"},
                                         {"nora_plus", R"({"form":"dora","scaling":"root_rank"})"},
                                         {"reflora", R"({"init":"gaussian","scaling":"root_rank"})"}};

struct Training {
  FakeModel model;
  std::unique_ptr<Method> method;
  std::unique_ptr<Optimizer> optimizer;

  Training(const MethodSettings& settings, at::ScalarType dtype, bool classification = true)
      : model(FakeModelOptions{dtype, 1, classification}) {
    auto made = makeMethod(settings);
    if (!made) qFatal("%s", made.error().message().c_str());
    method = std::move(made).value();
    if (auto ok = method->attach(model); !ok) qFatal("%s", ok.error().message().c_str());
    OptimizerSettings adamw;
    adamw.weightDecay = 0.01;
    optimizer = std::move(*makeOptimizer(method->trainable(), adamw));
  }

  void start() { method->onStart(*optimizer); }

  void backward(int64_t step) {
    for (const auto& p : method->trainable()) p.tensor.mutable_grad() = at::Tensor();
    ForwardContext context;
    context.training = true;
    context.step = step;
    context.dropoutSeed = static_cast<uint64_t>(step) + 1;
    model.loss(fakeBatch(model, static_cast<uint64_t>(step % 2)), context, 0).backward();
    if (const at::Tensor term = method->lossTerm(); term.defined()) term.backward();
  }

  void step(int64_t number) {
    backward(number);
    const StepInfo info{number, 20, kRate};
    method->beforeClipping(info);
    if (auto norm = clipGradients(method->trainable(), 1.0); !norm) qFatal("%s", norm.error().message().c_str());
    method->beforeStep(info, *optimizer);
    optimizer->step(kRate);
    method->afterStep(info, *optimizer);
  }

  void run(int64_t from, int64_t to) {
    for (int64_t t = from; t < to; ++t) step(t);
  }

  at::Tensor logits() {
    const at::NoGradGuard noGrad;
    ForwardContext context;
    return model.logits(fakeBatch(model), context);
  }
};

at::Tensor baseLogits(at::ScalarType dtype) {
  FakeModel model(FakeModelOptions{dtype, 1, true});
  const at::NoGradGuard noGrad;
  ForwardContext context;
  return model.logits(fakeBatch(model), context);
}

std::map<std::string, at::Tensor> copies(const std::map<std::string, at::Tensor>& tensors) {
  std::map<std::string, at::Tensor> out;
  for (const auto& [name, tensor] : tensors) out[name] = tensor.detach().clone();
  return out;
}

SiteShape shapeOf(const LinearSite& site) {
  SiteShape shape;
  shape.outFeatures = site.outFeatures;
  shape.inFeatures = site.inFeatures;
  shape.hasBias = site.bias.defined();
  return shape;
}

double worst(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace

class MethodProperties : public QObject {
  Q_OBJECT

 private:
  // Every method and combination, with warm-up 2 and, where it has one, with the start of warm-up 0.
  void everyMethod(std::vector<at::ScalarType> dtypes = {at::kFloat, at::kBFloat16, at::kDouble}) {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("options");
    QTest::addColumn<int>("warmup");
    QTest::addColumn<int>("dtype");
    const auto add = [&](const std::string& name, const char* options) {
      for (int warmup : {2, 0})
        for (auto dtype : dtypes) {
          const bool hasWarmup = (name + options).find("reflora") != std::string::npos;
          if (warmup == 0 && !hasWarmup) continue;
          QTest::addRow("%s %s%s %s", name.c_str(), options, warmup == 0 ? ", warm-up 0" : "", c10::toString(dtype))
              << QString::fromStdString(name) << options << warmup << static_cast<int>(dtype);
        }
    };
    for (const MethodEntry& entry : methodEntries()) add(entry.name, "{}");
    for (const Combination& combination : kCombinations) add(combination.name, combination.options);
  }
  struct Row {
    MethodSettings settings;
    at::ScalarType dtype;
    bool lowRank;
    std::vector<const char*> still;  // what has no gradient at the start: A where B = 0, A and B where E = 0
    bool changesBase;  // the start leaves the weight
  };
  Row row() const {
    const QString name = *static_cast<QString*>(QTest::qData("name", qMetaTypeId<QString>()));
    const QString options = *static_cast<QString*>(QTest::qData("options", qMetaTypeId<QString>()));
    const int warmup = *static_cast<int*>(QTest::qData("warmup", qMetaTypeId<int>()));
    const int dtype = *static_cast<int*>(QTest::qData("dtype", qMetaTypeId<int>()));
    Row made{settingsOf(name.toStdString(), warmup, nlohmann::json::parse(options.toStdString())),
             static_cast<at::ScalarType>(dtype), (*findMethod(name.toStdString()))->lowRank, {}, false};
    if (made.lowRank) {
      const LowRankParts parts = std::move(*makeParts(made.settings));
      made.changesBase = parts.start->changesBase();
      if (!made.changesBase) made.still = {"lora_A"};
      if (parts.form->prunes()) {
        made.still = {"lora_A", "lora_B"};
        made.settings.options["orthogonality"] = 0;  // its own gradient is another matter
      }
    }
    return made;
  }

 private Q_SLOTS:
  void registryIsInOrder() {
    std::set<std::string> names;
    for (const MethodEntry& entry : methodEntries()) {
      QVERIFY(names.insert(entry.name).second);
      QVERIFY(!entry.title.empty() && !entry.paper.empty());
      QVERIFY((*findMethod(entry.name))->name == entry.name);
    }
    for (const char* name : {"full", "lora", "rora", "reflora", "reflora_s"}) QVERIFY(names.count(name));
    QVERIFY(!findMethod("lorra").ok());
    QVERIFY(findMethod("lorra").error().expected.find("reflora_s") != std::string::npos);
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
    MethodSettings settings = settingsOf(name.toStdString(), 0, {{"init", "redraw"}});
    Training one(settings, at::kDouble), two(settings, at::kDouble);
    for (Training* training : {&one, &two}) {
      OptimizerSettings own;
      own.name = optimizer.toStdString();
      own.weightDecay = own.name == "adamw" ? 0.05 : 0;
      training->optimizer = std::move(*makeOptimizer(training->method->trainable(), own));
      training->start();
    }
    {
      const at::NoGradGuard noGrad;
      for (FactorPair pair : two.method->factorPairs()) {
        at::Tensor draw = at::empty({pair.A.size(0), pair.A.size(0)}, at::kDouble);
        fillNormal(draw, 1.0, 7, pair.site->name);
        const at::Tensor r = draw + 2 * at::eye(draw.size(0), at::kDouble);
        pair.A.copy_(r.mm(pair.A));
        pair.B.copy_(pair.B.mm(at::linalg_inv(r)));
      }
    }
    QVERIFY(worst(one.logits(), two.logits()) < 1e-12);
    for (int64_t t = 0; t < 15; ++t)
      for (Training* training : {&one, &two}) {
        training->backward(t);
        const StepInfo info{t, 20, kRate};
        training->method->beforeClipping(info);
        training->method->beforeStep(info, *training->optimizer);
        training->optimizer->step(kRate);
        training->method->afterStep(info, *training->optimizer);
      }
    const double apart = worst(one.logits(), two.logits());
    QVERIFY2(seen ? apart > 1e-6 : apart < 1e-9, fmt::format("{}", apart).c_str());
  }

  void outputAtTheStartIsTheBaseModels_data() { everyMethod(); }
  void outputAtTheStartIsTheBaseModels() {
    const Row r = row();
    Training training(r.settings, r.dtype);
    training.start();
    if (!r.changesBase) {
      QVERIFY(at::equal(training.logits(), baseLogits(r.dtype)));
    } else {
      // A start taken out of the weight and added back again differs by rounding in the weight's dtype.
      const double tolerance = r.dtype == at::kBFloat16 ? 0.1 : r.dtype == at::kFloat ? 1e-5 : 1e-13;
      QVERIFY(worst(training.logits(), baseLogits(r.dtype)) < tolerance);
    }
  }

  void trainableParametersAreCountedAndNamed_data() { everyMethod(); }
  void trainableParametersAreCountedAndNamed() {
    const Row r = row();
    Training training(r.settings, r.dtype);
    const MethodEntry& entry = **findMethod(r.settings.name);
    int64_t atSites = 0;
    for (const LinearSite* site : training.method->changedSites())
      if (site->name != "classifier")
        atSites += entry.costAtSite(r.settings, shapeOf(*site), r.settings.rank).trained;
    int64_t counted = 0;
    std::set<std::string> names;
    for (const auto& p : training.method->trainable()) {
      QVERIFY2(names.insert(p.name).second, p.name.c_str());
      QVERIFY(p.tensor.is_leaf() && p.tensor.requires_grad() && p.tensor.is_contiguous());
      QVERIFY(p.tensor.scalar_type() == (r.dtype == at::kDouble ? at::kDouble : at::kFloat));
      const bool elsewhere = p.name.rfind("classifier", 0) == 0 || p.name.find("embed") != std::string::npos ||
                             p.name.find("norm") != std::string::npos;
      if (!elsewhere) counted += p.tensor.numel();
    }
    QCOMPARE(counted, atSites);
    QVERIFY(names.count("classifier.weight") && names.count("classifier.bias"));
  }

  void gradientsAreOnlyWhereTheyShouldBe_data() { everyMethod(); }
  void gradientsAreOnlyWhereTheyShouldBe() {
    const Row r = row();
    Training training(r.settings, r.dtype);
    training.start();
    training.backward(0);
    std::set<const void*> trains;
    for (const auto& p : training.method->trainable()) {
      trains.insert(p.tensor.unsafeGetTensorImpl());
      QVERIFY2(p.tensor.grad().defined(), p.name.c_str());
      // At B = 0 the gradient of A is exactly 0 and that of B is not.
      const bool still = std::any_of(r.still.begin(), r.still.end(), [&](const char* part) {
        return p.name.find(part) != std::string::npos;
      });
      const bool zero = p.tensor.grad().eq(0).all().item<bool>();
      if (r.lowRank) QCOMPARE(zero, still);
    }
    for (const auto& entry : training.model.parameters().entries()) {
      if (trains.count(entry.tensor.unsafeGetTensorImpl())) continue;
      QVERIFY2(!entry.tensor.requires_grad(), entry.name.c_str());
      QVERIFY2(!entry.tensor.grad().defined(), entry.name.c_str());
    }
  }

  // Finite differences. DoRA's factors have another gradient by design: its norm is held constant (tests/core/methods/dora.cpp).
  void gradientsAreSlopesOfTheLoss_data() { everyMethod({at::kDouble}); }
  void gradientsAreSlopesOfTheLoss() {
    const Row r = row();
    Training training(r.settings, r.dtype);
    training.start();
    training.run(0, 3);
    training.backward(3);
    const auto loss = [&] {
      const at::NoGradGuard noGrad;
      ForwardContext context;
      const at::Tensor own = training.model.loss(fakeBatch(training.model, 1), context, 0);
      const at::Tensor term = training.method->lossTerm();
      return (term.defined() ? own + term : own).item<double>();
    };
    std::set<std::string> constantNorm;
    for (const FactorPair& pair : training.method->factorPairs())
      if (pair.magnitude.defined())
        constantNorm.insert({pair.site->name + ".lora_A.weight", pair.site->name + ".lora_B.weight"});
    int64_t looked = 0;
    for (const auto& p : training.method->trainable()) {
      if (constantNorm.count(p.name)) continue;
      at::Tensor values = p.tensor.detach().view(-1);
      const at::Tensor grad = p.tensor.grad().view(-1);
      for (const int64_t i : {int64_t{0}, values.size(0) / 2, values.size(0) - 1}) {
        constexpr double kStep = 1e-5;
        const double before = values[i].item<double>();
        values[i].fill_(before + kStep);
        const double above = loss();
        values[i].fill_(before - kStep);
        const double slope = (above - loss()) / (2 * kStep), ours = grad[i].item<double>();
        values[i].fill_(before);
        QVERIFY2(std::abs(slope - ours) < 1e-8 + 1e-6 * std::abs(slope),
                 fmt::format("{}[{}]: {} and {}", p.name, i, ours, slope).c_str());
        ++looked;
      }
    }
    QVERIFY(looked >= 6);
  }

  void frozenParametersStayToTheBit_data() { everyMethod(); }
  void frozenParametersStayToTheBit() {
    const Row r = row();
    Training training(r.settings, r.dtype);
    std::set<const void*> trains;
    for (const auto& p : training.method->trainable()) trains.insert(p.tensor.unsafeGetTensorImpl());
    std::map<std::string, at::Tensor> before;
    for (const auto& entry : training.model.parameters().entries())
      if (!trains.count(entry.tensor.unsafeGetTensorImpl())) before[entry.name] = entry.tensor.clone();
    training.start();
    training.run(0, 5);
    for (const auto& [name, value] : before)
      QVERIFY2(at::equal(training.model.parameters().at(name), value), name.c_str());
    for (const auto& p : training.method->trainable()) QVERIFY2(p.tensor.isfinite().all().item<bool>(), p.name.c_str());
  }

  void trainingLowersTheLoss_data() { everyMethod(); }
  void trainingLowersTheLoss() {
    const Row r = row();
    Training training(r.settings, r.dtype);
    training.start();
    auto loss = [&] {
      const at::NoGradGuard noGrad;
      ForwardContext context;
      return (training.model.loss(fakeBatch(training.model, 0), context, 0) +
              training.model.loss(fakeBatch(training.model, 1), context, 0))
          .item<double>();
    };
    const double before = loss();
    training.run(0, 20);
    QVERIFY2(loss() < 0.9 * before, fmt::format("{} -> {}", before, loss()).c_str());
  }

  void twoRunsAreTheSameToTheBit_data() { everyMethod(); }
  void twoRunsAreTheSameToTheBit() {
    const Row r = row();
    MethodSettings s = r.settings;
    s.dropout = r.lowRank ? 0.2 : 0;
    Training one(s, r.dtype), two(s, r.dtype);
    for (Training* t : {&one, &two}) {
      t->start();
      t->run(0, 6);
    }
    const auto left = one.method->trainable(), right = two.method->trainable();
    for (size_t i = 0; i < left.size(); ++i) QVERIFY2(at::equal(left[i].tensor, right[i].tensor), left[i].name.c_str());
  }

  void resumingContinuesToTheSameBits_data() { everyMethod(); }
  void resumingContinuesToTheSameBits() {
    const Row r = row();
    Training whole(r.settings, r.dtype);
    whole.start();
    whole.run(0, 4);
    std::map<std::string, at::Tensor> parameters;
    for (const auto& p : whole.method->trainable()) parameters[p.name] = p.tensor.detach().clone();
    const auto optimizerState = copies(whole.optimizer->state()), methodState = copies(whole.method->state());

    Training resumed(r.settings, r.dtype);
    QVERIFY(copyInto(resumed.method->trainable(), parameters).ok());
    QVERIFY(resumed.optimizer->loadState(optimizerState).ok());
    QVERIFY(resumed.method->loadState(methodState).ok());
    whole.run(4, 8);
    resumed.run(4, 8);
    const auto left = whole.method->trainable(), right = resumed.method->trainable();
    for (size_t i = 0; i < left.size(); ++i) QVERIFY2(at::equal(left[i].tensor, right[i].tensor), left[i].name.c_str());
    QVERIFY(at::equal(whole.logits(), resumed.logits()));
  }

  void savedTensorsRestoreTheFunction_data() { everyMethod(); }
  void savedTensorsRestoreTheFunction() {
    const Row r = row();
    Training trained(r.settings, r.dtype);
    trained.start();
    trained.run(0, 4);
    Training fresh(r.settings, r.dtype);
    auto ok = fresh.method->loadAdapterTensors(copies(trained.method->adapterTensors()));
    if (!ok) QFAIL(ok.error().message().c_str());
    QVERIFY(at::equal(trained.logits(), fresh.logits()));
  }

  void mergedAndUnmergedAgree_data() { everyMethod(); }
  void mergedAndUnmergedAgree() {
    const Row r = row();
    Training training(r.settings, r.dtype);
    training.start();
    training.run(0, 5);
    const at::Tensor before = training.logits();
    std::map<std::string, at::Tensor> deltas;
    for (const LinearSite* site : training.method->changedSites())
      if (site->adapter) deltas[site->name] = site->adapter->deltaWeight().norm();
    for (const auto& [name, size] : deltas) QVERIFY2(size.item<double>() > 0, name.c_str());
    auto ok = training.method->merge(training.model);
    if (!ok) QFAIL(ok.error().message().c_str());
    const double tolerance = r.dtype == at::kBFloat16 ? 0.1 : 1e-4;
    QVERIFY(worst(training.logits(), before) < tolerance);
    for (const LinearSite* site : training.model.sites()) {
      QVERIFY(site->adapter == nullptr);
      QVERIFY(site->weight.scalar_type() == r.dtype);
    }
    for (const auto& entry : training.model.parameters().entries())
      QVERIFY2(!entry.tensor.requires_grad(), entry.name.c_str());
    QVERIFY(training.method->factorPairs().empty());
  }

  void biasesTrainWhereAsked() {
    for (const auto& [bias, expected] : {std::pair{"none", 0}, std::pair{"lora_only", 2}, std::pair{"all", 2}}) {
      MethodSettings s = settingsOf("lora", 1);
      s.bias = bias;
      Training training(s, at::kFloat);
      int count = 0;
      for (const auto& p : training.method->trainable())
        if (p.name.find("q_proj.bias") != std::string::npos) {
          ++count;
          QVERIFY(!p.decay);
        }
      QCOMPARE(count, expected);
      training.run(0, 2);
    }
    MethodSettings elsewhere = settingsOf("lora", 1);
    elsewhere.targetModules = {"up_proj"};
    elsewhere.bias = "lora_only";  // up_proj has none
    Training training(elsewhere, at::kFloat);
    for (const auto& p : training.method->trainable()) QVERIFY(p.name.find("q_proj") == std::string::npos);
  }

  void savedModulesTrainWhole() {
    MethodSettings s = settingsOf("lora", 1);
    s.modulesToSave = {"embed_tokens", "input_layernorm"};
    Training training(s, at::kBFloat16);
    int count = 0;
    for (const auto& p : training.method->trainable())
      if (p.name.find("embed_tokens") != std::string::npos || p.name.find("input_layernorm") != std::string::npos)
        ++count;
    QCOMPARE(count, 3);
    training.run(0, 2);
    for (const auto& [modules, where] : {std::pair<const char*, const char*>{"nowhere", "method.modules_to_save"},
                                         {"q_proj", "method.modules_to_save"}}) {
      MethodSettings wrong = settingsOf("lora", 1);
      wrong.modulesToSave = {modules};
      FakeModel model;
      auto ok = (*makeMethod(wrong))->attach(model);
      QVERIFY(!ok.ok());
      QCOMPARE(ok.error().where, std::string(where));
    }
  }

  void dropoutActsOnTheAdapterAndOnlyInTraining() {
    MethodSettings s = settingsOf("lora", 1);
    s.dropout = 0.5;
    Training training(s, at::kFloat);
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
    MethodSettings rora = settingsOf("rora", 1), lora = settingsOf("lora", 1);
    lora.alpha = rora.alpha * std::sqrt(static_cast<double>(rora.rank));
    Training one(rora, at::kDouble), two(lora, at::kDouble);
    one.run(0, 10);
    two.run(0, 10);
    QVERIFY(worst(one.logits(), two.logits()) < 1e-12);
    QCOMPARE((*findMethod("rora"))->effectiveScale(16, 8), 2.0);
    QCOMPARE((*findMethod("lora"))->effectiveScale(16, 8), 0.5);
    QCOMPARE((*findMethod("full"))->effectiveScale(16, 8), 1.0);
  }

  // METHODS 1: with r = in, A = I frozen and s = 1, a step of LoRA under SGD is a step of the whole layer.
  void loraOfFullRankWithFrozenIdentityStepsAsTheWholeLayer() {
    const std::string site = "model.layers.0.mlp.up_proj";
    auto sgdStep = [](Method& method, Model& model, bool freezeA) {
      ForwardContext context;
      model.loss(fakeBatch(static_cast<FakeModel&>(model)), context, 0).backward();
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
    auto lora = std::move(*makeMethod(s));
    QVERIFY(lora->attach(low).ok());
    {
      const at::NoGradGuard noGrad;
      at::Tensor a = lora->factorPairs().front().A;
      a.copy_(at::eye(FakeModel::kHidden, at::kDouble));
    }
    s.name = "full";
    auto full = std::move(*makeMethod(s));
    QVERIFY(full->attach(whole).ok());
    sgdStep(*lora, low, true);
    sgdStep(*full, whole, false);
    const at::Tensor merged = low.site(site).weight + low.site(site).adapter->deltaWeight();
    QVERIFY(worst(merged, whole.site(site).weight.detach()) < 1e-14);
  }
};

QTEST_GUILESS_MAIN(MethodProperties)
#include "properties.moc"
