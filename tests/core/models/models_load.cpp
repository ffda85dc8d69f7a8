// Loading: names with and without prefix, buffers, missing heads, missing and misshapen tensors, random starts, wrong
// configurations; generation's options.

#include "golden_case.h"

#include <QtCore/QTemporaryDir>

#include <fstream>

#include "core/io/safetensors_writer.h"
#include "core/models/generate.h"

using namespace rankscope;
using namespace rankscope::testing;

namespace {

nlohmann::json tinyBert() {
  return {{"model_type", "bert"}, {"vocab_size", 40}, {"hidden_size", 8}, {"intermediate_size", 16},
          {"num_hidden_layers", 2}, {"num_attention_heads", 2}, {"max_position_embeddings", 16},
          {"initializer_range", 0.5}};
}

nlohmann::json tinyLlama() {
  return {{"model_type", "llama"}, {"vocab_size", 40}, {"hidden_size", 12}, {"intermediate_size", 16},
          {"num_hidden_layers", 2}, {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"head_dim", 4},
          {"max_position_embeddings", 16}, {"attention_bias", true}, {"mlp_bias", true}, {"initializer_range", 0.5}};
}

struct Folder {
  QTemporaryDir dir;
  std::filesystem::path path() const { return dir.path().toStdString(); }
  void config(const nlohmann::json& json) const { std::ofstream(path() / "config.json") << json.dump(); }
  void weights(const NamedTensors& tensors) const {
    const auto written = writeSafetensors(path() / "model.safetensors", tensors);
    if (!written) qFatal("%s", written.error().message().c_str());
  }
};

ModelLoadOptions classifier(int64_t labels) {
  ModelLoadOptions options;
  options.head = HeadKind::SequenceClassification;
  options.numLabels = labels;
  return options;
}

PackedBatch smallBatch() {
  PackedBatch batch;
  batch.starts = {0, 3, 5};
  batch.inputIds = at::tensor({1, 2, 3, 4, 5}, at::kLong);
  batch.positionIds = at::tensor({0, 1, 2, 0, 1}, at::kLong);
  return batch;
}

}  // namespace

