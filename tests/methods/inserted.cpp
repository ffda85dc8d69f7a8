// Methods that insert modules, over every family that has places for them: what each promises at its start, gradients,
// counts, checkpoints, files, recomputation, packing and generation.

#include <QtTest/QtTest>

#include <cmath>
#include <set>

#include "core/methods/inserted.h"
#include "core/methods/inserted/reft.h"
#include "core/methods/peft_format.h"
#include "core/methods/registry.h"
#include "core/models/decode.h"
#include "core/models/registry.h"
#include "core/optim/registry.h"
#include "tests/core/models/decoder_configs.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;
using nlohmann::json;

namespace {

json encoder(const char* type, json more = json::object()) {
  json config{{"model_type", type},        {"vocab_size", 61},           {"hidden_size", 24},
              {"intermediate_size", 40},   {"num_hidden_layers", 3},     {"num_attention_heads", 4},
              {"max_position_embeddings", 40}, {"type_vocab_size", 2},   {"initializer_range", 0.15},
              {"pad_token_id", 1},         {"hidden_dropout_prob", 0.1}, {"attention_probs_dropout_prob", 0.1}};
  config.update(more);
  return config;
}

const std::vector<std::pair<std::string, json>>& families() {
  static const std::vector<std::pair<std::string, json>> all = {
      {"llama", rankscope::testing::rotary("llama", json::object())},
      {"mistral", rankscope::testing::rotary("mistral", {{"sliding_window", 6}})},
      {"qwen3", rankscope::testing::rotary("qwen3", {{"tie_word_embeddings", true}})},
      {"gpt2", rankscope::testing::gpt2()},
      {"bert", encoder("bert")},
      {"roberta", encoder("roberta")},
      {"mpnet", encoder("mpnet")},
      {"deberta", encoder("deberta-v2", {{"relative_attention", true}, {"pos_att_type", {"p2c", "c2p"}}, {"position_buckets", 6}})}};
  return all;
}

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

std::unique_ptr<Model> made(const json& config, at::ScalarType dtype, HeadKind head = HeadKind::SequenceClassification) {
  const rankscope::testing::Folder folder(config);
  ModelLoadOptions options;
  options.head = head;
  options.numLabels = 3;
  options.dtype = dtype;
  options.randomInit = true;
  options.seed = 11;
  auto model = loadModel(folder.path(), options);
  if (!model) qFatal("%s", model.error().message().c_str());
  return std::move(model).value();
}

PackedBatch batchOf(const std::vector<int64_t>& lengths, HeadKind head, uint64_t seed = 0) {
  PackedBatch batch;
  batch.starts = {0};
  std::vector<int64_t> ids, positions, labels;
  for (const int64_t length : lengths) {
    for (int64_t t = 0; t < length; ++t) {
      ids.push_back(2 + (static_cast<int64_t>(ids.size() + seed) * 17 + t * 5) % 58);
      positions.push_back(t);
    }
    batch.starts.push_back(batch.starts.back() + length);
    batch.prompts.push_back(head == HeadKind::CausalLm ? (length + 1) / 2 : length);
    labels.push_back(static_cast<int64_t>(labels.size() + seed) % 3);
  }
  if (head == HeadKind::CausalLm) {
    labels.clear();
    for (size_t i = 0; i < ids.size(); ++i) labels.push_back(i + 1 < ids.size() ? ids[i + 1] : -100);
  }
  batch.inputIds = at::tensor(ids, at::kLong);
  batch.positionIds = at::tensor(positions, at::kLong);
  batch.labels = at::tensor(labels, at::kLong);
  return batch;
}

MethodSettings settingsOf(const std::string& method, const json& options) {
  MethodSettings settings;
  settings.name = method;
  settings.rank = 3;
  settings.seed = 4;
  settings.options = options;
  return settings;
}

// A model with a method on it, and its optimizer.
struct Training {
  Training(const json& config, const MethodSettings& settings, at::ScalarType dtype,
           HeadKind task = HeadKind::SequenceClassification)
      : head(task), model(made(config, dtype, task)), method(attached(*model, settings)) {
    auto ready = makeOptimizer(method->trainable(), {.weightDecay = 0.01});
    if (!ready) qFatal("%s", ready.error().message().c_str());
    optimizer = std::move(*ready);
  }

