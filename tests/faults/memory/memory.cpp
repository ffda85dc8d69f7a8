// Memory: what the estimate says before a run against what the run then takes, and a run that is not given enough.
#include <sys/resource.h>

#include <QtTest/QtTest>

#include <cmath>
#include <fstream>
#include <set>

#include "tests/app/trainer/command_fixture.h"

using namespace rankscope;
using nlohmann::json;
using rankscope::test::Answer;
using rankscope::test::ask;
using rankscope::test::bytesOf;
using rankscope::test::Home;

namespace {

namespace fs = std::filesystem;

void write(const fs::path& file, const std::string& text) {
  if (Result<void> done = writeFileAtomically(file, text); !done) qFatal("%s", done.error().message().c_str());
}

// A LLaMA of another shape that reads with the starter's tokenizer.
void makeLlama(const Home& home) {
  const fs::path starter = home.places.starter() / "model", folder = home.places.models / "llama";
  fs::create_directories(folder);
  for (const fs::directory_entry& file : fs::directory_iterator(starter))
    if (file.path().filename().string().rfind("tokenizer", 0) == 0) fs::copy(file.path(), folder / file.path().filename());
  json config = json::parse(bytesOf(starter / "config.json"));
  config.update({{"hidden_size", 384}, {"intermediate_size", 1024}, {"num_hidden_layers", 8}, {"num_attention_heads", 6},
                 {"num_key_value_heads", 3}, {"head_dim", 64}});
  write(folder / "config.json", config.dump());
}

// A BERT whose vocabulary is the words of the starter's reviews.
void makeBert(const Home& home) {
  std::ifstream reviews(home.places.starter() / "data" / "reviews_train.jsonl");
  std::set<std::string> words;
  for (std::string line; std::getline(reviews, line);) {
    std::string word;
    for (const char c : line) {
      if (std::isalpha(static_cast<unsigned char>(c))) {
        word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      } else if (!word.empty()) {
        words.insert(word);
        word.clear();
      }
    }
  }
  std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n.\n,\n'\n";
  size_t count = 8;
  for (const std::string& word : words) vocabulary += word + "\n", ++count;
  const fs::path folder = home.places.models / "bert";
  write(folder / "vocab.txt", vocabulary);
  write(folder / "tokenizer_config.json", R"({"do_lower_case": true, "tokenizer_class": "BertTokenizer"})");
  write(folder / "config.json",
        json{{"model_type", "bert"}, {"architectures", {"BertModel"}}, {"hidden_size", 384}, {"intermediate_size", 1536},
             {"num_hidden_layers", 6}, {"num_attention_heads", 12}, {"hidden_act", "gelu"}, {"layer_norm_eps", 1e-12},
             {"max_position_embeddings", 512}, {"type_vocab_size", 2}, {"vocab_size", count},
             {"hidden_dropout_prob", 0.1}, {"attention_probs_dropout_prob", 0.1}}
            .dump());
}

// CIFAR's binary layout: a class and 32 × 32 pixels in three planes for each of 1,000 images of noise.
fs::path writeImages(const Home& home) {
  const fs::path folder = home.places.home / "batches";
  write(folder / "batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
  std::string bytes;
  uint32_t state = 1;
  for (int image = 0; image < 1000; ++image) {
    bytes += static_cast<char>(image % 10);
    for (int i = 0; i < 3072; ++i) bytes += static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  }
  write(folder / "data_batch_1.bin", bytes);
  return folder;
}

const QStringList kCommon = {"--set", "train.max_steps=3",     "--set", "train.eval_every=2",   "--set", "train.sample_every=0",
                             "--set", "train.checkpoint_every=2", "--set", "data.train_limit=400", "--set", "data.eval_limit=32"};

}  // namespace

class Memory : public QObject {
  Q_OBJECT

