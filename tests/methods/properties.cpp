// What every method must hold, whatever it is called: each property runs over the whole registry, in three precisions
// and with the starts a method can have. A new method gets all of this by its line in the registry; what only some
// promise is in laws.cpp.

#include <QtTest/QtTest>

#include <cmath>
#include <set>

#include "core/methods/base_format.h"
#include "core/methods/registry.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

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
                                         {"reflora", R"({"init":"gaussian","scaling":"root_rank"})"},
                                         {"reflora", R"({"base":"fp4","double_quant":false,"quant_block":32})"},
                                         {"qlora", R"({"form":"dora","quant_sites":"adapted"})"},
                                         {"qlora", R"({"init":"pissa","rule":"lora_rite"})"},
                                         {"adalora", R"({"base":"nf4"})"},
                                         {"lora_ga", R"({"rule":"reflora","start_direction":"ArBr"})"},
                                         {"lora_ga", R"({"form":"dora","start_scale":"weightS","scaling":"rank"})"},
                                         {"lora_ga", R"({"rule":"lora_rite","start_direction":"A2rBr"})"},
                                         {"lora_ga", R"({"rule":"loraplus","start_variant":"peft"})"},
                                         {"qlora", R"({"init":"lora_ga","start_scale":"gd","svd_iterations":4})"}};

double lossOf(FakeModel& model, uint64_t batch) {
  const at::NoGradGuard noGrad;
  ForwardContext context;
  return model.loss(fakeBatch(model, batch), context, 0).item<double>();
}

// The same model of the values that the 4 bits of `coded` stand for, or, without them, of those that 4 bits of its own
// weights do.
std::unique_ptr<FakeModel> ofFourBits(const FakeModel& coded, const BaseFormat* format) {
  FakeModelOptions options;
  options.dtype = coded.computeDtype();
  auto model = std::make_unique<FakeModel>(options);
  for (LinearSite* site : model->sites()) {
    const auto twin = std::find_if(coded.sites().begin(), coded.sites().end(),
                                   [&](const LinearSite* other) { return other->name == site->name; });
    if (!(*twin)->coded.defined()) continue;
    const LinearSite* values = *twin;
    if (format) {
      keepInFourBits(*format, *model, *site, site->weight);
      values = site;
    }
    model->replaceSiteWeight(*site, values->denseWeight().to(model->computeDtype()));
  }
  model->rebind();
  return model;
}

SiteShape shapeOf(const LinearSite& site) {
  SiteShape shape = site;
  shape.hasBias = site.bias.defined();
  return shape;
}

}  // namespace

class MethodProperties : public QObject {
  Q_OBJECT

