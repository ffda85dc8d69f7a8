// A model of shapes alone is the model that loading would make, without its memory.

#include <ATen/ATen.h>
#include <QtTest/QtTest>

#include "core/io/safetensors_writer.h"
#include "core/methods/registry.h"
#include "tests/support/random_models.h"

using namespace rankscope;
using namespace rankscope::testing;
using nlohmann::json;

namespace {

std::map<std::string, std::string> described(const ParameterTable& table) {
  std::map<std::string, std::string> out;
  for (const NamedTensor& entry : table.entries())
    out[entry.name] = fmt::format("{} {}", c10::str(entry.tensor.sizes()), c10::toString(entry.tensor.scalar_type()));
  return out;
}

std::unique_ptr<Model> outline(const std::filesystem::path& folder, HeadKind head, bool randomInit, int64_t labels = 3) {
  ModelLoadOptions options;
  options.shapesOnly = true;
  options.reportMisfits = true;
  options.head = head;
  options.numLabels = labels;
  options.randomInit = randomInit;
  auto model = loadModel(folder, options);
  if (!model) qFatal("%s", model.error().message().c_str());
  return std::move(model).value();
}

void save(const Model& model, const std::filesystem::path& folder, const std::string& without = "-") {
  NamedTensors tensors;
  for (const NamedTensor& entry : model.parameters().entries())
    if (entry.name.find(without) == std::string::npos) tensors.emplace_back(entry.name, entry.tensor);
  QVERIFY(writeSafetensors(folder / "model.safetensors", tensors).ok());
}

}  // namespace

class ShapesOnly : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void theModelThatLoadingMakes_data() {
    QTest::addColumn<QByteArray>("config");
    QTest::addColumn<int>("head");
    for (const auto& [name, config] : families())
      for (const HeadKind head : (*findModelFamily(config["model_type"]))->heads)
        QTest::addRow("%s %s", name.c_str(), headName(head)) << QByteArray::fromStdString(config.dump()) << static_cast<int>(head);
    const json images{{"model_type", "resnet"}, {"embedding_size", 8}, {"hidden_sizes", {16, 24}}, {"depths", {1, 2}},
                      {"layer_type", "basic"},  {"num_channels", 3},   {"hidden_act", "relu"},     {"num_labels", 3}};
    QTest::addRow("resnet") << QByteArray::fromStdString(images.dump()) << static_cast<int>(HeadKind::ImageClassification);
  }
  void theModelThatLoadingMakes() {
    QFETCH(QByteArray, config);
    QFETCH(int, head);
    const json document = json::parse(config.toStdString());
    const Folder folder(document);
    const auto kind = static_cast<HeadKind>(head);
    const auto real = randomModel(document, kind);
    const auto shapes = outline(folder.path(), kind, true);
    QVERIFY(described(shapes->parameters()) == described(real->parameters()));
    QVERIFY(described(shapes->buffers()) == described(real->buffers()));
    QVERIFY(shapes->parameters().aliases() == real->parameters().aliases());
    QVERIFY(shapes->headParameters() == real->headParameters());
    QCOMPARE(shapes->parameterCount(), real->parameterCount());
    for (const NamedTensor& entry : shapes->parameters().entries()) QVERIFY2(entry.tensor.is_meta(), entry.name.c_str());
    QCOMPARE(shapes->sites().size(), real->sites().size());
    for (size_t i = 0; i < real->sites().size(); ++i) QCOMPARE(shapes->sites()[i]->name, real->sites()[i]->name);
    // What a method would train whole, it finds in the shapes as well.
    for (const MethodEntry& entry : methodEntries()) {
      MethodSettings settings;
      settings.name = entry.name;
      settings.targetModules = entry.kind() == MethodKind::LowRank ? std::vector<std::string>{real->sites().front()->kind}
                                                                   : std::vector<std::string>{};
      settings.bias = entry.kind() == MethodKind::LowRank ? "lora_only" : "none";
      const auto method = makeMethod(settings);
      QVERIFY(method);
      const auto here = (*method)->wholeParameters(*shapes), there = (*method)->wholeParameters(*real);
      QCOMPARE(here.ok(), there.ok());
      if (here) QVERIFY2(*here == *there, entry.name.c_str());
    }
  }

  // With a checkpoint: what of the head it lacks is told, what of the body does not fit is listed instead of refused.
  void whatACheckpointLacksIsListed() {
    const json& config = families()[4].second;  // BERT
    const Folder folder(config);
    const auto real = randomModel(config, HeadKind::SequenceClassification);
    save(*real, folder.path(), "classifier");
    auto shapes = outline(folder.path(), HeadKind::SequenceClassification, false);
    QVERIFY(shapes->loadReport().fits());
    QVERIFY((shapes->loadReport().newlyInitialised == std::vector<std::string>{"classifier.weight", "classifier.bias"}));
    save(*real, folder.path());
    shapes = outline(folder.path(), HeadKind::SequenceClassification, false);
    QVERIFY(shapes->loadReport().newlyInitialised.empty());
    shapes = outline(folder.path(), HeadKind::SequenceClassification, false, 5);  // made for another number of classes
    QCOMPARE(shapes->loadReport().newlyInitialised.size(), size_t{2});
    QCOMPARE(shapes->parameters().at("classifier.weight").size(0), int64_t{5});
    save(*real, folder.path(), "layer.1.output.dense");
    shapes = outline(folder.path(), HeadKind::SequenceClassification, false);
    QVERIFY(!shapes->loadReport().fits());
    QCOMPARE(shapes->loadReport().missing.size(), size_t{2});
    QVERIFY(shapes->loadReport().missing.front().find("[24, 40]") != std::string::npos);
    ModelLoadOptions load;
    load.head = HeadKind::SequenceClassification;
    QVERIFY(!loadModel(folder.path(), load).ok());
    load.shapesOnly = true;  // nor is a run counted that could not start
    QVERIFY(!loadModel(folder.path(), load).ok());
  }

  // A model that no memory here holds.
  void sizesDoNotMatter() {
    const Folder folder(rotary("llama", {{"vocab_size", 128256}, {"hidden_size", 16384}, {"intermediate_size", 53248},
                                         {"num_hidden_layers", 126}, {"num_attention_heads", 128}, {"head_dim", 128},
                                         {"num_key_value_heads", 8}}));
    const auto shapes = outline(folder.path(), HeadKind::CausalLm, true);
    QCOMPARE(shapes->parameterCount(), int64_t{405'853'388'800});
  }
};

QTEST_GUILESS_MAIN(ShapesOnly)
#include "shapes_only.moc"
