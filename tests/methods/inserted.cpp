// Methods that insert modules, over every family that has places for them: what each promises at its start, gradients,
// counts, checkpoints, files, recomputation, packing and generation.

#include <QtTest/QtTest>

#include <cmath>
#include <set>

#include "core/models/decode.h"
#include "tests/methods/family_training.h"

using namespace rankscope;
using namespace rankscope::test;
using namespace rankscope::testing;
using nlohmann::json;

namespace {

// The methods, with options that give each of their parts something to do.
struct Variant {
  const char *method, *options;
};
constexpr Variant kVariants[] = {{"houlsby", R"({"reduction_factor":4})"},
                                 {"pfeiffer", R"({"reduction_factor":3})"},
                                 {"parallel", "{}"},
                                 {"llm_series", R"({"bottleneck_size":5})"},
                                 {"llm_parallel", R"({"bottleneck_size":5,"adapter_scale":2})"},
                                 {"prefix", R"({"virtual_tokens":4})"},
                                 {"prefix", R"({"virtual_tokens":3,"prefix_projection":true,"projection_size":7})"},
                                 {"loreft", R"({"positions":"f2+l2"})"},
                                 {"loreft", R"({"positions":"f1+l3","share_weights":false})"},
                                 {"direft", R"({"positions":"l2"})"},
                                 {"direft", R"({"positions":"all","orthonormal":true})"}};

bool hasPlace(const std::string& family, const std::string& method) {
  return method != "prefix" || (family != "mpnet" && family != "deberta");
}

}  // namespace

class MethodsInserted : public QObject {
  Q_OBJECT

 private:
  static void everywhere(const std::vector<at::ScalarType>& dtypes, bool causalOnly = false) {
    QTest::addColumn<QString>("family");
    QTest::addColumn<int>("variant");
    QTest::addColumn<int>("dtype");
    for (const auto& [family, config] : families())
      for (size_t v = 0; v < std::size(kVariants); ++v)
        for (const at::ScalarType dtype : dtypes) {
          const bool causal = config["model_type"] != "mpnet" && !config.contains("type_vocab_size");
          if (!hasPlace(family, kVariants[v].method) || (causalOnly && !causal)) continue;
          QTest::addRow("%s %s %s %s", family.c_str(), kVariants[v].method, kVariants[v].options, c10::toString(dtype))
              << QString::fromStdString(family) << static_cast<int>(v) << static_cast<int>(dtype);
        }
  }
  struct Row {
    json config;
    MethodSettings settings;
    at::ScalarType dtype;
  };
  static Row row() {
    const auto fetch = [](const char* name, int type) { return QTest::qData(name, type); };
    const QString family = *static_cast<QString*>(fetch("family", qMetaTypeId<QString>()));
    const int variant = *static_cast<int*>(fetch("variant", qMetaTypeId<int>()));
    const int dtype = *static_cast<int*>(fetch("dtype", qMetaTypeId<int>()));
    json config;
    for (const auto& [name, each] : families())
      if (name == family.toStdString()) config = each;
    const Variant& v = kVariants[variant];
    return {config, settingsOf(v.method, json::parse(v.options)), static_cast<at::ScalarType>(dtype)};
  }

 private Q_SLOTS:
  // Parallel adapters begin as the base model to the bit; every adapter and free edit is it once its last map is 0.
  void theBaseModelIsWithinReach_data() { everywhere({at::kFloat, at::kBFloat16}); }
  void theBaseModelIsWithinReach() {
    const Row r = row();
    Training training(r.config, r.settings, r.dtype);
    const auto base = randomModel(r.config, HeadKind::SequenceClassification, r.dtype);
    const at::NoGradGuard noGrad;
    ForwardContext context;
    const at::Tensor plain = base->logits(training.batch(), context);
    // The head's start is drawn anew by neither.
    if (r.settings.name == "parallel") QVERIFY(at::equal(training.logits(), plain));
    disturb(*training.method, 0.3);
    for (const char* last : {"classifier", "score"})
      for (const OptimizedParameter& p : training.method->trainable())
        if (p.name.rfind(last, 0) == 0) p.tensor.detach().copy_(base->parameters().at(p.name));
    for (const OptimizedParameter& p : training.method->trainable())
      if (p.name.find("pooler") != std::string::npos) p.tensor.detach().copy_(base->parameters().at(p.name));
    QVERIFY(!at::equal(training.logits(), plain));
    bool within = false;
    for (const OptimizedParameter& p : training.method->trainable())
      if (p.name.find("adapter_up") != std::string::npos || p.name.find("proj_layer") != std::string::npos) {
        p.tensor.detach().zero_();
        within = true;
      }
    if (within) QVERIFY(at::allclose(training.logits(), plain, 0, r.dtype == at::kFloat ? 1e-6 : 0.05));
  }