  // The estimate of a run's config against its peak: within a share of it, or so many bytes.
  void meet(const Home& home, const json& run, double share, double bytes) {
    const double peak = run["summary"]["peak_memory"].get<double>();
    const json config = json::parse(bytesOf(fs::path(run["folder"].get<std::string>()) / "config.json"));
    const json request = {{"id", 1}, {"method", "estimate"}, {"params", {{"config", config}}}};
    json estimate;
    std::istringstream lines(ask(home, {"serve"}, request.dump() + "\n").out);
    for (std::string line; std::getline(lines, line);)
      if (const json answer = json::parse(line); answer.contains("result")) estimate = answer["result"]["memory"];
    QVERIFY(estimate.is_object());
    const double told = estimate["total"].get<double>();
    qInfo("peak %.0f MB, estimate %.0f MB (%+.1f %%): %s", peak / 1e6, told / 1e6, 100 * (told / peak - 1),
          estimate.dump().c_str());
    QVERIFY2(std::abs(told - peak) <= std::max(share * peak, bytes), estimate.dump().c_str());
  }

 private Q_SLOTS:
  void estimateMeetsThePeak_data() {
    QTest::addColumn<QString>("model");
    QTest::addColumn<QString>("method");
    QTest::addColumn<QString>("dtype");
    for (const char* model : {"starter", "llama", "bert"})
      for (const char* method : {"lora", "reflora", "qlora", "houlsby", "pfeiffer", "llm_parallel", "prefix", "loreft", "full"})
        for (const char* dtype : {"fp32", "bf16"})
          QTest::addRow("%s %s %s", model, method, dtype) << model << method << dtype;
  }

  // Within 15 % of the process's largest resident size, or 40 MB where it is small.
  void estimateMeetsThePeak() {
    QFETCH(QString, model);
    QFETCH(QString, method);
    QFETCH(QString, dtype);
    Home home;
    if (model == "llama") makeLlama(home);
    if (model == "bert") makeBert(home);
    QStringList set = kCommon + QStringList{"--set", "method.name=" + method, "--set", "train.compute_dtype=" + dtype,
                                            "--set", "train.batch_size=32"};
    if (method == "reflora") set += {"--set", "method.warmup_steps=1"};
    if (model != "starter") set += {"--set", "model.path=models:" + model, "--set", "model.random_init=true"};
    if (model == "bert" && method.endsWith("lora")) set += {"--set", "method.target_modules=query,value"};
    const QString preset = model == "bert" ? "minilm-reviews" : "starter-reviews";
    const Answer trained = ask(home, QStringList{"--json", "-q", "train", "--preset", preset} + set);
    QVERIFY2(trained.code == 0, trained.err.c_str());
    meet(home, trained.document(), 0.15, 40e6);
  }