 private:
  // Every method and combination, with warm-up 2 and, where it has one, with the start of warm-up 0; on linear sites, and
  // where it can be on a convolution and on an embedding.
  void everyMethod(std::vector<at::ScalarType> dtypes = {at::kFloat, at::kBFloat16, at::kDouble}) {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("options");
    QTest::addColumn<int>("warmup");
    QTest::addColumn<int>("dtype");
    QTest::addColumn<QString>("target");
    const auto add = [&](const std::string& name, const char* options) {
      for (int warmup : {2, 0})
        for (auto dtype : dtypes)
          for (const char* target : {"", kConvolution, kEmbedding}) {
            const bool hasWarmup = (name + options).find("reflora") != std::string::npos;
            if (warmup == 0 && !hasWarmup) continue;
            if (*target && !goesBeyondLinear(name, options)) continue;
            if (*target && nlohmann::json::parse(options) != nlohmann::json::object() && dtype != dtypes.back()) continue;
            QTest::addRow("%s %s%s %s %s", name.c_str(), options, warmup == 0 ? ", warm-up 0" : "", c10::toString(dtype), target)
                << QString::fromStdString(name) << options << warmup << static_cast<int>(dtype) << target;
          }
    };
    // Inserted modules have their places in real families only: inserted.cpp.
    for (const MethodEntry& entry : methodEntries())
      if (entry.kind() != MethodKind::Inserted) add(entry.name, "{}");
    for (const Combination& combination : kCombinations) add(combination.name, combination.options);
  }
  static constexpr const char *kConvolution = "patches", *kEmbedding = "embed_tokens";
  // Low-rank, without 4-bit values, and not AdaLoRA, whose files have no place for them.
  static bool goesBeyondLinear(const std::string& name, const char* options) {
    if (!(*findMethod(name))->lowRank()) return false;
    const MethodSettings settings = smallSettings(name, nlohmann::json::parse(options));
    return partNames(settings).form != "svd" && !baseFormatOf(settings)->fourBit;
  }
  struct Row {
    MethodSettings settings;
    FakeTrainingOptions training;
    bool lowRank;
    std::vector<const char*> still;  // what has no gradient at the start: A where B = 0, A and B where E = 0
    bool changesBase;                // the start leaves the weight
    BaseFormat base;
  };
  Row row() const {
    const QString name = *static_cast<QString*>(QTest::qData("name", qMetaTypeId<QString>()));
    const QString options = *static_cast<QString*>(QTest::qData("options", qMetaTypeId<QString>()));
    const int warmup = *static_cast<int*>(QTest::qData("warmup", qMetaTypeId<int>()));
    const int dtype = *static_cast<int*>(QTest::qData("dtype", qMetaTypeId<int>()));
    Row made{smallSettings(name.toStdString(), nlohmann::json::parse(options.toStdString())),
             {.dtype = static_cast<at::ScalarType>(dtype)},
             (*findMethod(name.toStdString()))->lowRank(),
             {},
             false,
             {}};
    made.settings.options["warmup_steps"] = warmup;
    const QString target = *static_cast<QString*>(QTest::qData("target", qMetaTypeId<QString>()));
    const bool lookup = target == kEmbedding;
    if (!target.isEmpty()) {
      made.training.moreSites = true;
      made.settings.targetModules = {target.toStdString()};
    }
    if (made.lowRank) {
      const LowRankParts parts = std::move(*makeParts(made.settings));
      made.changesBase = parts.start->changesBase();
      made.base = *baseFormatOf(made.settings);
      const bool random = parts.names.start == "kaiming" || parts.names.start == "gaussian";
      if (!made.changesBase) made.still = {!lookup ? "lora_A" : random ? "lora_embedding_B" : "lora_embedding_A"};
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
      QVERIFY(!entry.title.empty() && (!entry.paper.empty() || entry.name == "full"));
      QVERIFY((*findMethod(entry.name))->name == entry.name);
    }
    for (const char* name : {"full", "lora", "rora", "reflora", "reflora_s"}) QVERIFY(names.count(name));
    QVERIFY(!findMethod("lorra").ok());
    QVERIFY(findMethod("lorra").error().expected.find("reflora_s") != std::string::npos);
  }

  void outputAtTheStartIsTheBaseModels_data() { everyMethod(); }
  void outputAtTheStartIsTheBaseModels() {
    const Row r = row();
    FakeTraining training(r.settings, r.training);
    training.start();
    FakeModel base({.dtype = r.training.dtype, .moreSites = r.training.moreSites});
    if (r.base.fourBit) {
      // Of a start that left the weight, the rest is what is rounded: the error is no larger than without it.
      const auto rounded = ofFourBits(training.model, r.changesBase ? &r.base : nullptr);
      const double error = worstDifference(logitsOf(*rounded), logitsOf(base));
      QVERIFY(error > 0.01);
      if (r.changesBase)
        QVERIFY(worstDifference(training.logits(), logitsOf(base)) < 1.5 * error);
      else
        QVERIFY(worstDifference(training.logits(), logitsOf(*rounded)) < (r.training.dtype == at::kBFloat16 ? 0.1 : 1e-5));
    } else if (!r.changesBase) {
      QVERIFY(at::equal(training.logits(), logitsOf(base)));
    } else {
      // A start taken out of the weight and added back again differs by rounding in the weight's dtype.
      const double tolerance = r.training.dtype == at::kBFloat16 ? 0.1 : r.training.dtype == at::kFloat ? 1e-5 : 1e-13;
      QVERIFY(worstDifference(training.logits(), logitsOf(base)) < tolerance);
    }
  }