  void whatTrainsIsCountedAndNamed_data() { everywhere({at::kFloat, at::kBFloat16, at::kDouble}); }
  void whatTrainsIsCountedAndNamed() {
    const Row r = row();
    const Training training(r.config, r.settings, r.dtype);
    const auto head = training.model->headParameters();
    std::set<std::string> names;
    int64_t counted = 0, wanted = 0;
    for (const OptimizedParameter& p : training.method->trainable()) {
      QVERIFY2(names.insert(p.name).second, p.name.c_str());
      QVERIFY(p.tensor.is_leaf() && p.tensor.requires_grad() && p.tensor.is_contiguous());
      QVERIFY(p.tensor.scalar_type() == (r.dtype == at::kDouble ? at::kDouble : at::kFloat));
      if (p.name.ends_with(".bias") || p.name.ends_with(".original")) QVERIFY2(!p.decay, p.name.c_str());
      if (std::find(head.begin(), head.end(), p.name) == head.end()) counted += p.tensor.numel();
    }
    for (const std::string& name : head) QVERIFY2(names.count(name), name.c_str());
    std::vector<SiteShape> sites;
    for (const LinearSite* site : training.model->sites())
      sites.push_back({site->name, site->kind, site->layer, site->inFeatures, site->outFeatures});
    const InsertionPlaces places = training.model->insertionPlaces();
    const ModelOutline outline{training.model->hiddenSize(), training.model->numLayers(),
                               places.keyValueHeads * places.headDim, &sites};
    for (int64_t layer = 0; layer < outline.layers; ++layer)
      wanted += findInsertedKind(r.settings.name)->cost(r.settings, outline, layer)->trained;
    QCOMPARE(counted, wanted);
    QVERIFY(training.method->changedSites().empty() && training.method->factorPairs().empty());
  }

  // Finite differences, and no gradient anywhere else; the same with recomputed blocks.
  void gradientsAreSlopesOfTheLoss_data() { everywhere({at::kDouble}); }
  void gradientsAreSlopesOfTheLoss() {
    const Row r = row();
    Training training(r.config, r.settings, r.dtype);
    training.run(0, 2);
    training.model->gradientCheckpointing = true;
    training.backward(2);
    std::map<std::string, at::Tensor> recomputed;
    for (const OptimizedParameter& p : training.method->trainable()) recomputed[p.name] = p.tensor.grad().clone();
    training.model->gradientCheckpointing = false;
    training.backward(2);
    const at::NoGradGuard noGrad;
    int64_t looked = 0;
    std::set<const void*> trains;
    for (const OptimizedParameter& p : training.method->trainable()) {
      trains.insert(p.tensor.unsafeGetTensorImpl());
      QVERIFY2(at::allclose(p.tensor.grad(), recomputed.at(p.name), 1e-10, 1e-13), p.name.c_str());
      at::Tensor values = p.tensor.detach().view(-1);
      const at::Tensor grad = p.tensor.grad().reshape(-1);
      const bool signs = p.name.ends_with(".original");  // its diagonal is read as whole numbers
      for (const int64_t i : {values.size(0) / 2 + 1, values.size(0) - 1}) {
        if (i >= values.size(0) || (signs && i / 3 <= i % 3)) continue;
        constexpr double kStep = 1e-5;
        const double before = values[i].item<double>();
        values[i].fill_(before + kStep);
        const double above = training.loss(2).item<double>();
        values[i].fill_(before - kStep);
        const double slope = (above - training.loss(2).item<double>()) / (2 * kStep), ours = grad[i].item<double>();
        values[i].fill_(before);
        QVERIFY2(std::abs(slope - ours) < 1e-8 + 1e-5 * std::abs(slope),
                 fmt::format("{}[{}]: {} and {}", p.name, i, ours, slope).c_str());
        ++looked;
      }
    }
    QVERIFY(looked >= 2);
    for (const NamedTensor& entry : training.model->parameters().entries())
      if (!trains.count(entry.tensor.unsafeGetTensorImpl()))
        QVERIFY2(!entry.tensor.requires_grad() && !entry.tensor.grad().defined(), entry.name.c_str());
  }

