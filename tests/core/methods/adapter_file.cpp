// Adapters from elsewhere: PEFT's folders in every form its configs take, loralib's bare factors, and what is refused.

#include <QtTest/QtTest>

#include <fstream>

#include "core/io/safetensors_writer.h"
#include "core/methods/adapter_file.h"
#include "core/methods/peft_format.h"
#include "tests/core/io/archive_builder.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kPrefix = "base_model.model.";

at::Tensor numbers(at::IntArrayRef shape, const std::string& name) {
  return normalTensor(shape, name, 0.2, at::kFloat);
}

// Factors for the sites named, of rank 2 unless `ranks` says otherwise.
NamedTensors factors(FakeModel& model, const std::vector<std::string>& sites, int64_t rank = 2) {
  NamedTensors tensors;
  for (const std::string& name : sites) {
    const LinearSite& site = model.site(name);
    tensors.emplace_back(kPrefix + name + ".lora_A.weight", numbers({rank, site.inFeatures}, name + "A"));
    tensors.emplace_back(kPrefix + name + ".lora_B.weight", numbers({site.outFeatures, rank}, name + "B"));
  }
  return tensors;
}

std::vector<std::string> allSites(const std::string& kind) {
  std::vector<std::string> names;
  for (int layer = 0; layer < FakeModel::kLayers; ++layer)
    names.push_back("model.layers." + std::to_string(layer) + (kind == "q_proj" ? ".self_attn." : ".mlp.") + kind);
  return names;
}

struct Folder {
  QTemporaryDir dir;
  fs::path path() const { return dir.path().toStdString(); }
  void config(const nlohmann::json& changes) const {
    nlohmann::json document = {
        {"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 4}, {"target_modules", {"q_proj"}}, {"task_type", "SEQ_CLS"}};
    document.update(changes);
    std::ofstream(path() / "adapter_config.json") << document.dump();
  }
  void tensors(const NamedTensors& tensors) const {
    if (!writeSafetensors(path() / "adapter_model.safetensors", tensors)) qFatal("cannot write");
  }
};

// The update merged by hand: W + scale B A for the sites given.
at::Tensor expected(const NamedTensors& tensors, double scale) {
  FakeModel model;
  for (size_t i = 0; i + 1 < tensors.size(); i += 2) {
    const std::string name = plainPeftName(tensors[i].first);
    if (name.find(".lora_A") == std::string::npos) break;
    const std::string weight = name.substr(0, name.find(".lora_A")) + ".weight";
    model.parameters().replace(weight,
                               model.parameters().at(weight) + tensors[i + 1].second.mm(tensors[i].second) * scale);
  }
  model.rebind();
  return logitsOf(model);
}

}  // namespace

class AdapterFileTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void configsOfEveryForm_data() {
    QTest::addColumn<QString>("change");
    QTest::addColumn<QString>("kind");
    QTest::addColumn<double>("scale");
    QTest::newRow("list") << "{}"
                          << "q_proj" << 2.0;
    QTest::newRow("regular expression") << R"({"target_modules":".*\\.self_attn\\.q_proj"})"
                                        << "q_proj" << 2.0;
    QTest::newRow("root scaling") << R"({"use_rslora":true})"
                                  << "q_proj" << 4 / std::sqrt(2.0);
    QTest::newRow("alpha pattern") << R"({"alpha_pattern":{"q_proj":6}})"
                                   << "q_proj" << 3.0;
    QTest::newRow("rank pattern") << R"({"r":64,"lora_alpha":4,"rank_pattern":{"self_attn.q_proj":2}})"
                                  << "q_proj" << 2.0;
    QTest::newRow("Conv1D's flag") << R"({"fan_in_fan_out":true})"
                                   << "q_proj" << 2.0;
    QTest::newRow("excluded modules") << R"({"target_modules":["q_proj","up_proj"],"exclude_modules":["up_proj"]})"
                                      << "q_proj" << 2.0;
    QTest::newRow("all linear, fewer factors") << R"({"target_modules":"all-linear"})"
                                               << "up_proj" << 2.0;
    QTest::newRow("a head's usual names") << R"({"modules_to_save":["classifier","score"]})"
                                          << "q_proj" << 2.0;
    QTest::newRow("every layer named") << R"({"layers_to_transform":[0,1],"layers_pattern":"layers"})"
                                       << "q_proj" << 2.0;
    QTest::newRow("gaussian start") << R"({"init_lora_weights":"gaussian"})"
                                    << "q_proj" << 2.0;
    QTest::newRow("eva's start") << R"({"init_lora_weights":"eva"})"
                                 << "q_proj" << 2.0;
  }
  void configsOfEveryForm() {
    QFETCH(QString, change);
    QFETCH(QString, kind);
    QFETCH(double, scale);
    FakeModel model;
    const NamedTensors tensors = factors(model, allSites(kind.toStdString()));
    const Folder folder;
    folder.config(nlohmann::json::parse(change.toStdString()));
    folder.tensors(tensors);
    const auto method = loadAdapterFolder(folder.path(), model);
    QVERIFY2(method.ok(), method.ok() ? "" : method.error().message().c_str());
    const double difference = worstDifference(logitsOf(model), expected(tensors, scale));
    QVERIFY2(difference < 1e-5, fmt::format("{}", difference).c_str());
  }

