// Methods that train weights of the model or pairs beside them, over every family of language models and every precision:
// what each promises at its start, gradients, counts, merging, files. Inserted modules are in inserted.cpp, combinations
// and convolutions in properties.cpp.

#include <QtTest/QtTest>

#include <cmath>
#include <set>

#include "core/methods/base_format.h"
#include "core/methods/low_rank_parts.h"
#include "core/methods/parameter_method.h"
#include "core/methods/site_selection.h"
#include "tests/methods/family_training.h"

using namespace rankscope;
using namespace rankscope::test;
using namespace rankscope::testing;
using nlohmann::json;

namespace {

constexpr HeadKind kTask = HeadKind::SequenceClassification;

bool hasBiases(const std::string& family) { return family != "llama" && family != "mistral" && family != "qwen3"; }

// What trains and what stands beside it, as if nothing had been attached.
at::Tensor logitsWithout(Training& training, const Model& base) {
  const at::NoGradGuard noGrad;
  for (LinearSite* site : training.model->sites()) site->adapter.reset();
  for (const std::string& name : training.model->headParameters())
    training.model->parameters().replace(name, base.parameters().at(name));
  training.model->rebind();
  return training.logits();
}

}  // namespace

class MethodsFamilies : public QObject {
  Q_OBJECT

 private:
  static void everywhere(const std::vector<at::ScalarType>& dtypes) {
    QTest::addColumn<QString>("family");
    QTest::addColumn<QString>("method");
    QTest::addColumn<int>("dtype");
    for (const auto& [family, config] : families())
      for (const MethodEntry& entry : methodEntries()) {
        if (entry.kind() == MethodKind::Inserted || (entry.kind() == MethodKind::Biases && !hasBiases(family))) continue;
        for (const at::ScalarType dtype : dtypes)
          QTest::addRow("%s %s %s", family.c_str(), entry.name.c_str(), c10::toString(dtype))
              << QString::fromStdString(family) << QString::fromStdString(entry.name) << static_cast<int>(dtype);
      }
  }
  struct Row {
    json config;
    MethodSettings settings;
    const MethodEntry* entry;
    at::ScalarType dtype;
    bool changesBase = false, fourBit = false, dora = false;
  };
  static Row row() {
    const QString family = *static_cast<QString*>(QTest::qData("family", qMetaTypeId<QString>()));
    const QString method = *static_cast<QString*>(QTest::qData("method", qMetaTypeId<QString>()));
    const int dtype = *static_cast<int*>(QTest::qData("dtype", qMetaTypeId<int>()));
    Row made{{}, settingsOf(method.toStdString(), {{"warmup_steps", 1}}), *findMethod(method.toStdString()),
             static_cast<at::ScalarType>(dtype)};
    for (const auto& [name, config] : families())
      if (name == family.toStdString()) made.config = config;
    made.settings.alpha = 6;
    if (!made.entry->lowRank()) return made;
    made.settings.targetModules = (*findModelFamily(made.config["model_type"]))->defaultTargets;
    const LowRankParts parts = std::move(*makeParts(made.settings));
    made.changesBase = parts.start->changesBase();
    made.fourBit = baseFormatOf(made.settings)->fourBit;
    made.dora = parts.names.form == "dora";
    return made;
  }
  static double tolerance(at::ScalarType dtype) {
    return dtype == at::kBFloat16 ? 0.1 : dtype == at::kFloat ? 1e-4 : 1e-10;
  }

 private Q_SLOTS:
  // The base model to the bit, where the start does not change the weights; else but for rounding.
  void beginsAsTheBaseModel_data() { everywhere({at::kFloat, at::kBFloat16, at::kDouble}); }
  void beginsAsTheBaseModel() {
    const Row r = row();
    Training training(r.config, r.settings, r.dtype);
    const auto base = randomModel(r.config, kTask, r.dtype);
    const at::NoGradGuard noGrad;
    ForwardContext context;
    const at::Tensor plain = base->logits(training.batch(), context);
    if (r.fourBit)
      QVERIFY(!at::equal(training.logits(), plain) && relativeDifference(training.logits(), plain) < 0.5);
    else if (r.changesBase || r.entry->kind() == MethodKind::Full)  // masters lie in another layout (GPT-2)
      QVERIFY(worstDifference(training.logits(), plain) < tolerance(r.dtype));
    else
      QVERIFY(at::equal(training.logits(), plain));
  }

  // After training, with the adapters taken off and the head as it was, the base model is there again.
  void theBaseIsUntouched_data() { everywhere({at::kFloat, at::kBFloat16}); }
  void theBaseIsUntouched() {
    const Row r = row();
    if (!r.entry->lowRank() || r.changesBase || r.fourBit) return;  // their weights are others from the start
    Training training(r.config, r.settings, r.dtype);
    training.run(0, 3);
    const auto base = randomModel(r.config, kTask, r.dtype);
    const at::NoGradGuard noGrad;
    ForwardContext context;
    const at::Tensor plain = base->logits(training.batch(), context);
    QVERIFY(!at::equal(training.logits(), plain));
    QVERIFY(at::equal(logitsWithout(training, *base), plain));
  }