  void trainableParametersAreCountedAndNamed_data() { everyMethod(); }
  void trainableParametersAreCountedAndNamed() {
    const Row r = row();
    FakeTraining training(r.settings, r.training);
    const MethodEntry& entry = **findMethod(r.settings.name);
    int64_t atSites = 0;
    std::vector<const LinearSite*> sites = training.method->changedSites();
    if (entry.kind() == MethodKind::Biases) sites.assign(training.model.sites().begin(), training.model.sites().end());
    for (const LinearSite* site : sites)
      if (site->name != "classifier")
        atSites += entry.costAtSite(r.settings, shapeOf(*site), r.settings.rank).trained;
    int64_t counted = 0;
    std::set<std::string> names;
    for (const auto& p : training.method->trainable()) {
      QVERIFY2(names.insert(p.name).second, p.name.c_str());
      QVERIFY(p.tensor.is_leaf() && p.tensor.requires_grad() && p.tensor.is_contiguous());
      QVERIFY(p.tensor.scalar_type() == (r.training.dtype == at::kDouble ? at::kDouble : at::kFloat));
      const bool elsewhere =
          p.name.rfind("classifier", 0) == 0 || (p.name.find(".lora_") == std::string::npos &&
                                                 (p.name.find("embed") != std::string::npos ||
                                                  p.name.find("norm") != std::string::npos));
      if (!elsewhere) counted += p.tensor.numel();
    }
    QCOMPARE(counted, atSites);
    QVERIFY(names.count("classifier.weight") && names.count("classifier.bias"));
  }

