// Where a model's numbers may come from: GGUF with its own config, pickled checkpoints, programs that wrap the model;
// and the report of everything that does not fit.

#include <QtTest/QtTest>

#include <fstream>

#include "core/config/json_text.h"
#include "core/io/safetensors_writer.h"
#include "core/models/registry.h"
#include "tests/core/io/archive_builder.h"

using namespace rankscope;
namespace fs = std::filesystem;

namespace {

const nlohmann::json kTiny = {{"model_type", "llama"},      {"vocab_size", 11},
                              {"hidden_size", 8},           {"intermediate_size", 12},
                              {"num_hidden_layers", 1},     {"num_attention_heads", 2},
                              {"num_key_value_heads", 1},   {"max_position_embeddings", 16},
                              {"tie_word_embeddings", true}};

PackedBatch batchOf(const std::vector<int64_t>& ids) {
  PackedBatch batch;
  batch.inputIds = at::tensor(ids, at::kLong);
  batch.positionIds = at::arange(static_cast<int64_t>(ids.size()));
  batch.starts = {0, static_cast<int64_t>(ids.size())};
  return batch;
}

at::Tensor logitsOf(Model& model, const std::vector<int64_t>& ids) {
  const at::NoGradGuard noGrad;
  ForwardContext context;
  return model.logits(batchOf(ids), context);
}

struct Source {
  QTemporaryDir dir;
  fs::path path() const { return dir.path().toStdString(); }
  std::unique_ptr<Model> model;
  Source() {
    std::ofstream(path() / "config.json") << kTiny.dump();
    ModelLoadOptions options;
    options.randomInit = true;
    options.seed = 3;
    auto made = loadModel(path(), options);
    if (!made) qFatal("%s", made.error().message().c_str());
    model = std::move(made).value();
  }
  NamedTensors tensors() const {
    NamedTensors all;
    for (const NamedTensor& entry : model->parameters().entries()) all.emplace_back(entry.name, entry.tensor.detach());
    return all;
  }
};

}  // namespace

class ModelWeightsTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // fixtures/make_gguf.py recorded what transformers answers with the same file.
  void ggufAnswersAsTransformers() {
    const fs::path folder = fs::path(RANKSCOPE_SOURCE_DIR) / "tests/core/io/fixtures";
    const auto recorded = readJsonFile(folder / "tiny.json");
    QVERIFY(recorded.ok());
    for (const fs::path& place : {folder, folder / "tiny.gguf"}) {
      const auto model = loadModel(place, {});
      QVERIFY2(model.ok(), model.ok() ? "" : model.error().message().c_str());
      QVERIFY((*model)->loadReport().unused.empty() && (*model)->loadReport().newlyInitialised.empty());
      const at::Tensor last = logitsOf(**model, {1, 3, 5, 7, 4})[-1];
      const auto wanted = (*recorded)["logits"].get<std::vector<float>>();
      QVERIFY2(at::allclose(last, at::tensor(wanted), 1e-4, 1e-2),
               fmt::format("{}", (last - at::tensor(wanted)).abs().max().item<float>()).c_str());
    }
  }

  void pickledCheckpoint() {
    using namespace archive;
    const Source source;
    std::vector<std::pair<std::string, std::string>> items;
    std::vector<std::string> storages;
    for (const auto& [name, tensor] : source.tensors()) {
      std::vector<int32_t> shape, strides;
      for (int64_t i = 0; i < tensor.dim(); ++i) {
        shape.push_back(static_cast<int32_t>(tensor.size(i)));
        strides.push_back(static_cast<int32_t>(tensor.contiguous().stride(i)));
      }
      const at::Tensor flat = tensor.contiguous();
      items.emplace_back("module." + name, archive::tensor(storage("FloatStorage", std::to_string(storages.size()),
                                                                   static_cast<int32_t>(flat.numel())),
                                                           0, shape, strides));
      storages.emplace_back(static_cast<const char*>(flat.const_data_ptr()), static_cast<size_t>(flat.numel()) * 4);
    }
    const std::string bytes = torchZip(dictPickle(items), storages);
    std::ofstream(source.path() / "pytorch_model.bin", std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    const auto model = loadModel(source.path(), {});
    QVERIFY2(model.ok(), model.ok() ? "" : model.error().message().c_str());
    QVERIFY(at::equal(logitsOf(**model, {1, 2, 3}), logitsOf(*source.model, {1, 2, 3})));
  }

  void wrappedNames_data() {
    QTest::addColumn<QString>("add");
    QTest::addColumn<int>("drop");
    QTest::newRow("as they are") << "" << 0;
    QTest::newRow("without the base") << "" << 6;
    QTest::newRow("inside another model") << "language_model." << 0;
    QTest::newRow("inside another model, without the base") << "0.auto_model." << 6;
  }
  void wrappedNames() {
    QFETCH(QString, add);
    QFETCH(int, drop);
    const Source source;
    NamedTensors tensors = source.tensors();
    for (auto& [name, tensor] : tensors) name = add.toStdString() + name.substr(static_cast<size_t>(drop));
    tensors.emplace_back(add.toStdString() + "layers.0.self_attn.rotary_emb.inv_freq", at::ones({2}));
    tensors.emplace_back("step", at::ones({1}, at::kLong));
    QVERIFY(writeSafetensors(source.path() / "model.safetensors", tensors).ok());
    const auto model = loadModel(source.path(), {});
    QVERIFY2(model.ok(), model.ok() ? "" : model.error().message().c_str());
    QVERIFY(at::equal(logitsOf(**model, {1, 2, 3}), logitsOf(*source.model, {1, 2, 3})));
    QCOMPARE((*model)->loadReport().unused, std::vector<std::string>{"step"});
  }

  void everythingThatDoesNotFit() {
    const Source source;
    NamedTensors tensors = source.tensors();
    tensors[0].second = at::zeros({12, 8});  // the embedding
    tensors.back().first = "model.final_norm.weight";
    QVERIFY(writeSafetensors(source.path() / "model.safetensors", tensors).ok());
    const auto model = loadModel(source.path(), {});
    QVERIFY(!model.ok());
    const std::string& found = model.error().found;
    QVERIFY2(model.error().what.find("2 tensors") != std::string::npos, model.error().what.c_str());
    for (const char* words :
         {"1 missing: model.norm.weight [8].", "1 misshapen: model.embed_tokens.weight is [12, 8], not [11, 8].",
          "1 not expected: model.final_norm.weight [8]"})
      QVERIFY2(found.find(words) != std::string::npos, found.c_str());
  }
};

QTEST_GUILESS_MAIN(ModelWeightsTest)
#include "weights.moc"