  PackedBatch batch(int64_t step = 0) const { return batchOf({7, 2, 11, 1, 5}, head, static_cast<uint64_t>(step)); }
  at::Tensor logits() const {
    const at::NoGradGuard noGrad;
    ForwardContext context;
    return model->logits(batch(), context);
  }
  at::Tensor loss(int64_t step) const {
    ForwardContext context;
    context.training = true;
    context.step = step;
    return model->loss(batch(step), context, 0);
  }
  void backward(int64_t step) const {
    for (const OptimizedParameter& p : method->trainable()) p.tensor.mutable_grad() = at::Tensor();
    loss(step).backward();
  }
  void run(int64_t from, int64_t to) {
    for (int64_t step = from; step < to; ++step) {
      backward(step);
      method->beforeStep({step, to, 0.01}, *optimizer);
      optimizer->step(0.01);
      method->afterStep({step, to, 0.01}, *optimizer);
    }
  }

  HeadKind head;
  std::unique_ptr<Model> model;
  std::unique_ptr<Method> method;
  std::unique_ptr<Optimizer> optimizer;
};

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
    const auto base = made(r.config, r.dtype);
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

  // From every step of a run, to the same bits at its end.
  void resumesToTheSameBits_data() { everywhere({at::kFloat, at::kBFloat16}); }
  void resumesToTheSameBits() {
    constexpr int64_t kSteps = 6;
    const Row r = row();
    Training whole(r.config, r.settings, r.dtype);
    struct Checkpoint {
      TensorMap trainable, optimizer, method;
    };
    std::vector<Checkpoint> checkpoints;
    for (int64_t step = 0; step < kSteps; ++step) {
      checkpoints.push_back({trainedTensors(*whole.method), copiesOf(whole.optimizer->state()), copiesOf(whole.method->state())});
      whole.run(step, step + 1);
    }
    const TensorMap wanted = trainedTensors(*whole.method);
    for (int64_t step = 0; step < kSteps; ++step) {
      MethodSettings other = r.settings;
      other.seed = 99;  // whatever a new life draws is replaced
      Training resumed(r.config, other, r.dtype);
      const Checkpoint& from = checkpoints[static_cast<size_t>(step)];
      const at::NoGradGuard noGrad;
      for (const OptimizedParameter& p : resumed.method->trainable()) p.tensor.detach().copy_(from.trainable.at(p.name));
      QVERIFY(resumed.optimizer->loadState(from.optimizer).ok());
      QVERIFY(resumed.method->loadState(from.method).ok());
      const at::AutoGradMode on(true);
      resumed.run(step, kSteps);
      QCOMPARE(firstDifference(trainedTensors(*resumed.method), wanted), std::string());
    }
  }