  void gradientsAreOnlyWhereTheyShouldBe_data() { everyMethod(); }
  void gradientsAreOnlyWhereTheyShouldBe() {
    const Row r = row();
    FakeTraining training(r.settings, r.training);
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

  // Finite differences. DoRA's factors have another gradient by design: its norm is held constant
  // (tests/core/methods/dora.cpp).
  void gradientsAreSlopesOfTheLoss_data() { everyMethod({at::kDouble}); }
  void gradientsAreSlopesOfTheLoss() {
    const Row r = row();
    FakeTraining training(r.settings, r.training);
    training.start();
    training.run(0, 3);
    training.backward(3);
    const auto loss = [&] {
      const at::Tensor term = training.method->lossTerm();
      return lossOf(training.model, 1) + (term.defined() ? term.item<double>() : 0);
    };
    std::set<std::string> constantNorm;
    for (const FactorPair& pair : training.method->factorPairs())
      if (pair.magnitude.defined())
        constantNorm.insert({factorName(*pair.site, 'A'), factorName(*pair.site, 'B')});
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
    FakeTraining training(r.settings, r.training);
    std::set<const void*> trains;
    for (const auto& p : training.method->trainable()) trains.insert(p.tensor.unsafeGetTensorImpl());
    std::map<std::string, at::Tensor> before;
    for (const auto& entry : training.model.parameters().entries())
      if (!trains.count(entry.tensor.unsafeGetTensorImpl())) before[entry.name] = entry.tensor.clone();
    std::map<std::string, at::Tensor> codes;
    for (const LinearSite* site : training.model.sites())
      if (site->coded.defined()) codes[site->name] = site->coded.packed.clone();
    QCOMPARE(codes.empty(), !r.base.fourBit);
    training.start();
    training.run(0, 5);
    for (const auto& [name, value] : before)
      QVERIFY2(at::equal(training.model.parameters().at(name), value), name.c_str());
    for (const auto& [name, value] : codes)
      QVERIFY2(at::equal(training.model.site(name).coded.packed, value), name.c_str());
    for (const auto& p : training.method->trainable()) QVERIFY2(p.tensor.isfinite().all().item<bool>(), p.name.c_str());
  }

  // Whoever moves a parameter, the optimizer or the method: what is derived from it and kept goes by its version.
  void aStepCountsAsAChangeOfWhatTrains_data() { everyMethod(); }
  void aStepCountsAsAChangeOfWhatTrains() {
    const Row r = row();
    FakeTraining training(r.settings, r.training);
    training.start();
    const auto trainable = training.method->trainable();
    for (int64_t t = 0; t < 3; ++t) {
      std::vector<int64_t> before;
      for (const auto& p : trainable) before.push_back(p.tensor._version());
      training.step(t);
      for (size_t i = 0; i < trainable.size(); ++i)
        QVERIFY2(trainable[i].tensor._version() > before[i], trainable[i].name.c_str());
    }
  }

  void trainingLowersTheLoss_data() { everyMethod(); }
  void trainingLowersTheLoss() {
    const Row r = row();
    FakeTraining training(r.settings, r.training);
    training.start();
    const auto loss = [&] { return lossOf(training.model, 0) + lossOf(training.model, 1); };
    const double before = loss();
    training.run(0, 20);
    QVERIFY2(loss() < 0.9 * before, fmt::format("{} -> {}", before, loss()).c_str());
  }

  void twoRunsAreTheSameToTheBit_data() { everyMethod(); }
  void twoRunsAreTheSameToTheBit() {
    const Row r = row();
    MethodSettings s = r.settings;
    s.dropout = r.lowRank ? 0.2 : 0;
    FakeTraining one(s, r.training), two(s, r.training);
    for (FakeTraining* training : {&one, &two}) {
      training->start();
      training->run(0, 6);
    }
    QCOMPARE(firstDifference(trainedTensors(*one.method), trainedTensors(*two.method)), std::string());
  }

  // Every step of a training (50 steps; in other precisions 10) is taken once more by a life that resumes just before it, into a method that was attached
  // as the trainer does then: the same bits in all that it leaves behind, so that whoever resumes anywhere ends where the
  // whole training does.
  void resumingContinuesToTheSameBits_data() { everyMethod(); }
  void resumingContinuesToTheSameBits() {
    const Row r = row();
    MethodSettings s = r.settings;
    s.dropout = r.lowRank ? 0.2 : 0;
    FakeTraining whole(s, r.training);
    whole.start();
    s.stateFollows = true;
    s.seed = 99;  // what was drawn is in the checkpoint
    const int64_t steps = r.training.dtype == at::kFloat && !r.training.moreSites ? 50 : 10;
    for (int64_t t = 0; t < steps; ++t) {
      FakeTraining resumed(s, r.training);
      QVERIFY(resumed.resume(whole.checkpoint()).ok());
      if (t % 10 == 4) QVERIFY(at::equal(whole.logits(), resumed.logits()));
      whole.step(t);
      resumed.step(t);
      const FakeCheckpoint left = whole.checkpoint(), right = resumed.checkpoint();
      QCOMPARE(firstDifference(left.trainable, right.trainable), std::string());
      QCOMPARE(firstDifference(left.optimizer, right.optimizer), std::string());
      QCOMPARE(firstDifference(left.method, right.method), std::string());
    }
  }

  void savedTensorsRestoreTheFunction_data() { everyMethod(); }
  void savedTensorsRestoreTheFunction() {
    const Row r = row();
    FakeTraining trained(r.settings, r.training);
    trained.start();
    trained.run(0, 4);
    FakeTraining fresh(r.settings, r.training);
    auto ok = fresh.method->loadAdapterTensors(copiesOf(trained.method->adapterTensors()));
    if (!ok) QFAIL(ok.error().message().c_str());
    QVERIFY(at::equal(trained.logits(), fresh.logits()));
  }

  void mergedAndUnmergedAgree_data() { everyMethod(); }
  void mergedAndUnmergedAgree() {
    const Row r = row();
    FakeTraining training(r.settings, r.training);
    training.start();
    training.run(0, 5);
    const at::Tensor before = training.logits();
    std::map<std::string, at::Tensor> deltas;
    for (const LinearSite* site : training.method->changedSites())
      if (site->adapter) deltas[site->name] = site->adapter->deltaWeight().norm();
    for (const auto& [name, size] : deltas) QVERIFY2(size.item<double>() > 0, name.c_str());
    auto ok = training.method->merge(training.model);
    if (!ok) QFAIL(ok.error().message().c_str());
    const double tolerance = r.training.dtype == at::kBFloat16 ? 0.1 : 1e-4;
    QVERIFY(worstDifference(training.logits(), before) < tolerance);
    for (const LinearSite* site : training.model.sites()) {
      QVERIFY(site->adapter == nullptr && !site->coded.defined());
      QVERIFY(site->weight.scalar_type() == r.training.dtype);
    }
    for (const auto& entry : training.model.parameters().entries())
      QVERIFY2(!entry.tensor.requires_grad(), entry.name.c_str());
    QVERIFY(training.method->factorPairs().empty());
  }
};

QTEST_GUILESS_MAIN(MethodProperties)
#include "properties.moc"