  void imageEstimateMeetsThePeak_data() {
    QTest::addColumn<QString>("config");
    QTest::addColumn<int>("side");
    QTest::addColumn<int>("batch");
    QTest::addColumn<QString>("option");
    const QString cifar = R"({"model_type": "torchvision_resnet", "num_channels": 3, "embedding_size": 16,
        "hidden_sizes": [16, 32, 64], "depths": [3, 3, 3], "layer_type": "basic", "stem": "3x3", "shortcut": "padding",
        "classifier": "linear", "num_labels": 10})";
    const QString eighteen = R"({"model_type": "resnet", "embedding_size": 64, "hidden_sizes": [64, 128, 256, 512],
        "depths": [2, 2, 2, 2], "layer_type": "basic", "num_labels": 10})";
    for (const int batch : {16, 64, 256}) QTest::addRow("CIFAR ResNet-20, batch %d", batch) << cifar << 32 << batch << "seed=0";
    for (const int batch : {16, 64}) QTest::addRow("ResNet-18, batch %d", batch) << eighteen << 96 << batch << "seed=0";
    for (const char* option : {"train.compute_dtype=bf16", "train.gradient_checkpointing=true"}) {
      QTest::addRow("CIFAR ResNet-20, %s", option) << cifar << 32 << 256 << option;
      QTest::addRow("ResNet-18, %s", option) << eighteen << 96 << 64 << option;
    }
  }

  // Within a tenth, and 15 % with the options that change what is kept.
  void imageEstimateMeetsThePeak() {
    QFETCH(QString, config);
    QFETCH(int, side);
    QFETCH(int, batch);
    QFETCH(QString, option);
    Home home;
    write(home.places.models / "net" / "config.json", config.toStdString());
    const Answer trained = ask(home, {"--json", "-q", "train", "--set", "model.path=models:net", "--set", "model.random_init=true",
                                      "--set", "data.task=image_classification",
                                      "--set", "data.train=" + QString::fromStdString(writeImages(home).string()),
                                      "--set", QString("data.image_size=%1").arg(side), "--set", QString("train.batch_size=%1").arg(batch),
                                      "--set", "method.name=full", "--set", "train.max_steps=3", "--set", "train.compute_dtype=fp32", "--set", option});
    QVERIFY2(trained.code == 0, trained.err.c_str());
    meet(home, trained.document(), option == "seed=0" ? 0.1 : 0.15, 0);
  }

  void tooLittleMemoryIsToldByComponent() {
    Home home;
    const RunFolder run = home.run({"train.batch_size=512", "data.train_limit=0", "data.max_length=256", "train.max_steps=4",
                                    "train.compute_dtype=fp32", "train.eval_every=100", "method.name=lora",
                                    "method.target_modules=all-linear"});
    QProcess process;
    process.setChildProcessModifier([] {
      const struct rlimit limit = {rlim_t{2000} << 20, rlim_t{2000} << 20};
      setrlimit(RLIMIT_AS, &limit);
    });
    test::startCommand(process, home, {"--json", "resume", QString::fromStdString(run.id())});
    const Answer answer = test::answerOf(process);
    QVERIFY(!answer.crashed);
    QVERIFY2(answer.code == 4, answer.err.c_str());
    const json error = answer.document()["error"];
    QCOMPARE(error["what"].get<std::string>(), std::string("memory ran out"));
    const std::string expected = error["expected"].get<std::string>(), hint = error["hint"].get<std::string>();
    for (const char* part : {"activations", "program and data", "MB"})
      QVERIFY2(expected.find(part) != std::string::npos, expected.c_str());
    for (const char* option : {"train.batch_size from 512", "data.max_length", "train.gradient_checkpointing", "bf16"})
      QVERIFY2(hint.find(option) != std::string::npos, hint.c_str());
    // The run's folder is whole: its record is closed, says the same, and can be read to its end.
    const auto failures = test::eventsOf<event::Failure>(run);
    QCOMPARE(failures.size(), size_t{1});
    QCOMPARE(failures.front().error.what, std::string("memory ran out"));
    const auto ends = test::eventsOf<event::End>(run);
    QCOMPARE(ends.size(), size_t{1});
    QVERIFY(ends.front().state == event::RunState::Failed);
    QVERIFY(run.config().ok());
    // With room it trains.
    const Answer again = ask(home, {"train", "--config", QString::fromStdString(run.configFile().string()), "--set",
                                    "train.batch_size=4"});
    QVERIFY2(again.code == 0, again.err.c_str());
  }

  // Running out in the middle leaves the checkpoints from before, and the run goes on where there is more.
  void runningOutLaterKeepsTheCheckpoint() {
    Home home;
    const std::vector<std::string> change = {"train.max_steps=12", "train.checkpoint_every=3"};
    const RunFolder whole = home.run(change), run = home.run(change);
    QCOMPARE(ask(home, {"resume", QString::fromStdString(whole.id())}).code, 0);
    QProcess process;
    test::startCommand(process, home, {"--json", "resume", QString::fromStdString(run.id())});
    const fs::path first = run.checkpoint(3);
    for (int i = 0; i < 60000 && !fs::exists(first) && process.state() != QProcess::NotRunning; ++i) QTest::qWait(1);
    QVERIFY(fs::exists(first));
    // Not a byte more from now on.
    const struct rlimit none = {1, 1};
    QCOMPARE(prlimit(static_cast<pid_t>(process.processId()), RLIMIT_AS, &none, nullptr), 0);
    const Answer answer = test::answerOf(process);
    // The heap may hold enough for the rest of so small a run; then it has simply finished.
    QVERIFY2(answer.code == 4 || answer.code == 0, answer.err.c_str());
    if (answer.code == 4) QCOMPARE(ask(home, {"resume", QString::fromStdString(run.id())}).code, 0);
    QVERIFY(bytesOf(run.adapter() / "adapter_model.safetensors") == bytesOf(whole.adapter() / "adapter_model.safetensors"));
  }
};

QTEST_GUILESS_MAIN(Memory)
#include "memory.moc"