  void whatTrainsIsCountedAndNamed_data() { everywhere({at::kFloat, at::kBFloat16, at::kDouble}); }
  void whatTrainsIsCountedAndNamed() {
    const Row r = row();
    const auto base = randomModel(r.config, kTask, r.dtype);
    const auto whole = (*makeMethod(r.settings))->wholeParameters(*base);
    QVERIFY(whole);
    int64_t wanted = 0;
    std::set<std::string> owners;
    for (const std::string& name : *whole) owners.insert(ownerOfParameter(*base, name));
    for (const std::string& name : owners) wanted += base->parameters().at(name).numel();
    if (r.entry->lowRank())
      for (const LinearSite* site : *selectSites(*base, r.settings)) wanted += r.entry->costAtSite(r.settings, *site, r.settings.rank).trained;
    const Training training(r.config, r.settings, r.dtype);
    int64_t counted = 0;
    std::set<std::string> names;
    for (const OptimizedParameter& p : training.method->trainable()) {
      QVERIFY2(names.insert(p.name).second, p.name.c_str());
      QVERIFY(p.tensor.scalar_type() == (r.dtype == at::kDouble ? at::kDouble : at::kFloat));
      QVERIFY(p.tensor.is_leaf() && p.tensor.requires_grad());
      counted += p.tensor.numel();
    }
    QCOMPARE(counted, wanted);
    for (const std::string& name : base->headParameters()) QVERIFY2(names.count(name), name.c_str());
  }

  // Finite differences, and no gradient anywhere else. DoRA holds the norm constant, so only its magnitudes have slopes.
  void gradientsAreSlopesOfTheLoss_data() { everywhere({at::kDouble}); }
  void gradientsAreSlopesOfTheLoss() {
    const Row r = row();
    Training training(r.config, r.settings, r.dtype);
    disturb(*training.method, 0.05);
    training.backward(2);
    const at::NoGradGuard noGrad;
    int64_t looked = 0;
    std::set<const void*> trains;
    const std::vector<OptimizedParameter> parameters = training.method->trainable();
    const size_t stride = std::max<size_t>(1, parameters.size() / 12);
    for (size_t k = 0; k < parameters.size(); ++k) {
      const OptimizedParameter& p = parameters[k];
      trains.insert(p.tensor.unsafeGetTensorImpl());
      if (k % stride != 0 || !p.tensor.grad().defined() || (r.dora && p.name.find(".lora_") != std::string::npos && p.tensor.dim() == 2)) continue;
      at::Tensor values = p.tensor.detach().view(-1);
      const int64_t i = values.size(0) / 2;
      constexpr double kStep = 1e-5;
      const double before = values[i].item<double>(), ours = p.tensor.grad().reshape(-1)[i].item<double>();
      values[i].fill_(before + kStep);
      const double above = training.loss(2).item<double>();
      values[i].fill_(before - kStep);
      const double slope = (above - training.loss(2).item<double>()) / (2 * kStep);
      values[i].fill_(before);
      QVERIFY2(std::abs(slope - ours) < 1e-8 + 1e-5 * std::abs(slope), fmt::format("{}[{}]: {} and {}", p.name, i, ours, slope).c_str());
      ++looked;
    }
    QVERIFY(looked >= 2);
    for (const NamedTensor& entry : training.model->parameters().entries())
      if (!trains.count(entry.tensor.unsafeGetTensorImpl()))
        QVERIFY2(!entry.tensor.requires_grad() && !entry.tensor.grad().defined(), entry.name.c_str());
  }

  void mergingKeepsTheFunction_data() { everywhere({at::kFloat, at::kBFloat16, at::kDouble}); }
  void mergingKeepsTheFunction() {
    const Row r = row();
    Training training(r.config, r.settings, r.dtype);
    disturb(*training.method, 0.05);
    const at::Tensor before = training.logits();
    const Result<void> merged = training.method->merge(*training.model);
    QVERIFY2(merged.ok(), merged ? "" : merged.error().message().c_str());
    for (const LinearSite* site : training.model->sites()) QVERIFY(!site->adapter && !site->coded.defined());
    QVERIFY2(worstDifference(training.logits(), before) < tolerance(r.dtype),
             qPrintable(QString::number(worstDifference(training.logits(), before))));
  }

  // Through a folder in PEFT's layout, by its config alone.
  void comesBackFromItsFolder_data() { everywhere({at::kFloat}); }
  void comesBackFromItsFolder() {
    const Row r = row();
    if (r.entry->kind() == MethodKind::Full || r.fourBit) return;  // a whole model; and the folder is of the plain base
    Training training(r.config, r.settings, r.dtype);
    disturb(*training.method, 0.05);
    training.run(0, 2);
    const at::Tensor again = training.logitsThroughFolder(r.config, r.dtype);
    QVERIFY(again.defined() && worstDifference(again, training.logits()) < 2e-5);
  }
};

QTEST_GUILESS_MAIN(MethodsFamilies)
#include "families.moc"