  void oneLayerOnly() {
    FakeModel model;
    const NamedTensors tensors = factors(model, {"model.layers.1.mlp.down_proj"});
    const Folder folder;
    folder.config({{"target_modules", {"down_proj"}}, {"layers_to_transform", 1}});
    folder.tensors(tensors);
    const auto method = loadAdapterFolder(folder.path(), model);
    QVERIFY2(method.ok(), method.ok() ? "" : method.error().message().c_str());
    QCOMPARE((*method)->factorPairs().size(), size_t{1});
    QVERIFY(worstDifference(logitsOf(model), expected(tensors, 2)) < 1e-5);
  }

  void headBiasesAndSavedModules() {
    FakeModel model;
    NamedTensors tensors = factors(model, allSites("q_proj"));
    const at::Tensor head = numbers({3, 12}, "head"), embedding = numbers({17, 12}, "embedding"),
                     bias = numbers({12}, "bias");
    tensors.emplace_back("base_model.model.classifier.modules_to_save.default.weight", head);
    tensors.emplace_back("base_model.model.classifier.original_module.weight", numbers({3, 12}, "other"));
    tensors.emplace_back("base_model.model.model.embed_tokens.weight", embedding);
    tensors.emplace_back("base_model.model.model.layers.0.self_attn.q_proj.base_layer.bias", bias);
    tensors.emplace_back("base_model.model.model.layers.1.self_attn.q_proj.base_layer.bias", bias);
    const Folder folder;
    folder.config({{"bias", "lora_only"}, {"modules_to_save", {"classifier"}}});
    folder.tensors(tensors);
    auto adapter = readAdapter(folder.path());
    QVERIFY2(adapter.ok(), adapter.ok() ? "" : adapter.error().message().c_str());
    QCOMPARE(headRows(*adapter), int64_t{3});
    QVERIFY(fitAdapter(*adapter, model).ok());
    const auto method = loadAdapterFolder(folder.path(), model);
    QVERIFY2(method.ok(), method.ok() ? "" : method.error().message().c_str());
    QVERIFY(at::equal(model.parameters().at("classifier.weight").detach(), head));
    QVERIFY(at::equal(model.parameters().at("model.embed_tokens.weight").detach(), embedding));
    QVERIFY(at::equal(model.parameters().at("model.layers.1.self_attn.q_proj.bias").detach(), bias));
    // The classifier's bias was not in the file: the base model's stays, and it is said.
    QVERIFY(std::any_of(adapter->remarks.begin(), adapter->remarks.end(),
                        [](const std::string& r) { return r.find("classifier.bias") != std::string::npos; }));
    QVERIFY(std::any_of(adapter->remarks.begin(), adapter->remarks.end(),
                        [](const std::string& r) { return r.find("embed_tokens") != std::string::npos; }));
  }

