// Every decoder family with its options, from random weights: packed sequences as if alone, bfloat16 near float32,
// recomputation with the same gradients, the cache as the full pass, weights saved and read back, LoRA on every site
// and merged.

#include <torch/csrc/autograd/autograd.h>
#include <QtTest/QtTest>

#include "core/io/safetensors_writer.h"
#include "core/methods/registry.h"
#include "core/models/decode.h"
#include "core/models/registry.h"
#include "tests/support/random_models.h"
#include "tests/core/models/four_bit_sites.h"

using namespace rankscope;
using namespace rankscope::testing;
using nlohmann::json;

namespace {

std::vector<std::pair<const char*, json>> variants() {
  const json dynamic{{"rope_type", "dynamic"}, {"factor", 4.0}, {"rope_theta", 100.0}};
  const json linear{{"type", "linear"}, {"factor", 2.0}};
  const json llama3{{"rope_type", "llama3"},
                    {"factor", 8.0},
                    {"low_freq_factor", 1.0},
                    {"high_freq_factor", 4.0},
                    {"original_max_position_embeddings", 16},
                    {"rope_theta", 100.0}};
  const json yarn{{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16}, {"rope_theta", 100.0}};
  const json longrope{{"rope_type", "longrope"},
                      {"short_factor", {1.0, 1.1, 1.5, 2.0}},
                      {"long_factor", {1.0, 2.0, 4.0, 8.0}},
                      {"original_max_position_embeddings", 10},
                      {"rope_theta", 100.0}};
  return {
      {"llama yarn", rotary("llama", {{"rope_parameters", yarn}})},
      {"llama longrope", rotary("llama", {{"rope_parameters", longrope}})},
      {"llama", rotary("llama", {{"rope_parameters", llama3}})},
      {"llama biases, tied, linear",
       rotary("llama",
              {{"attention_bias", true}, {"mlp_bias", true}, {"tie_word_embeddings", true}, {"rope_scaling", linear}})},
      {"llama dynamic", rotary("llama", {{"rope_parameters", dynamic}, {"max_position_embeddings", 10}})},
      {"llama dropout", rotary("llama", {{"attention_dropout", 0.2}})},
      {"mistral", rotary("mistral", {{"sliding_window", 4}})},
      {"mistral without window", rotary("mistral", {{"sliding_window", nullptr}})},
      {"qwen2", rotary("qwen2", {{"use_sliding_window", true}, {"sliding_window", 3}, {"max_window_layers", 1}})},
      {"qwen3", rotary("qwen3", {{"attention_bias", true}})},
      {"gpt2", gpt2()},
      {"gpt2 dropout", gpt2({{"attn_pdrop", 0.1},
                             {"embd_pdrop", 0.1},
                             {"resid_pdrop", 0.2},
                             {"scale_attn_by_inverse_layer_idx", true},
                             {"n_inner", 28}})},
  };
}

std::unique_ptr<Method> loraOn(Model& model, const std::string& target) {
  MethodSettings settings;
  settings.rank = 3;
  settings.targetModules = {target};
  auto method = makeMethod(settings);
  if (!method || !(*method)->attach(model)) qFatal("LoRA does not fit on %s", target.c_str());
  return std::move(*method);
}

// Biases and norms away from 0 and 1, so that leaving one out shows.
void stir(Model& model) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(3);
  for (const auto& entry : model.parameters().entries())
    if (entry.tensor.dim() == 1) {
      auto tensor = entry.tensor;
      tensor.add_(
          at::randn(tensor.sizes(), generator, at::TensorOptions(at::kFloat)).mul_(0.2).to(tensor.scalar_type()));
    }
  model.rebind();
}

std::unique_ptr<Model> fresh(const json& config, at::ScalarType dtype = at::kFloat,
                             HeadKind head = HeadKind::CausalLm) {
  auto model = randomModel(config, head, dtype);
  stir(*model);
  return model;
}

