// Adapter folders: written, read back, and the config's fields both ways.

#include <QtTest/QtTest>

#include "core/methods/peft_format.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

MethodSettings settingsOf(const std::string& name) {
  MethodSettings s = smallSettings(name, {}, {"q_proj", "up_proj"});
  s.rankPattern = {{"up_proj", 2}};
  s.bias = "lora_only";
  s.modulesToSave = {"embed_tokens"};
  return s;
}

}  // namespace

class PeftFormat : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void configFields() {
    FakeModel model;
    auto method = attached(model, settingsOf("rora"));
    const auto config = method->adapterConfig(model, "some/base");
    QCOMPARE(config["peft_type"], "LORA");
    QCOMPARE(config["task_type"], "SEQ_CLS");
    QCOMPARE(config["base_model_name_or_path"], "some/base");
    QCOMPARE(config["r"], 3);
    QCOMPARE(config["lora_alpha"].dump(), std::string("6"));
    QCOMPARE(config["use_rslora"], true);
    QCOMPARE(config["bias"], "lora_only");
    QCOMPARE(config["fan_in_fan_out"], false);
    QCOMPARE(config["inference_mode"], true);
    QCOMPARE(config["init_lora_weights"], true);
    QCOMPARE(config["target_modules"].dump(), std::string(R"(["q_proj","up_proj"])"));
    QCOMPARE(config["modules_to_save"].dump(), std::string(R"(["classifier","embed_tokens"])"));
    QCOMPARE(config["rank_pattern"].dump(), std::string(R"({"up_proj":2})"));
    QCOMPARE(config["alpha_pattern"].dump(), std::string("{}"));
    const std::string dumped = config.dump(2);
    QVERIFY(dumped.find("alpha_pattern") < dumped.find("base_model_name_or_path"));
  }

  void tensorNames() {
    FakeModel model;
    auto method = attached(model, settingsOf("lora"));
    std::vector<std::string> names;
    for (const auto& [name, tensor] : method->adapterTensors()) names.push_back(name);
    const std::vector<std::string> expected{"base_model.model.classifier.bias",
                                            "base_model.model.classifier.weight",
                                            "base_model.model.model.embed_tokens.weight",
                                            "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight",
                                            "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight",
                                            "base_model.model.model.layers.0.self_attn.q_proj.base_layer.bias",
                                            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
                                            "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight",
                                            "base_model.model.model.layers.1.mlp.up_proj.lora_A.weight",
                                            "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight",
                                            "base_model.model.model.layers.1.self_attn.q_proj.base_layer.bias",
                                            "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight",
                                            "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight"};
    QVERIFY2(names == expected, fmt::format("{}", names.size()).c_str());
  }

  void folderRoundTrip_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<int>("warmup");
    QTest::newRow("lora") << "lora" << 1;
    QTest::newRow("rora") << "rora" << 1;
    QTest::newRow("reflora") << "reflora" << 5;
    QTest::newRow("reflora from a random start") << "reflora" << 0;
    QTest::newRow("reflora_s from a random start") << "reflora_s" << 0;
    QTest::newRow("dora") << "dora" << 1;
  }
  void folderRoundTrip() {
    QFETCH(QString, name);
    QFETCH(int, warmup);
    QTemporaryDir folder;
    const std::filesystem::path path = std::filesystem::path(folder.path().toStdString()) / "adapter";
    MethodSettings s = settingsOf(name.toStdString());
    s.options["warmup_steps"] = warmup;
    FakeModel model;
    auto method = attached(model, s);
    disturb(*method);
    QVERIFY(saveAdapterFolder(path, *method, model, "base").ok());
    // A folder says only "LoRA with this scaling": it must give the same function on an untouched base model.
    FakeModel other;
    auto loaded = loadAdapterFolder(path, other);
    if (!loaded) QFAIL(loaded.error().message().c_str());
    const double difference = worstDifference(logitsOf(model), logitsOf(other));
    QVERIFY2(difference < (warmup == 0 ? 1e-5 : 1e-7), fmt::format("{}", difference).c_str());
    // The same method reads it to the same tensors.
    FakeModel third;
    auto again = attached(third, s);
    QVERIFY(again->loadAdapterTensors(method->adapterTensors()).ok());
    QCOMPARE(firstDifference(method->adapterTensors(), again->adapterTensors()), std::string());
    QVERIFY(worstDifference(logitsOf(model), logitsOf(third)) < 1e-6);
  }

  void namesAsPeftKeepsThemInMemory() {
    QCOMPARE(plainPeftName("base_model.model.a.q_proj.lora_A.default.weight"), std::string("a.q_proj.lora_A.weight"));
    QCOMPARE(plainPeftName("base_model.model.classifier.modules_to_save.default.weight"),
             std::string("classifier.weight"));
    QCOMPARE(plainPeftName("base_model.model.a.q_proj.base_layer.bias"), std::string("a.q_proj.bias"));
    QCOMPARE(plainPeftName("a.q_proj.lora_B.weight"), std::string("a.q_proj.lora_B.weight"));
    QCOMPARE(plainPeftName("a.q_proj.lora_B.bias"), std::string("a.q_proj.lora_B.bias"));
    for (const char* ending : {"", ".weight", ".default", ".default.weight"})
      QCOMPARE(plainPeftName(std::string("a.q_proj.lora_magnitude_vector") + ending),
               std::string("a.q_proj.lora_magnitude_vector"));
    QCOMPARE(plainPeftName("a.q_proj.lora_A.default"), std::string("a.q_proj.lora_A.weight"));
    QCOMPARE(plainPeftName("a.q_proj.lora_E.default"), std::string("a.q_proj.lora_E"));
  }

  void foreignConfigs_data() {
    QTest::addColumn<QString>("change");
    QTest::addColumn<QString>("where");
    QTest::newRow("another type") << R"({"peft_type":"LOHA"})"
                                  << "peft_type";
    QTest::newRow("a switch that is not built here") << R"({"use_bdlora":true})"
                                                      << "use_bdlora";
    QTest::newRow("AdaLoRA of no rank") << R"({"peft_type":"ADALORA","init_r":0})"
                                        << "init_r";
    QTest::newRow("rank 0") << R"({"r":0})"
                            << "r";
    QTest::newRow("rank is text") << R"({"r":"eight"})"
                                  << "r";
    QTest::newRow("targets of numbers") << R"({"target_modules":[1]})"
                                        << "target_modules";
    QTest::newRow("pattern of text") << R"({"rank_pattern":{"q_proj":"x"}})"
                                     << "rank_pattern.q_proj";
  }
  void foreignConfigs() {
    QFETCH(QString, change);
    QFETCH(QString, where);
    nlohmann::json config = {{"peft_type", "LORA"}, {"r", 4}, {"lora_alpha", 8}, {"target_modules", {"q_proj"}}};
    QVERIFY(settingsFromPeftConfig(config).ok());
    config.update(nlohmann::json::parse(change.toStdString()));
    auto settings = settingsFromPeftConfig(config);
    QVERIFY(!settings.ok());
    QVERIFY2(settings.error().where.find(where.toStdString()) != std::string::npos, settings.error().where.c_str());
    QVERIFY(!settings.error().hint.empty());
  }

  void tensorsThatDoNotFit() {
    FakeModel model;
    auto method = attached(model, settingsOf("lora"));
    const auto good = method->adapterTensors();
    auto lacking = good;
    lacking.erase(lacking.begin());
    QVERIFY(!method->loadAdapterTensors(lacking).ok());
    auto reshaped = good;
    reshaped.rbegin()->second = at::zeros({2, 2});
    QVERIFY(!method->loadAdapterTensors(reshaped).ok());
    auto foreign = good;
    foreign["base_model.model.x.lora_magnitude_vector.weight"] = at::zeros({2});
    auto result = method->loadAdapterTensors(foreign);
    QVERIFY(!result.ok());
    QVERIFY(result.error().where.find("magnitude") != std::string::npos);
    QVERIFY(method->loadAdapterTensors(good).ok());
  }

  void aMissingFolder() {
    FakeModel model;
    auto loaded = loadAdapterFolder("/nonexistent/adapter", model);
    QVERIFY(!loaded.ok());
    QVERIFY(!loaded.error().hint.empty());
  }
};

QTEST_GUILESS_MAIN(PeftFormat)
#include "peft_format.moc"