  // As PEFT writes them: kernels in four dimensions, and beside an embedding's factors the table that they were trained on.
  void convolutionsAndEmbeddings() {
    FakeModel model({.moreSites = true}), byHand({.moreSites = true});
    const std::string table = "model.embed_tokens", conv = "model.patches";
    const at::Tensor a = numbers({2, 17}, "wordsA"), b = numbers({12, 2}, "wordsB");
    const at::Tensor down = numbers({2, 3, 3, 3}, "convA"), up = numbers({12, 2, 1, 1}, "convB");
    NamedTensors tensors{{kPrefix + table + ".lora_embedding_A", a},
                         {kPrefix + table + ".lora_embedding_B", b},
                         {kPrefix + table + ".base_layer.weight", model.parameters().at(table + ".weight")},
                         {kPrefix + conv + ".lora_A.weight", down},
                         {kPrefix + conv + ".lora_B.weight", up}};
    const Folder folder;
    folder.config({{"target_modules", {"embed_tokens", "patches"}}});
    folder.tensors(tensors);
    const auto method = loadAdapterFolder(folder.path(), model);
    QVERIFY2(method.ok(), method.ok() ? "" : method.error().message().c_str());
    // ΔE = s (B A)ᵀ; ΔW of the kernels, put together entry by entry.
    auto& words = byHand.parameters().at(table + ".weight");
    words.add_(b.mm(a).t() * 2);
    auto& kernels = byHand.parameters().at(conv + ".weight");
    for (int64_t r = 0; r < 2; ++r) kernels.add_(up.select(1, r).unsqueeze(-1) * down[r].unsqueeze(0) * 2);
    byHand.rebind();
    QVERIFY(worstDifference(logitsOf(model), logitsOf(byHand)) < 1e-5);
    const auto written = (*method)->adapterTensors();
    for (const auto& [name, tensor] : tensors)
      if (name.find("base_layer") == std::string::npos) QVERIFY2(at::equal(written.at(name), tensor), name.c_str());

    tensors[2].second = numbers({17, 12}, "another table");
    folder.tensors(tensors);
    FakeModel fresh({.moreSites = true});
    const auto refused = loadAdapterFolder(folder.path(), fresh);
    QVERIFY(!refused.ok() && refused.error().where == table + ".weight");
  }

  // As PEFT writes DoRA: magnitudes beside the factors, here with root scaling and another class's prefixes.
  void doraAdapter() {
    FakeModel model;
    NamedTensors tensors = factors(model, allSites("q_proj"));
    std::map<std::string, at::Tensor> magnitudes;
    for (const std::string& site : allSites("q_proj")) {
      magnitudes[site] = numbers({model.site(site).outFeatures}, site + "m").abs() + 0.1;
      tensors.emplace_back(kPrefix + site.substr(6) + ".lora_magnitude_vector", magnitudes[site]);
    }
    for (auto& [name, tensor] : tensors)
      if (name.find("lora_magnitude") == std::string::npos)
        name = kPrefix + name.substr(std::string_view(kPrefix).size() + 6);
    const Folder folder;
    folder.config({{"use_dora", true}, {"use_rslora", true}});
    folder.tensors(tensors);
    const auto method = loadAdapterFolder(folder.path(), model);
    QVERIFY2(method.ok(), method.ok() ? "" : method.error().message().c_str());
    QCOMPARE((*method)->settings().name, std::string("dora"));
    FakeModel byHand;
    for (const FactorPair& pair : (*method)->factorPairs()) {
      QCOMPARE(pair.scaling, 4 / std::sqrt(2.0));
      LinearSite& site = byHand.site(pair.site->name);
      const at::Tensor v = site.weight + pair.B.detach().mm(pair.A.detach()) * pair.scaling;
      const at::Tensor scale = magnitudes[site.name] / at::linalg_vector_norm(v, 2, at::IntArrayRef{1});
      byHand.replaceSiteWeight(site, v * scale.unsqueeze(1));
    }
    byHand.rebind();
    QVERIFY(at::allclose(logitsOf(model), logitsOf(byHand), 1e-4, 1e-5));
    // And out again as it came in.
    const auto config = (*method)->adapterConfig(model, "");
    QVERIFY(config["use_dora"] == true && config["use_rslora"] == true);
    const auto written = (*method)->adapterTensors();
    for (const auto& [site, magnitude] : magnitudes)
      QVERIFY(at::equal(written.at(kPrefix + site + ".lora_magnitude_vector"), magnitude));
  }

