// Trainable parameters and their shares as the papers print them, told from the shapes of their models.

#include <QtTest/QtTest>

#include <cmath>
#include <fstream>

#include "core/train/estimate.h"
#include "tests/core/train/train_fixture.h"

using namespace rankscope;
using namespace rankscope::test;
using nlohmann::json;

namespace {

json gpt2Config(int64_t width, int64_t layers, int64_t heads) {
  return {{"model_type", "gpt2"}, {"vocab_size", 50257}, {"n_positions", 1024}, {"n_embd", width}, {"n_layer", layers}, {"n_head", heads}};
}
json llamaConfig(int64_t width, int64_t inner, int64_t layers, int64_t heads, int64_t keyValueHeads = 0, int64_t words = 32000) {
  return {{"model_type", "llama"}, {"vocab_size", words}, {"hidden_size", width}, {"intermediate_size", inner},
          {"num_hidden_layers", layers}, {"num_attention_heads", heads},
          {"num_key_value_heads", keyValueHeads ? keyValueHeads : heads}, {"max_position_embeddings", 2048}, {"tie_word_embeddings", false}};
}
json debertaV3Base() {
  return {{"model_type", "deberta-v2"}, {"vocab_size", 128100}, {"hidden_size", 768}, {"intermediate_size", 3072},
          {"num_hidden_layers", 12}, {"num_attention_heads", 12}, {"max_position_embeddings", 512}, {"type_vocab_size", 0},
          {"relative_attention", true}, {"position_buckets", 256}, {"norm_rel_ebd", "layer_norm"}, {"share_att_key", true},
          {"pos_att_type", "p2c|c2p"}, {"position_biased_input", false}, {"max_relative_positions", -1}};
}

RunEstimate estimateOf(const Home& home, const json& model, std::vector<std::string> settings) {
  const std::filesystem::path folder = home.places.home / "shapes";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << model.dump();
  settings.insert(settings.begin(), {"model.path=" + folder.string(), "model.random_init=true"});
  RunConfig config;
  assign(config, settings);
  Result<RunEstimate> estimate = estimateRun(config, home.places, nullptr);
  if (!estimate) qFatal("%s", estimate.error().message().c_str());
  return *estimate;
}

}  // namespace

