// llama.cpp's adapter layout: read back by our own reader and applied by llama.cpp's rule, it is the run's update.

#include <QtTest/QtTest>

#include <fstream>

#include "core/io/gguf_model.h"
#include "core/io/mapped_file.h"
#include "core/io/weight_source.h"
#include "core/methods/gguf_adapter.h"
#include "core/models/registry.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;
namespace fs = std::filesystem;

namespace {

std::unique_ptr<Model> tinyModel(const fs::path& folder, const char* type, HeadKind head = HeadKind::CausalLm) {
  const nlohmann::json config = {
      {"model_type", type},     {"vocab_size", 11},         {"hidden_size", 16},        {"intermediate_size", 24},
      {"num_hidden_layers", 2}, {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"max_position_embeddings", 32},
      {"rms_norm_eps", 1e-5}};
  std::ofstream(folder / "config.json") << config.dump();
  ModelLoadOptions options;
  options.randomInit = true;
  options.head = head;
  auto model = loadModel(folder, options);
  if (!model) qFatal("%s", model.error().message().c_str());
  return std::move(model).value();
}

std::unique_ptr<Method> trainedMethod(Model& model, const MethodSettings& settings) {
  auto method = attached(model, settings);
  disturb(*method);
  return method;
}

}  // namespace

class GgufAdapterTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void updateIsTheSame_data() {
    QTest::addColumn<QString>("family");
    QTest::addColumn<QString>("method");
    QTest::addColumn<bool>("patterns");
    QTest::newRow("llama") << "llama"
                           << "lora" << false;
    QTest::newRow("llama, root scaling") << "llama"
                                         << "rora" << false;
    QTest::newRow("llama, patterns") << "llama"
                                     << "lora" << true;
    QTest::newRow("qwen2") << "qwen2"
                           << "lora" << false;
    QTest::newRow("mistral") << "mistral"
                             << "lora" << false;
  }
  void updateIsTheSame() {
    QFETCH(QString, family);
    QFETCH(QString, method);
    QFETCH(bool, patterns);
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString(), file = folder / "adapter.gguf";
    const auto model = tinyModel(folder, qPrintable(family));
    MethodSettings settings;
    settings.name = method.toStdString();
    settings.rank = 4;
    settings.alpha = 10;
    settings.targetModules = {"all-linear"};
    if (patterns) {
      settings.rankPattern = {{"q_proj", 2}};
      settings.alphaPattern = {{"down_proj", 3}};
    }
    const auto trained = trainedMethod(*model, settings);
    const auto report = writeGgufAdapter(file, *trained, *model, "test");
    QVERIFY2(report.ok(), report.ok() ? "" : report.error().message().c_str());
    QCOMPARE(report->sites, int64_t{14});

    const auto mapped = MappedFile::open(file);
    const auto table = parseGguf((*mapped)->bytes(), "file");
    QVERIFY2(table.ok(), table.ok() ? "" : table.error().message().c_str());
    QCOMPARE(table->text("general.type"), std::string("adapter"));
    QCOMPARE(table->text("adapter.type"), std::string("lora"));
    QCOMPARE(table->text("general.architecture"), family == "mistral" ? std::string("llama") : family.toStdString());
    const double alpha = *table->real("adapter.lora.alpha");
    const auto source = WeightSource::open(file);
    QVERIFY2(source.ok(), source.ok() ? "" : source.error().message().c_str());
    for (const FactorPair& pair : trained->factorPairs()) {
      const std::string name = ggufNameOfModel(pair.site->name + ".weight");
      const at::Tensor a = source->tensor(name + ".lora_a").value(), b = source->tensor(name + ".lora_b").value();
      QCOMPARE(a.size(1), pair.site->inFeatures);
      QCOMPARE(b.size(0), pair.site->outFeatures);
      at::Tensor update = b.mm(a) * (alpha / static_cast<double>(a.size(0)));  // llama.cpp's scale
      const at::Tensor wanted = pair.B.detach().mm(pair.A.detach()) * pair.scaling;
      const bool rotary = family != "qwen2" && (pair.site->kind == "q_proj" || pair.site->kind == "k_proj");
      if (rotary) {  // GGUF's row (h, i, half) back to (h, half, i): head size 4
        const int64_t heads = update.size(0) / 4;
        update = update.view({heads, 2, 2, -1}).transpose(1, 2).reshape(wanted.sizes());
      }
      QVERIFY2(at::allclose(update, wanted, 1e-5, 1e-6), name.c_str());
    }
  }

  void whatTheLayoutCannotHold() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    MethodSettings settings;
    settings.targetModules = {"q_proj"};
    const auto classifier = tinyModel(folder, "llama", HeadKind::SequenceClassification);
    const auto withHead = trainedMethod(*classifier, settings);
    const auto refused = writeGgufAdapter(folder / "a.gguf", *withHead, *classifier, "x");
    QVERIFY(!refused.ok() && refused.error().message().find("factors only") != std::string::npos);
    const auto whole = tinyModel(folder, "llama");
    settings.name = "full";
    const auto full = trainedMethod(*whole, settings);
    const auto none = writeGgufAdapter(folder / "a.gguf", *full, *whole, "x");
    QVERIFY(!none.ok() && !none.error().hint.empty());
    QVERIFY(!fs::exists(folder / "a.gguf"));
  }
};

QTEST_GUILESS_MAIN(GgufAdapterTest)
#include "gguf_adapter.moc"