PackedBatch packed(const std::vector<std::vector<int64_t>>& texts) {
  PackedBatch batch;
  batch.starts = {0};
  std::vector<int64_t> ids, positions;
  for (const auto& text : texts) {
    ids.insert(ids.end(), text.begin(), text.end());
    for (size_t k = 0; k < text.size(); ++k) positions.push_back(static_cast<int64_t>(k));
    batch.starts.push_back(static_cast<int64_t>(ids.size()));
  }
  batch.inputIds = at::tensor(ids, at::kLong);
  batch.positionIds = at::tensor(positions, at::kLong);
  return batch;
}

std::vector<std::vector<int64_t>> someTexts() {
  std::vector<std::vector<int64_t>> texts;
  for (const size_t length : {13, 1, 7}) {
    std::vector<int64_t> text;
    for (size_t k = 0; k < length; ++k) text.push_back(static_cast<int64_t>((k * 17 + length * 5) % 61));
    texts.push_back(text);
  }
  return texts;
}

at::Tensor logitsOf(Model& model, const PackedBatch& batch) {
  const at::NoGradGuard off;
  ForwardContext context;
  return model.logits(batch, context);
}

double worst(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace

class Decoders : public QObject {
  Q_OBJECT

  static void rows() {
    QTest::addColumn<QByteArray>("config");
    for (const auto& [name, config] : variants()) QTest::newRow(name) << QByteArray::fromStdString(config.dump());
  }
  static json config() {
    QFETCH(QByteArray, config);
    return json::parse(config.toStdString());
  }

 private Q_SLOTS:
  void packedAsAlone_data() { rows(); }
  void packedAsAlone() {
    auto model = fresh(config());
    const auto texts = someTexts();
    const auto together = logitsOf(*model, packed(texts));
    int64_t at = 0;
    for (const auto& text : texts) {
      const auto alone = logitsOf(*model, packed({text}));
      QVERIFY2(worst(together.narrow(0, at, alone.size(0)), alone) < 2e-5, qPrintable(QString::number(at)));
      at += alone.size(0);
    }
    // Rows chosen by the caller, and logits from hidden states, are the same numbers.
    const at::NoGradGuard off;
    ForwardContext context;
    const auto batch = packed(texts);
    const auto some = at::tensor({0, 5, 20}, at::kLong);
    QVERIFY(worst(model->logitsAt(batch, some, context), together.index_select(0, some)) < 2e-5);
    QVERIFY(worst(model->vocabularyLogits(model->hidden(batch, context)), together) < 2e-5);
  }

  void halfIsNear_data() { rows(); }
  void halfIsNear() {
    const auto full = logitsOf(*fresh(config()), packed(someTexts()));
    const auto half = logitsOf(*fresh(config(), at::kBFloat16), packed(someTexts()));
    QCOMPARE(half.scalar_type(), at::kFloat);
    const double spread = full.std().item<double>();
    QVERIFY2(worst(half, full) < 0.12 * spread, qPrintable(QString("%1 of %2").arg(worst(half, full)).arg(spread)));
    QVERIFY((half - full).abs().mean().item<double>() < 0.02 * spread);
  }

  void recomputationGivesTheSameGradients_data() { rows(); }
  void recomputationGivesTheSameGradients() {
    auto model = fresh(config());
    auto batch = packed(someTexts());
    batch.labels = batch.inputIds.roll(-1);
    batch.labels[12] = batch.labels[13] = batch.labels[20] = -100;
    for (const auto& entry : model->parameters().entries()) {
      auto tensor = entry.tensor;
      tensor.requires_grad_();
    }
    model->rebind();
    std::vector<at::Tensor> first;
    for (const bool recompute : {false, true}) {
      model->gradientCheckpointing = recompute;
      ForwardContext context;
      context.training = true;  // with dropout where the configuration has it
      context.dropoutSeed = 9;
      const auto loss = model->loss(batch, context);
      loss.backward();
      size_t i = 0;
      for (const auto& entry : model->parameters().entries()) {
        auto& grad = entry.tensor.mutable_grad();
        QVERIFY2(grad.defined(), entry.name.c_str());
        QCOMPARE(grad.sizes(), entry.tensor.sizes());
        if (recompute)
          QVERIFY2(worst(grad, first[i++]) < 1e-6, entry.name.c_str());
        else
          first.push_back(grad.clone());
        grad.reset();
      }
    }
  }

  void cacheAsFullPass_data() { rows(); }
  void cacheAsFullPass() {
    // Keys in a cache keep their angles, so what changes them with the length is compared inside the original one.
    const std::string kind = config().contains("rope_parameters") ? config()["rope_parameters"]["rope_type"] : "default";
    const bool dynamic = kind == "dynamic" || kind == "longrope";
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      auto model = fresh(config(), dtype);
      auto texts = someTexts();
      if (dynamic) texts[0].resize(6);
      auto cache = model->newDecodeCache(4, 4);  // grows on the way
      auto last = model->decode(*cache, {0, 1, 2}, packed(texts));
      for (int step = 0; step < 4; ++step) {
        // One token each, two at once, one in other rows than the first ones, after a change of rows.
        if (dynamic && step == 2) break;
        std::vector<std::vector<int64_t>> more;
        for (size_t i = 0; i < texts.size(); ++i) {
          more.push_back({static_cast<int64_t>(i + 3 * static_cast<size_t>(step)) % 61});
          if (step == 1 && i != 1) more.back().push_back(44);
          texts[i].insert(texts[i].end(), more.back().begin(), more.back().end());
        }
        std::vector<int64_t> rowsNow{0, 1, 2};
        if (step == 2) {
          cache->reorder({2, 2, 0, 1});  // rows 1, 2, 3 hold texts 2, 0, 1
          rowsNow = {2, 3, 1};
        }
        if (step == 3) {
          cache->reorder({2, 3, 1});
        }
        auto batch = packed(more);
        std::vector<int64_t> positions;
        for (size_t i = 0; i < more.size(); ++i)
          for (size_t k = 0; k < more[i].size(); ++k)
            positions.push_back(static_cast<int64_t>(texts[i].size() - more[i].size() + k));
        batch.positionIds = at::tensor(positions, at::kLong);
        last = model->decode(*cache, rowsNow, batch);
        const auto whole = packed(texts);
        std::vector<int64_t> ends;
        for (size_t i = 1; i < whole.starts.size(); ++i) ends.push_back(whole.starts[i] - 1);
        const auto expected = logitsOf(*model, whole).index_select(0, at::tensor(ends, at::kLong));
        const double allowed = dtype == at::kFloat ? 3e-5 : 0.1 * expected.std().item<double>();
        QVERIFY2(worst(last, expected) < allowed,
                 qPrintable(QString("step %1: %2").arg(step).arg(worst(last, expected))));
      }
    }
  }

  void savedAndReadBack_data() { rows(); }
  void savedAndReadBack() {
    auto model = fresh(config());
    const Folder folder(config());
    NamedTensors tensors;
    for (const auto& [name, tensor] : model->parameters().entries()) tensors.emplace_back(name, tensor);
    QVERIFY(writeSafetensors(folder.path() / "model.safetensors", tensors).ok());
    const auto read = loadModel(folder.path(), {});
    QVERIFY2(read.ok(), read ? "" : read.error().message().c_str());
    const auto& again = *read;
    QVERIFY(again->loadReport().unused.empty() && again->loadReport().newlyInitialised.empty());
    QVERIFY(at::equal(logitsOf(*again, packed(someTexts())), logitsOf(*model, packed(someTexts()))));
    QCOMPARE(fourBitSitesProblem(folder.path(), {}, packed(someTexts())), QString());
    const auto family = findModelFamily(config()["model_type"]);
    const auto shapes = (*family)->siteShapes(config());
    QVERIFY(shapes.ok());
    QCOMPARE(shapes->size(), again->sites().size());
    for (size_t i = 0; i < shapes->size(); ++i) {
      const auto& site = *again->sites()[i];
      QCOMPARE((*shapes)[i].name, site.name);
      QCOMPARE(site.weight.sizes(), (at::IntArrayRef{(*shapes)[i].outFeatures, (*shapes)[i].inFeatures}));
      QVERIFY(site.weight.is_contiguous() == (site.operation == SiteOperation::Linear));
      QCOMPARE((*shapes)[i].hasBias, site.bias.defined());
      const auto& parameter = again->parameters().at(site.name + ".weight");
      QCOMPARE(parameter.sizes().vec(), site.parameterShape());
      QVERIFY(at::equal(parameter, site.parameterOf(site.weight)));
      QVERIFY(parameter.data_ptr() == site.weight.data_ptr());
    }
  }

  void everySiteCarriesAndMergesLora_data() { rows(); }
  void everySiteCarriesAndMergesLora() {
    auto model = fresh(config());
    const auto batch = packed(someTexts());
    const auto before = logitsOf(*model, batch);
    const auto method = loraOn(*model, "all-linear");
    QVERIFY(worst(logitsOf(*model, batch), before) < 2e-5);
    size_t pairs = 0;
    for (auto pair : method->factorPairs()) {
      const at::NoGradGuard off;
      pair.B.normal_(0, 0.1);
      ++pairs;
    }
    QCOMPARE(pairs + 1, model->sites().size());  // without the embedding
    const auto adapted = logitsOf(*model, batch);
    QVERIFY(worst(adapted, before) > 1e-2);
    QVERIFY(method->merge(*model).ok());
    QVERIFY2(worst(logitsOf(*model, batch), adapted) < 1e-4,
             qPrintable(QString::number(worst(logitsOf(*model, batch), adapted))));
  }

  // The lookup alone is adapted: a head that is tied to the embedding keeps the base's words, as in PEFT, and such a pair
  // cannot be merged.
  void embeddingCarriesLora_data() { rows(); }
  void embeddingCarriesLora() {
    auto model = fresh(config());
    const auto batch = packed(someTexts());
    const auto before = logitsOf(*model, batch);
    LinearSite& words = *model->sites().back();
    QCOMPARE(words.operation, SiteOperation::Embedding);
    const auto method = loraOn(*model, words.kind);
    QCOMPARE(method->changedSites().size(), size_t{1});
    QVERIFY(at::equal(logitsOf(*model, batch), before));  // A = 0
    const FactorPair pair = method->factorPairs().front();
    QCOMPARE(pair.A.sizes(), (at::IntArrayRef{3, model->vocabSize()}));
    QCOMPARE(pair.B.sizes(), (at::IntArrayRef{model->hiddenSize(), 3}));
    {
      const at::NoGradGuard off;
      at::Tensor a = pair.A;
      a.normal_(0, 0.1);
    }
    const auto adapted = logitsOf(*model, batch);
    QVERIFY(worst(adapted, before) > 1e-2);
    // Only the rows of words that were read have a gradient.
    ForwardContext context;
    model->logits(batch, context).square().mean().backward();
    const at::Tensor moved = pair.A.grad().ne(0).any(0).nonzero().view(-1);
    const at::Tensor read = std::get<0>(at::_unique2(batch.inputIds));
    QVERIFY(at::equal(moved, read));
    // The same table, by hand.
    auto twin = fresh(config());
    const at::NoGradGuard off;
    const at::Tensor table = words.weight.t() + words.adapter->deltaWeight().t();
    if (twin->isTied(words.name + ".weight")) {
      const auto merged = method->merge(*model);
      QVERIFY(!merged.ok() && merged.error().what.find("tied") != std::string::npos);
      const at::Tensor own = twin->parameters().at("lm_head.weight").clone();
      twin->sites().back()->weight = table.t();
      QVERIFY(worst(logitsOf(*twin, batch), adapted) < 1e-4);
      QVERIFY(at::equal(twin->parameters().at("lm_head.weight"), own));
      return;
    }
    QVERIFY(method->merge(*model).ok());
    QVERIFY(at::allclose(model->parameters().at(words.name + ".weight"), table));
    QVERIFY(worst(logitsOf(*model, batch), adapted) < 1e-4);
  }

  void fullFineTuningKeepsTheLayout() {
    auto model = fresh(gpt2());
    const auto before = logitsOf(*model, packed(someTexts()));
    MethodSettings settings;
    settings.name = "full";
    auto method = makeMethod(settings);
    QVERIFY((*method)->attach(*model).ok());
    QCOMPARE(model->parameters().at("transformer.h.0.attn.c_attn.weight").sizes(), (at::IntArrayRef{24, 72}));
    QVERIFY(worst(logitsOf(*model, packed(someTexts())), before) < 2e-5);
    QVERIFY((*method)->merge(*model).ok());
    QVERIFY(worst(logitsOf(*model, packed(someTexts())), before) < 2e-5);
    QVERIFY(model->sites()[0]->weight.is_contiguous());
  }

  void heads() {
    for (const auto& [name, config] : variants()) {
      const auto last = fresh(config, at::kFloat, HeadKind::SequenceClassification);
      auto batch = packed(someTexts());
      QCOMPARE(logitsOf(*last, batch).sizes(), (at::IntArrayRef{3, 3}));
      QCOMPARE(last->headParameters(), std::vector<std::string>{"score.weight"});
      batch.labels = at::tensor({0, 1, 1}, at::kLong);
      ForwardContext context;
      QVERIFY(std::isfinite(last->loss(batch, context).item<double>()));
      QVERIFY_EXCEPTION_THROWN(last->newDecodeCache(1, 4), ErrorException);
    }
    const auto spans = fresh(gpt2(), at::kFloat, HeadKind::TokenSpan);
    auto batch = packed(someTexts());
    batch.labels = at::tensor({2, 4, 0, 0, 1, -1}, at::kLong).view({3, 2});
    const auto logits = logitsOf(*spans, batch);
    QCOMPARE(logits.sizes(), (at::IntArrayRef{21, 2}));
    ForwardContext context;
    const auto nll = [&](int64_t begin, int64_t length, int64_t column, int64_t place) {
      const auto own = logits.narrow(0, begin, length).select(1, column);
      return (at::logsumexp(own, 0) - own[place]).item<double>();
    };
    const double expected =
        (nll(0, 13, 0, 2) + nll(13, 1, 0, 0) + nll(14, 7, 0, 1)) / 6 + (nll(0, 13, 1, 4) + nll(13, 1, 1, 0)) / 4;
    QVERIFY(std::abs(spans->loss(batch, context).item<double>() - expected) < 1e-5);
    QCOMPARE(spans->headParameters(), (std::vector<std::string>{"qa_outputs.weight", "qa_outputs.bias"}));
    // A decoder has no masked tokens.
    const Folder folder(gpt2());
    ModelLoadOptions masked;
    masked.randomInit = true;
    masked.head = HeadKind::MaskedLm;
    QVERIFY(!loadModel(folder.path(), masked).ok());
  }

  void positionsHaveAnEnd() {
    // Learned positions do; rotary ones go on.
    const std::vector<int64_t> text(65, 3);
    auto learned = fresh(gpt2());
    QVERIFY_EXCEPTION_THROWN(logitsOf(*learned, packed({text})), ErrorException);
    auto rotating = fresh(rotary("llama", json::object()));
    QCOMPARE(logitsOf(*rotating, packed({text})).size(0), int64_t{65});
  }
};

QTEST_GUILESS_MAIN(Decoders)
#include "decoders.moc"