  // Through a folder on disk, by its config alone.
  void comesBackFromItsFolder_data() { everywhere({at::kFloat}); }
  void comesBackFromItsFolder() {
    const Row r = row();
    Training training(r.config, r.settings, r.dtype);
    disturb(*training.method, 0.05);
    training.run(0, 3);
    QTemporaryDir folder;
    const std::filesystem::path path = folder.path().toStdString();
    QVERIFY(saveAdapterFolder(path, *training.method, *training.model, "base").ok());
    const auto model = made(r.config, r.dtype);
    auto loaded = loadAdapterFolder(path, *model);
    QVERIFY2(loaded.ok(), loaded ? "" : loaded.error().message().c_str());
    const at::NoGradGuard noGrad;
    ForwardContext context;
    QVERIFY(at::allclose(model->logits(training.batch(), context), training.logits(), 0, 2e-6));
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

  void layersAreLeftAlone() {
    for (const char* method : {"houlsby", "pfeiffer", "parallel", "llm_series", "llm_parallel", "loreft", "direft"}) {
      MethodSettings settings = settingsOf(method, json::object());
      settings.layersToTransform = {"1"};
      const Training training(families().front().second, settings, at::kFloat);
      int64_t inside = 0;
      for (const OptimizedParameter& p : training.method->trainable()) {
        if (p.name == "score.weight") continue;
        QVERIFY2(p.name.find("layers.1.") != std::string::npos, p.name.c_str());
        ++inside;
      }
      QVERIFY(inside > 0);
      settings.layersToTransform = {"7"};
      const auto model = made(families().front().second, at::kFloat);
      auto refused = (*makeMethod(settings))->attach(*model);
      QVERIFY(!refused.ok() && !refused.error().hint.empty());
    }
  }

  void whatCannotBeIsRefused_data() {
    QTest::addColumn<QString>("family");
    QTest::addColumn<QString>("method");
    QTest::addColumn<QString>("options");
    QTest::addColumn<QString>("where");
    const auto row = [](const char* family, const char* method, const char* options, const char* where) {
      QTest::addRow("%s %s %s", family, method, options) << family << method << options << where;
    };
    row("deberta", "prefix", "{}", "method.name");
    row("mpnet", "prefix", "{}", "method.name");
    row("gpt2", "prefix", R"({"virtual_tokens":64})", "method.virtual_tokens");
    row("llama", "houlsby", R"({"reduction_factor":25})", "method.reduction_factor");
    row("llama", "houlsby", R"({"activation":"sine"})", "method.activation");
    row("llama", "llm_series", R"({"bottleneck_size":0})", "method.bottleneck_size");
    row("llama", "loreft", R"({"positions":"f7-l7"})", "method.positions");
    row("llama", "direft", R"({"positions":""})", "method.positions");
    row("llama", "parallel", R"({"adapter_scale":-1})", "method.adapter_scale");
  }
  void whatCannotBeIsRefused() {
    QFETCH(QString, family);
    QFETCH(QString, method);
    QFETCH(QString, options);
    QFETCH(QString, where);
    for (const auto& [name, config] : families()) {
      if (name != family.toStdString()) continue;
      const auto model = made(config, at::kFloat);
      auto refused =
          (*makeMethod(settingsOf(method.toStdString(), json::parse(options.toStdString()))))->attach(*model);
      QVERIFY(!refused.ok());
      QCOMPARE(QString::fromStdString(refused.error().where), where);
      QVERIFY(!refused.error().hint.empty() && !refused.error().expected.empty());
    }
  }

  // METHODS 16: with no activation the adapter beside a matrix is LoRA with A = Down, B = Up, s = λ.
  void aLinearParallelAdapterIsLora() {
    const json& config = families().front().second;
    Training adapters(config, settingsOf("llm_parallel", {{"bottleneck_size", 3}, {"activation", "linear"}, {"adapter_scale", 2.0}}),
                      at::kDouble);
    MethodSettings settings = settingsOf("lora", json::object());
    settings.alpha = 6;
    settings.targetModules = {"gate_proj", "up_proj", "down_proj"};
    Training lora(config, settings, at::kDouble);
    disturb(*adapters.method, 0.3);
    std::map<std::string, at::Tensor> values;
    for (const OptimizedParameter& p : adapters.method->trainable()) values[p.name] = p.tensor.detach();
    const at::NoGradGuard noGrad;
    for (const OptimizedParameter& p : lora.method->trainable()) {
      std::string name = p.name;
      if (const size_t at = name.find("lora_A"); at != std::string::npos) name.replace(at, 6, "adapter_down");
      if (const size_t at = name.find("lora_B"); at != std::string::npos) name.replace(at, 6, "adapter_up");
      p.tensor.detach().copy_(values.at(name));
    }
    QVERIFY(at::allclose(lora.logits(), adapters.logits(), 1e-10, 1e-12));
  }

  // Prefix keys have no positions: their order means nothing.
  void theOrderOfAPrefixMeansNothing() {
    for (const char* family : {"llama", "gpt2", "bert"})
      for (const auto& [name, config] : families()) {
        if (name != family) continue;
        Training training(config, settingsOf("prefix", {{"virtual_tokens", 5}}), at::kDouble);
        const at::Tensor before = training.logits();
        const at::NoGradGuard noGrad;
        at::Tensor table = training.method->trainable().front().tensor.detach();
        table.copy_(table.index_select(0, at::tensor({3, 0, 4, 2, 1}, at::kLong)));
        QVERIFY(at::allclose(training.logits(), before, 1e-10, 1e-12));
        table.mul_(1.5);
        QVERIFY(!at::allclose(training.logits(), before, 1e-6, 1e-8));
      }
  }

  // R Rᵀ = I after a thousand steps, in the precision that trains; and R·(what it makes of h) = U h + b.
  void editsStayOrthonormal() {
    MethodSettings settings = settingsOf("loreft", {{"positions", "f3+l3"}});
    Training training(families().front().second, settings, at::kFloat);
    training.run(0, 1000);
    for (const auto& [name, tensor] : training.method->adapterTensors()) {
      if (!name.ends_with("rotate_layer.weight")) continue;
      const at::Tensor product = tensor.t().mm(tensor);
      QVERIFY2(at::allclose(product, at::eye(3), 0, 2e-6), name.c_str());
      const at::Tensor u = training.method->adapterTensors().at(name.substr(0, name.size() - 19) + "learned_source.weight");
      const at::Tensor b = training.method->adapterTensors().at(name.substr(0, name.size() - 19) + "learned_source.bias");
      const at::Tensor h = normalTensor({5, 24}, "h", 1, at::kFloat);
      const at::Tensor edited = h + (at::linear(h, u, b) - h.mm(tensor)).mm(tensor.t());
      QVERIFY(at::allclose(edited.mm(tensor), at::linear(h, u, b), 1e-4, 1e-4));
    }
  }

  // Rows that no position names are untouched at the edited layer.
  void onlyTheNamedPositionsAreEdited() {
    MethodSettings settings = settingsOf("direft", {{"positions", "f2+l1"}});
    settings.layersToTransform = {"2"};  // the last block: nothing mixes rows behind it
    Training training(families().front().second, settings, at::kDouble, HeadKind::CausalLm);
    disturb(*training.method, 0.5);
    const auto base = made(families().front().second, at::kDouble, HeadKind::CausalLm);
    PackedBatch batch = batchOf({9, 3}, HeadKind::CausalLm);
    batch.prompts = {6, 3};
    const at::NoGradGuard noGrad;
    ForwardContext context;
    const at::Tensor changed =
        (training.model->hidden(batch, context) - base->hidden(batch, context)).abs().amax(1).gt(1e-9);
    // Of six tokens the first two and the last; of three, each end has one at most.
    const at::Tensor wanted = at::tensor({1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1}, at::kLong).to(at::kBool);
    QVERIFY(at::equal(changed, wanted));
  }

  // The reflectors stand for the whole orthogonal matrix.
  void aBaseIsCompleted() {
    const at::Tensor square = std::get<0>(at::linalg_qr(normalTensor({9, 9}, "square")));
    const OrthogonalBase whole = OrthogonalBase::completing(square);
    QVERIFY(at::allclose(whole.times(at::eye(9, at::kDouble)), square, 0, 1e-12));
    const OrthogonalBase some = OrthogonalBase::completing(square.narrow(1, 0, 3).contiguous());
    const at::Tensor completed = some.times(at::eye(9, at::kDouble));
    QVERIFY(at::allclose(completed.narrow(1, 0, 3), square.narrow(1, 0, 3), 0, 1e-12));
    QVERIFY(at::allclose(completed.t().mm(completed), at::eye(9, at::kDouble), 0, 1e-12));
  }
};

QTEST_GUILESS_MAIN(MethodsInserted)
#include "inserted.moc"