  // Every step of a run (50 steps of a decoder and an encoder) is taken once more by a life that resumes just before it: the same bits in all that it leaves
  // behind, so that whoever resumes anywhere ends where the whole run does.
  void resumesToTheSameBits_data() { everywhere({at::kFloat, at::kBFloat16}); }
  void resumesToTheSameBits() {
    const Row r = row();
    const bool longRun = r.dtype == at::kFloat && (r.config["model_type"] == "llama" || r.config["model_type"] == "bert");
    const int64_t steps = longRun ? 50 : 5;
    struct Checkpoint {
      explicit Checkpoint(const Training& life)
          : trainable(trainedTensors(*life.method)), optimizer(copiesOf(life.optimizer->state())), method(copiesOf(life.method->state())) {}
      TensorMap trainable, optimizer, method;
    };
    Training whole(r.config, r.settings, r.dtype);
    MethodSettings other = r.settings;
    other.seed = 99;  // whatever a new life draws is replaced
    for (int64_t step = 0; step < steps; ++step) {
      const Checkpoint from(whole);
      whole.run(step, step + 1);
      Training resumed(r.config, other, r.dtype);
      {
        const at::NoGradGuard noGrad;
        for (const OptimizedParameter& p : resumed.method->trainable()) p.tensor.detach().copy_(from.trainable.at(p.name));
        QVERIFY(resumed.optimizer->loadState(from.optimizer).ok());
        QVERIFY(resumed.method->loadState(from.method).ok());
      }
      resumed.run(step, step + 1);
      const Checkpoint wanted(whole), ours(resumed);
      QCOMPARE(firstDifference(ours.trainable, wanted.trainable), std::string());
      QCOMPARE(firstDifference(ours.optimizer, wanted.optimizer), std::string());
      QCOMPARE(firstDifference(ours.method, wanted.method), std::string());
    }
  }

  // Through a folder on disk, by its config alone.
  void comesBackFromItsFolder_data() { everywhere({at::kFloat}); }
  void comesBackFromItsFolder() {
    const Row r = row();
    Training training(r.config, r.settings, r.dtype);
    disturb(*training.method, 0.05);
    training.run(0, 3);
    const at::Tensor again = training.logitsThroughFolder(r.config, r.dtype);
    QVERIFY(again.defined() && at::allclose(again, training.logits(), 0, 2e-6));
    auto merged = training.method->merge(*training.model);
    QVERIFY(!merged.ok() && !merged.error().hint.empty());
  }

  // A sequence's outputs do not depend on those packed with it.
  void sequencesDoNotSeeEachOther_data() { everywhere({at::kFloat}); }
  void sequencesDoNotSeeEachOther() {
    const Row r = row();
    Training training(r.config, r.settings, r.dtype);
    disturb(*training.method, 0.2);
    const at::Tensor together = training.logits();
    const PackedBatch batch = training.batch();
    const at::NoGradGuard noGrad;
    for (size_t s = 0; s + 1 < batch.starts.size(); ++s) {
      const int64_t begin = batch.starts[s], length = batch.starts[s + 1] - begin;
      PackedBatch one;
      one.inputIds = batch.inputIds.narrow(0, begin, length);
      one.positionIds = batch.positionIds.narrow(0, begin, length);
      one.starts = {0, length};
      ForwardContext context;
      QVERIFY(at::allclose(training.model->logits(one, context)[0], together[static_cast<int64_t>(s)], 1e-5, 1e-5));
    }
  }

  // Token by token with a cache, the outputs are those of the whole text.
  void generationAgreesWithTheWholePass_data() { everywhere({at::kFloat}, true); }
  void generationAgreesWithTheWholePass() {
    const Row r = row();
    Training training(r.config, r.settings, r.dtype, HeadKind::CausalLm);
    disturb(*training.method, 0.2);
    const at::NoGradGuard noGrad;
    const std::vector<int64_t> lengths = {9, 12};
    PackedBatch whole = batchOf(lengths, HeadKind::CausalLm);
    whole.prompts = {5, 8};
    ForwardContext context;
    const at::Tensor wanted = training.model->logits(whole, context);
    auto cache = training.model->newDecodeCache(2, 20);
    for (int64_t t = 0; t < 4; ++t) {
      PackedBatch fresh;
      fresh.starts = {0};
      std::vector<at::Tensor> ids, positions;
      std::vector<int64_t> lastRows;
      for (size_t s = 0; s < 2; ++s) {
        const int64_t from = t == 0 ? 0 : whole.prompts[s] + t - 1, count = t == 0 ? whole.prompts[s] : 1;
        ids.push_back(whole.inputIds.narrow(0, whole.starts[s] + from, count));
        positions.push_back(at::arange(count, at::kLong) + cache->lengths[s]);
        fresh.starts.push_back(fresh.starts.back() + count);
        lastRows.push_back(whole.starts[s] + from + count - 1);
      }
      fresh.inputIds = at::cat(ids);
      fresh.positionIds = at::cat(positions);
      const at::Tensor ours = training.model->decode(*cache, {0, 1}, fresh);
      QVERIFY2(at::allclose(ours, wanted.index_select(0, at::tensor(lastRows, at::kLong)), 1e-4, 1e-5), qPrintable(QString::number(t)));
    }
  }
};

QTEST_GUILESS_MAIN(MethodsInserted)
#include "inserted.moc"