  // What save_pretrained wrote before safetensors.
  void pickledAdapter() {
    using namespace archive;
    const auto matrix = [](const char* key, int32_t rows, int32_t columns) {
      return tensor(storage("FloatStorage", key, rows * columns), 0, {rows, columns}, {columns, 1});
    };
    std::vector<std::pair<std::string, std::string>> items;
    for (const std::string& site : allSites("q_proj")) {
      items.emplace_back(kPrefix + site + ".lora_A.weight", matrix("0", 2, 12));
      items.emplace_back(kPrefix + site + ".lora_B.weight", matrix("1", 12, 2));
    }
    const std::string bytes =
        torchZip(dictPickle(items), {floats(std::vector<float>(24, 0.25f)), floats(std::vector<float>(24, 0.5f))});
    const Folder folder;
    folder.config(nlohmann::json::object());
    std::ofstream(folder.path() / "adapter_model.bin", std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    FakeModel model;
    const auto method = loadAdapterFolder(folder.path(), model);
    QVERIFY2(method.ok(), method.ok() ? "" : method.error().message().c_str());
    for (const FactorPair& pair : (*method)->factorPairs()) {
      QVERIFY(at::equal(pair.A.detach(), at::full({2, 12}, 0.25)));
      QVERIFY(at::equal(pair.B.detach(), at::full({12, 2}, 0.5)));
    }
  }

  // Names with fewer and with more prefixes than the model's own.
  void prefixesOfOtherClasses() {
    for (const bool fewer : {true, false}) {
      FakeModel model;
      NamedTensors tensors = factors(model, allSites("q_proj"));
      for (auto& [name, tensor] : tensors) {
        const std::string plain = name.substr(std::string_view(kPrefix).size());
        name = kPrefix + (fewer ? plain.substr(6) : "wrapped." + plain);
      }
      const Folder folder;
      folder.config(nlohmann::json::object());
      folder.tensors(tensors);
      const auto method = loadAdapterFolder(folder.path(), model);
      QVERIFY2(method.ok(), method.ok() ? "" : method.error().message().c_str());
      QCOMPARE((*method)->factorPairs().size(), size_t{2});
    }
  }

  void refusedByName_data() {
    QTest::addColumn<QString>("change");
    QTest::addColumn<QString>("tensor");
    QTest::addColumn<QString>("words");
    QTest::newRow("AdaLoRA without its tensors") << R"({"peft_type":"ADALORA"})"
                                                 << ""
                                                 << "ADALORA without lora_E";
    QTest::newRow("IA3") << R"({"peft_type":"IA3"})"
                         << ""
                         << "IA3";
    QTest::newRow("DoRA without its tensors") << R"({"use_dora":true})"
                                              << ""
                                              << "use_dora without lora_magnitude_vector";
    QTest::newRow("DoRA's tensors alone") << "{}"
                                          << "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"
                                          << "lora_magnitude_vector without use_dora";
    QTest::newRow("AdaLoRA's tensors alone") << "{}"
                                             << "base_model.model.model.layers.0.self_attn.q_proj.lora_E"
                                             << "lora_E without peft_type ADALORA";
    QTest::newRow("half an embedding") << "{}"
                                       << "base_model.model.model.embed_tokens.lora_embedding_A"
                                       << "one factor only";
    QTest::newRow("PiSSA of no rounds") << R"({"init_lora_weights":"pissa_niter_x"})"
                                        << ""
                                        << "init_lora_weights";
    QTest::newRow("OLoRA not converted") << R"({"init_lora_weights":"olora"})"
                                         << ""
                                         << "init_lora_weights";
    QTest::newRow("layers repeated") << R"({"layer_replication":[[0,2],[1,2]]})"
                                     << ""
                                     << "layer_replication";
    QTest::newRow("trainable tokens") << R"({"trainable_token_indices":[1]})"
                                      << ""
                                      << "trainable_token_indices";
    QTest::newRow("a stranger's tensor") << "{}"
                                         << "base_model.model.model.layers.0.norm9.weight"
                                         << "no place in the model";
    QTest::newRow("a stranger's site") << "{}"
                                       << "base_model.model.encoder.lora_A.weight"
                                       << "one factor only";
    QTest::newRow("half a rank") << R"({"rank_pattern":{"q_proj":1.5}})"
                                 << ""
                                 << "rank_pattern.q_proj";
  }
  void refusedByName() {
    QFETCH(QString, change);
    QFETCH(QString, tensor);
    QFETCH(QString, words);
    FakeModel model;
    NamedTensors tensors = factors(model, allSites("q_proj"));
    if (!tensor.isEmpty()) tensors.emplace_back(tensor.toStdString(), at::ones({2, 2}));
    const Folder folder;
    folder.config(nlohmann::json::parse(change.toStdString()));
    folder.tensors(tensors);
    const auto method = loadAdapterFolder(folder.path(), model);
    QVERIFY(!method.ok());
    QVERIFY2(method.error().message().find(words.toStdString()) != std::string::npos, method.error().message().c_str());
    QVERIFY(!method.error().hint.empty());
  }

  // The LoRA authors' own file: no config, names without ".weight".
  void theAuthorsAdapter() {
    const fs::path file = fs::path(qEnvironmentVariable("RANKSCOPE_SHARED").toStdString()) /
                          "data/models/roberta_base_lora_mnli/roberta_base_lora_mnli.bin";
    if (!fs::exists(file)) return;
    const auto unsaid = readAdapter(file);
    QVERIFY(!unsaid.ok());
    QVERIFY(unsaid.error().hint.find("--alpha") != std::string::npos);
    const auto adapter = readAdapter(file, 16.0);
    QVERIFY2(adapter.ok(), adapter.ok() ? "" : adapter.error().message().c_str());
    QCOMPARE(adapter->settings.rank, int64_t{8});
    QCOMPARE(adapter->settings.targetModules, (std::vector<std::string>{"query", "value"}));
    QCOMPARE(adapter->tensors.size(), size_t{52});
    QVERIFY(adapter->tensors.count("roberta.encoder.layer.11.attention.self.value.lora_B.weight"));
    QCOMPARE(headRows(*adapter), int64_t{3});
  }

  void whatIsNoAdapter() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    QVERIFY(readAdapter(folder).error().message().find("adapter_config.json") != std::string::npos);
    QVERIFY(writeSafetensors(folder / "model.safetensors", {{"w", at::ones({2})}}).ok());
    QVERIFY(readAdapter(folder / "model.safetensors", 8.0).error().message().find("no adapter") != std::string::npos);
    QVERIFY(writeSafetensors(folder / "fused.safetensors",
                             {{"c_attn.lora_A", at::ones({4, 6})}, {"c_attn.lora_B", at::ones({18, 2})}})
                .ok());
    QVERIFY(readAdapter(folder / "fused.safetensors", 8.0).error().message().find("do not fit each other") !=
            std::string::npos);
  }
};

QTEST_GUILESS_MAIN(AdapterFileTest)
#include "adapter_file.moc"