class ModelsLoad : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void randomStart() {
    Folder folder;
    folder.config(tinyBert());
    auto options = classifier(3);
    options.randomInit = true;
    options.seed = 7;
    auto first = loadModel(folder.path(), options), second = loadModel(folder.path(), options);
    options.seed = 8;
    auto third = loadModel(folder.path(), options);
    QVERIFY(first.ok() && second.ok() && third.ok());
    bool differs = false;
    for (const auto& [name, tensor] : (*first)->parameters().entries()) {
      QVERIFY2(at::equal(tensor, (*second)->parameters().at(name)), name.c_str());
      differs |= !at::equal(tensor, (*third)->parameters().at(name));
    }
    QVERIFY(differs);
    const auto& p = (*first)->parameters();
    QVERIFY(at::equal(p.at("bert.embeddings.LayerNorm.weight"), at::ones({8})));
    QCOMPARE(p.at("bert.encoder.layer.0.intermediate.dense.bias").abs().max().item<float>(), 0.f);
    QCOMPARE(p.at("bert.embeddings.word_embeddings.weight").select(0, 0).abs().max().item<float>(), 0.f);
    const auto spread = p.at("bert.encoder.layer.1.intermediate.dense.weight").std().item<float>();
    QVERIFY(spread > 0.35 && spread < 0.65);
    // bfloat16 holds the same draw, rounded.
    options.seed = 7;
    options.dtype = at::kBFloat16;
    auto half = loadModel(folder.path(), options);
    QVERIFY(half.ok());
    QVERIFY(at::equal((*half)->parameters().at("classifier.weight"), p.at("classifier.weight").to(at::kBFloat16)));
  }

  void namesWithAndWithoutPrefix() {
    Folder made;
    made.config(tinyBert());
    auto options = classifier(2);
    options.randomInit = true;
    auto source = loadModel(made.path(), options);
    QVERIFY(source.ok());
    for (const bool prefix : {true, false}) {
      Folder folder;
      folder.config(tinyBert());
      NamedTensors tensors{{"embeddings.position_ids", at::arange(16)}};
      for (const auto& [name, tensor] : (*source)->parameters().entries()) {
        if (name.rfind("classifier", 0) == 0) continue;
        auto shown = prefix ? name : name.substr(5);
        if (const auto at = shown.find("LayerNorm.weight"); !prefix && at != std::string::npos)
          shown = shown.substr(0, at) + "LayerNorm.gamma";
        tensors.emplace_back(shown, tensor);
      }
      tensors.emplace_back("cls.predictions.bias", at::zeros({40}));
      folder.weights(tensors);
      auto model = loadModel(folder.path(), classifier(5));
      QVERIFY2(model.ok(), model.ok() ? "" : model.error().message().c_str());
      QCOMPARE((*model)->loadReport().unused, std::vector<std::string>{"cls.predictions.bias"});
      QCOMPARE((*model)->loadReport().newlyInitialised,
               (std::vector<std::string>{"classifier.weight", "classifier.bias"}));
      QCOMPARE((*model)->parameters().at("classifier.weight").size(0), 5);
      at::NoGradGuard off;
      ForwardContext context;
      QVERIFY(at::equal((*model)->hidden(smallBatch(), context), (*source)->hidden(smallBatch(), context)));
    }
  }

  void everyMisfitIsListed() {
    Folder folder;
    folder.config(tinyLlama());
    folder.weights({{"model.embed_tokens.weight", at::zeros({41, 12})}, {"model.norm.weight", at::zeros({12})}});
    const auto model = loadModel(folder.path(), {});
    QVERIFY(!model.ok());
    const auto& error = model.error();
    QVERIFY(error.found.find("model.embed_tokens.weight is [41, 12], not [40, 12]") != std::string::npos);
    QVERIFY(error.found.find("missing: model.layers.0.input_layernorm.weight [12]; model.layers.0.self_attn.q_proj.weight") != std::string::npos);
    QVERIFY(error.found.find("more") != std::string::npos);
    QVERIFY(!error.hint.empty());
  }

  void wrongConfigurations_data() {
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("value");
    const auto row = [](const char* key, const char* value) {
      QTest::newRow(qPrintable(QString("%1 %2").arg(key, value))) << QString(key) << QString(value);
    };
    row("num_hidden_layers", "-1");
    row("num_hidden_layers", "\"two\"");
    row("hidden_size", "18446744073709551615");
    row("hidden_size", "1.5");
    row("num_key_value_heads", "3");
    row("head_dim", "3");
    row("hidden_act", "\"gelu\"");
    row("rms_norm_eps", "\"x\"");
    row("rope_scaling", "{\"type\":\"yarn\"}");
    row("rope_scaling", "[]");
    row("rope_parameters", "{\"rope_type\":\"llama3\"}");
    row("model_type", "\"mamba\"");
    row("model_type", "null");
    row("tie_word_embeddings", "1");
  }
  void wrongConfigurations() {
    QFETCH(QString, key);
    QFETCH(QString, value);
    Folder folder;
    auto config = tinyLlama();
    config[key.toStdString()] = nlohmann::json::parse(value.toStdString());
    folder.config(config);
    ModelLoadOptions options;
    options.randomInit = true;
    const auto model = loadModel(folder.path(), options);
    QVERIFY(!model.ok());
    QVERIFY(!model.error().hint.empty());
    QVERIFY(model.error().message().find(key.startsWith("rope") ? "rope" : key.toStdString()) != std::string::npos);
  }

  void tooLargeForMemory() {
    Folder folder;
    auto config = tinyLlama();
    config["hidden_size"] = 1 << 24;
    config["vocab_size"] = 1 << 24;
    folder.config(config);
    ModelLoadOptions options;
    options.randomInit = true;
    QVERIFY(!loadModel(folder.path(), options).ok());
  }

  void sitesFollowTheConfig() {
    auto roberta = tinyBert(), mpnet = tinyBert(), deberta = tinyBert();
    roberta["model_type"] = "roberta";
    mpnet["model_type"] = "mpnet";
    deberta.update(nlohmann::json{
        {"model_type", "deberta-v2"}, {"relative_attention", true}, {"pos_att_type", {"c2p", "p2c"}}});
    for (const auto& config : {tinyLlama(), tinyBert(), roberta, mpnet, deberta}) {
      Folder folder;
      folder.config(config);
      auto options = classifier(2);
      options.randomInit = true;
      auto model = loadModel(folder.path(), options);
      QVERIFY(model.ok());
      const auto family = findModelFamily(config["model_type"]);
      const auto shapes = (*family)->siteShapes(config);
      QVERIFY(shapes.ok());
      QCOMPARE(shapes->size(), (*model)->sites().size());
      for (size_t i = 0; i < shapes->size(); ++i) {
        const auto* site = (*model)->sites()[i];
        QCOMPARE(site->name, (*shapes)[i].name);
        QCOMPARE(site->weight.sizes(), (at::IntArrayRef{(*shapes)[i].outFeatures, (*shapes)[i].inFeatures}));
        QCOMPARE(site->bias.defined(), (*shapes)[i].hasBias);
      }
    }
  }

  void replacedMasterIsUsed() {
    // A float32 master under bfloat16 compute, as full fine-tuning installs it.
    Folder folder;
    folder.config(tinyLlama());
    ModelLoadOptions options;
    options.randomInit = true;
    options.dtype = at::kBFloat16;
    auto model = std::move(loadModel(folder.path(), options)).value();
    const std::string name = "model.layers.1.self_attn.k_proj.weight";
    const auto master = (model->parameters().at(name).to(at::kFloat) * 2).requires_grad_();
    model->parameters().replace(name, master);
    model->rebind();
    auto batch = smallBatch();
    batch.labels = at::tensor({2, 3, -100, 5, -100}, at::kLong);
    ForwardContext context;
    context.training = true;
    model->loss(batch, context).backward();
    QVERIFY(master.grad().defined());
    QCOMPARE(master.grad().scalar_type(), at::kFloat);
    QVERIFY(master.grad().abs().max().item<float>() > 0);
  }

  void dropoutIsAFunctionOfItsPlace() {
    Folder folder;
    folder.config(tinyBert());
    auto options = classifier(2);
    options.randomInit = true;
    auto model = std::move(loadModel(folder.path(), options)).value();
    auto batch = smallBatch();
    batch.labels = at::tensor({0, 1}, at::kLong);
    const auto lossAt = [&](uint64_t seed, int64_t step, bool recompute) {
      model->gradientCheckpointing = recompute;
      ForwardContext context;
      context.training = true;
      context.dropoutSeed = seed;
      context.step = step;
      return model->loss(batch, context).item<float>();
    };
    QCOMPARE(lossAt(1, 0, false), lossAt(1, 0, true));
    QVERIFY(lossAt(1, 0, false) != lossAt(1, 1, false));
    QVERIFY(lossAt(1, 0, false) != lossAt(2, 0, false));
    ForwardContext still;
    const auto a = model->loss(batch, still).item<float>();
    QCOMPARE(a, model->loss(batch, still).item<float>());
  }

  void regression() {
    Folder folder;
    folder.config(tinyBert());
    auto options = classifier(1);
    options.randomInit = true;
    auto model = std::move(loadModel(folder.path(), options)).value();
    auto batch = smallBatch();
    batch.labels = at::tensor({1.5f, -2.f});
    ForwardContext context;
    const auto expected = (model->logits(batch, context).squeeze(1) - batch.labels).square().mean();
    QVERIFY(worst(model->loss(batch, context), expected) < 1e-6);
  }

  void badBatches() {
    Folder folder;
    folder.config(tinyLlama());
    ModelLoadOptions options;
    options.randomInit = true;
    auto model = std::move(loadModel(folder.path(), options)).value();
    ForwardContext context;
    auto batch = smallBatch();
    batch.inputIds[2] = 40;
    QVERIFY_EXCEPTION_THROWN(model->hidden(batch, context), ErrorException);
    batch = smallBatch();
    batch.starts = {0, 3, 3, 5};
    QVERIFY_EXCEPTION_THROWN(model->hidden(batch, context), ErrorException);
    batch.starts = {0};
    QVERIFY_EXCEPTION_THROWN(model->hidden(batch, context), ErrorException);
    batch.starts = {0, 4};
    QVERIFY_EXCEPTION_THROWN(model->hidden(batch, context), ErrorException);
  }

  void generation() {
    Folder folder;
    folder.config(tinyLlama());
    ModelLoadOptions options;
    options.randomInit = true;
    auto model = std::move(loadModel(folder.path(), options)).value();
    GenerateOptions how;
    how.maxNewTokens = 6;
    // Together and alone, the same; the same as the full forward pass.
    const std::vector<std::vector<int64_t>> prompts{{1, 2, 3}, {7}, {9, 8, 7, 6, 5}};
    const auto together = generate(*model, prompts, how);
    QVERIFY(together.ok());
    at::NoGradGuard off;
    for (size_t i = 0; i < prompts.size(); ++i) {
      const auto alone = generate(*model, {prompts[i]}, how);
      QCOMPARE((*alone)[0].tokens, (*together)[i].tokens);
      auto text = prompts[i];
      for (const auto token : (*alone)[0].tokens) {
        PackedBatch batch;
        batch.starts = {0, static_cast<int64_t>(text.size())};
        batch.inputIds = at::tensor(text, at::kLong);
        batch.positionIds = at::arange(batch.starts[1], at::kLong);
        ForwardContext context;
        QCOMPARE(model->logits(batch, context).select(0, -1).argmax().item<int64_t>(), token);
        text.push_back(token);
      }
    }
    how.temperature = 0.8;
    how.seed = 3;
    const auto sampled = generate(*model, prompts, how), again = generate(*model, prompts, how);
    QCOMPARE((*sampled)[2].tokens, (*again)[2].tokens);
    how.seed = 4;
    QVERIFY((*generate(*model, prompts, how))[2].tokens != (*sampled)[2].tokens);
    how.temperature = 0;
    how.maxNewTokens = 100;
    const auto full = generate(*model, prompts, how);
    QVERIFY((*full)[2].end == Generated::End::ContextFull);
    QCOMPARE((*full)[2].tokens.size(), size_t{16 - 5 + 1});
    how.stopTokens = {(*together)[1].tokens[0]};
    QVERIFY((*generate(*model, {{7}}, how))[0].end == Generated::End::StopToken);
    int count = 0;
    how.stopTokens.clear();
    how.onToken = [&](size_t, int64_t) { return ++count < 3; };
    QVERIFY((*generate(*model, {{7}}, how))[0].end == Generated::End::Cancelled);
    QCOMPARE(count, 3);
    QVERIFY(!generate(*model, {{}}, how).ok());
    QVERIFY(!generate(*model, {std::vector<int64_t>(17, 1)}, how).ok());
    how.topP = 0;
    QVERIFY(!generate(*model, {{7}}, how).ok());
  }

  void choices() {
    const std::vector<float> logits{0.f, 2.f, 1.f, 2.f};
    Sampling how;
    QCOMPARE(chooseToken(logits.data(), 4, how, 0.99), int64_t{1});
    how.temperature = 1;
    QCOMPARE(chooseToken(logits.data(), 4, how, 0.0), int64_t{1});
    QCOMPARE(chooseToken(logits.data(), 4, how, 0.9999), int64_t{0});
    how.topK = 2;
    QCOMPARE(chooseToken(logits.data(), 4, how, 0.9999), int64_t{3});
    how.topK = 0;
    how.topP = 0.1;
    QCOMPARE(chooseToken(logits.data(), 4, how, 0.9999), int64_t{1});
  }
};

QTEST_GUILESS_MAIN(ModelsLoad)
#include "models_load.moc"