class PublishedCounts : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // The rank sweeps of the LoRA reproduction on GPT-2 (E2E NLG, c_attn): its column of percentages, some of which
  // are rounded and some cut off.
  void rankSweepsOfGpt2_data() {
    QTest::addColumn<QString>("size");
    QTest::addColumn<int>("rank");
    QTest::addColumn<double>("percent");
    const std::pair<int, double> medium[] = {{1, .0277},  {2, .0554},  {4, .1107},   {8, .2211},   {16, .4413},  {32, .8788},
                                             {64, 1.7422}, {128, 3.4248}, {256, 6.6228}, {512, 12.4228}, {1024, 22.1001}};
    for (const auto& [rank, percent] : medium) QTest::addRow("medium, rank %d", rank) << "medium" << rank << percent;
    const std::pair<int, double> small[] = {{1, .0296}, {4, .1184}, {8, .2364}, {256, 7.0491}, {1024, 23.274}};
    for (const auto& [rank, percent] : small) QTest::addRow("small, rank %d", rank) << "small" << rank << percent;
    const std::pair<int, double> large[] = {{1, .0238}, {8, .1901}, {256, 5.7459}, {1024, 19.604}};
    for (const auto& [rank, percent] : large) QTest::addRow("large, rank %d", rank) << "large" << rank << percent;
  }
  void rankSweepsOfGpt2() {
    QFETCH(QString, size);
    QFETCH(int, rank);
    QFETCH(double, percent);
    const json model = size == "small" ? gpt2Config(768, 12, 12) : size == "medium" ? gpt2Config(1024, 24, 16) : gpt2Config(1280, 36, 20);
    Home home;
    const RunEstimate estimate = estimateOf(home, model, {"data.task=causal_lm", "method.name=lora", "method.target_modules=c_attn",
                                                          "method.rank=" + std::to_string(rank)});
    const double share = toJson(estimate)["share"].get<double>();
    const double digit = rank == 1024 && size != "medium" ? 1e-3 : 1e-4;
    QVERIFY2(std::abs(100 * share - percent) < digit, qPrintable(QString::number(100 * share, 'f', 6)));
  }

  // RefLoRA's GLUE tables: DeBERTaV3-base, rank 8, all six linear maps of a block.
  void debertaV3BaseAtRank8() {
    Home home;
    const auto of = [&](const char* method) {
      std::vector<std::string> settings = {"data.task=classification", std::string("method.name=") + method};
      if (std::string(method) != "bitfit" && std::string(method) != "full")
        settings.insert(settings.end(), {"method.rank=8", "method.target_modules=query_proj,key_proj,value_proj,output.dense,intermediate.dense"});
      return estimateOf(home, debertaV3Base(), settings);
    };
    constexpr int64_t kClassifier = 2 * (768 + 1);
    QCOMPARE(of("full").parameters, int64_t{184'423'682});  // 184M
    for (const char* method : {"lora", "rora", "reflora", "reflora_s", "lora_pro", "lora_rite"})
      QCOMPARE(of(method).trainable - kClassifier, int64_t{1'327'104});  // 1.33M
    QCOMPARE(of("dora").trainable - kClassifier, int64_t{1'327'104 + 12 * (5 * 768 + 3072)});
    const double biases = static_cast<double>(of("bitfit").trainable - kClassifier);  // 0.1M
    QVERIFY2(biases > 0.95e5 && biases < 1.05e5, qPrintable(QString::number(biases)));
  }

  // The shares of RoRA's and RefLoRA's commonsense tables.
  void commonsenseTables_data() {
    QTest::addColumn<QString>("model");
    QTest::addColumn<QString>("settings");
    QTest::addColumn<double>("percent");
    const auto row = [](const char* model, const char* settings, double percent) {
      QTest::addRow("%s %s", model, settings) << model << settings << percent;
    };
    const char* lora32 = "method.name=lora;method.rank=32";
    const char* dora32 = "method.name=dora;method.rank=32";
    row("LLaMA-7B", "method.name=prefix;method.virtual_tokens=30", 0.11);
    row("LLaMA-7B", "method.name=llm_series;method.bottleneck_size=256;method.target_modules=down_proj", 0.99);
    row("LLaMA-7B", "method.name=llm_parallel;method.bottleneck_size=256;method.target_modules=up_proj,down_proj", 3.54);
    row("LLaMA-7B", lora32, 0.83);
    row("LLaMA-7B", "method.name=rora;method.rank=32", 0.83);
    row("LLaMA-7B", "method.name=reflora;method.rank=32", 0.83);
    row("LLaMA-7B", "method.name=lora;method.rank=16", 0.41);
    row("LLaMA-7B", dora32, 0.84);
    row("LLaMA-13B", lora32, 0.67);
    row("LLaMA-13B", dora32, 0.68);
    row("LLaMA3-8B", lora32, 0.70);
    row("LLaMA3-8B", dora32, 0.71);
    row("LLaMA3-8B", "method.name=lora;method.rank=16", 0.35);
  }
  void commonsenseTables() {
    QFETCH(QString, model);
    QFETCH(QString, settings);
    QFETCH(double, percent);
    const json shape = model == "LLaMA-7B"    ? llamaConfig(4096, 11008, 32, 32)
                       : model == "LLaMA-13B" ? llamaConfig(5120, 13824, 40, 40)
                                              : llamaConfig(4096, 14336, 32, 32, 8, 128256);
    std::vector<std::string> all = {"data.task=causal_lm"};
    for (const QString& setting : settings.split(';')) all.push_back(setting.toStdString());
    if (!settings.contains("target_modules") && settings.contains("rank")) all.push_back("method.target_modules=q_proj,k_proj,v_proj,up_proj,down_proj");
    Home home;
    const double share = 100 * toJson(estimateOf(home, shape, all))["share"].get<double>();
    QVERIFY2(std::abs(share - percent) < 0.01, qPrintable(QString::number(share, 'f', 4)));  // rounded or cut off
  }
};

QTEST_GUILESS_MAIN(PublishedCounts)
#include "published_counts.moc"
