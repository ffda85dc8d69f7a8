// A run's way out and back in: export, import, merge, and what each checks and refuses.
#include <QtTest/QtTest>

#include <cmath>
#include <fstream>

#include "core/io/gguf.h"
#include "core/io/weight_formats.h"
#include "tests/app/trainer/command_fixture.h"

using namespace rankscope;
using nlohmann::json;
using rankscope::test::Answer;
using rankscope::test::ask;
using rankscope::test::Home;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kLanguage = {"model.path=starter:model",
                                            "model.random_init=false",
                                            "method.name=lora",
                                            "method.rank=4",
                                            "method.target_modules=q_proj,v_proj,down_proj",
                                            "method.rank_pattern=down_proj=2",
                                            "train.max_steps=4",
                                            "train.eval_every=4",
                                            "train.checkpoint_every=4",
                                            "optim.learning_rate=0.01"};
const std::vector<std::string> kClasses = {"data.task=classification", "data.columns.label=label",
                                           "data.columns.text=review"};

void train(const Home& home, const QString& name, const std::vector<std::string>& change) {
  const fs::path file = home.places.home / (name.toStdString() + ".json");
  QVERIFY(writeFileAtomically(file, home.config(change).toSparseJson().dump()).ok());
  const Answer answer = ask(home, {"-q", "train", "--config", QString::fromStdString(file.string()), "--name", name});
  QVERIFY2(answer.code == 0, answer.err.c_str());
}

double lossOf(const Home& home, const QStringList& words) {
  const Answer answer = ask(home, QStringList{"--json", "eval"} + words + QStringList{"--dtype", "fp32"});
  if (answer.code != 0) {
    qWarning("%s", answer.err.c_str());
    return NAN;
  }
  const json values = answer.document()["values"];
  return values.contains("eval/loss") ? values["eval/loss"].get<double>() : values["loss"].get<double>();
}

}  // namespace

class TrainerExchange : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() { train(m_home, "language", kLanguage); }

  void exportedAdapterComesBackAsARun() {
    const QString folder = out("adapter");
    const Answer exported = ask(m_home, {"--json", "export", "language", "--out", folder});
    QVERIFY2(exported.code == 0, exported.err.c_str());
    const json check = exported.document()["check"];
    QVERIFY(check["rows"].get<int>() == 8 && check["from_data"].get<bool>());
    QVERIFY(check["largest_difference"].get<double>() <= 1e-4 * check["largest_logit"].get<double>());
    for (const char* name : {"adapter_config.json", "adapter_model.safetensors", "README.md"})
      QVERIFY2(QFile::exists(folder + "/" + name), name);
    const std::string card = test::bytesOf(folder.toStdString() + "/README.md");
    QVERIFY(card.find("library_name: peft") != std::string::npos);
    QVERIFY(card.find("| method.rank | 4 |") != std::string::npos);
    QVERIFY(card.find("eval/loss") != std::string::npos);

    const Answer imported = ask(m_home, {"--json", "import", folder, "--name", "back"});
    QVERIFY2(imported.code == 0, imported.err.c_str());

    QVERIFY(imported.document()["sites"].get<int>() > 0);
    const json same = imported.document()["check"];
    QVERIFY(same["rows"].get<int>() > 0);
    QVERIFY(same["largest_difference"].get<double>() <= 1e-4 * same["largest_logit"].get<double>());
    QVERIFY(imported.err.find(R"({"progress":{"done":4,"total":5,)") != std::string::npos);
    const QStringList data = {"--set", "data.task=instruction",      "--data", "starter:data/reviews_train.jsonl",
                              "--set", "data.columns.answer=review", "--set",  "data.template={place} {label}",
                              "--set", "data.eval_limit=20",         "--set",  "data.max_length=48"};
    const double one = lossOf(m_home, QStringList{"language"} + data), two = lossOf(m_home, QStringList{"back"} + data);
    QVERIFY2(std::isfinite(one) && std::abs(one - two) < 1e-5, qPrintable(QString("%1 %2").arg(one).arg(two)));
    const Answer scored = ask(m_home, QStringList{"--json", "eval", "back", "--no-record"} + data);
    QVERIFY2(scored.err.find(R"({"progress":{"done":0,"total":100,"what":"loading"}})") != std::string::npos, scored.err.c_str());
    QCOMPARE(scored.document()["examples"].get<int>(), 20);
    QVERIFY(!scored.document().contains("recorded"));
    // Looked at, listed, continued.
    QVERIFY(ask(m_home, {"spectrum", "back", "--vectors", "4"}).code == 0);
    QCOMPARE(ask(m_home, {"--json", "store", "list", "back"}).document()["total"].get<int>(), 1);
    const Answer branch = ask(m_home, {"-q",     "--json",
                                       "branch", "back",
                                       "--name", "onward",
                                       "--set",  "data.task=instruction",
                                       "--set",  "data.train=starter:data/reviews_train.jsonl",
                                       "--set",  "data.columns.answer=review",
                                       "--set",  "data.template={place} {label}",
                                       "--set",  "data.train_limit=40",
                                       "--set",  "data.eval_limit=8",
                                       "--set",  "data.max_length=48",
                                       "--set",  "train.max_steps=2",
                                       "--set",  "train.batch_size=4"});
    QVERIFY2(branch.code == 0, branch.err.c_str());
    QCOMPARE(branch.document()["step"].get<int>(), 2);
  }

  // Modules have no weight to go into; their folder is all there is, and comes back as a run.
  void insertedModulesGoOutAndComeBack_data() {
    QTest::addColumn<QString>("change");
    for (const char* change : {"method.name=houlsby", "method.name=llm_parallel", "method.name=prefix",
                               "method.name=loreft method.positions=f3+l2", "method.name=direft method.layers=0,2"})
      QTest::newRow(change) << change;
  }
  void insertedModulesGoOutAndComeBack() {
    QFETCH(QString, change);
    const QString name = change.section('=', 1).section(' ', 0, 0), folder = out(qPrintable(name));
    std::vector<std::string> settings = {"model.path=starter:model", "model.random_init=false", "train.max_steps=4",
                                         "train.eval_every=4", "optim.learning_rate=0.01"};
    for (const QString& each : change.split(' ')) settings.push_back(each.toStdString());
    train(m_home, name, settings);
    const Answer exported = ask(m_home, {"--json", "export", name, "--out", folder});
    QVERIFY2(exported.code == 0, exported.err.c_str());
    const Answer imported = ask(m_home, {"--json", "import", folder, "--name", name + "-back"});
    QVERIFY2(imported.code == 0, imported.err.c_str());
    const json same = imported.document()["check"];
    QVERIFY(same["largest_difference"].get<double>() <= 1e-4 * same["largest_logit"].get<double>());
    const QStringList data = {"--set", "data.task=instruction",      "--data", "starter:data/reviews_train.jsonl",
                              "--set", "data.columns.answer=review", "--set",  "data.template={place} {label}",
                              "--set", "data.eval_limit=20",         "--set",  "data.max_length=48"};
    const double one = lossOf(m_home, QStringList{name} + data), two = lossOf(m_home, QStringList{name + "-back"} + data);
    QVERIFY2(std::isfinite(one) && std::abs(one - two) < 1e-5, qPrintable(QString("%1 %2").arg(one).arg(two)));
    const Answer generated = ask(m_home, {"-q", "generate", name, "--prompt", "The lake is", "--tokens", "6"});
    QVERIFY2(generated.code == 0, generated.err.c_str());
    const Answer merged = ask(m_home, {"merge", name, "--out", out(qPrintable(name + "-merged"))});
    QVERIFY(merged.code != 0 && merged.err.find("cannot be merged") != std::string::npos);
    const Answer gguf = ask(m_home, {"export", name, "--as", "gguf", "--out", out(qPrintable(name + ".gguf"))});
    QVERIFY2(gguf.code != 0 && gguf.err.find("low-rank") != std::string::npos, gguf.err.c_str());
  }

  void mergedModelAnswersTheSame() {
    const QString folder = out("merged");
    const Answer merged = ask(m_home, {"--json", "merge", "language", "--out", folder});
    QVERIFY2(merged.code == 0, merged.err.c_str());
    for (const char* name : {"config.json", "model.safetensors", "generation_config.json", "README.md"})
      QVERIFY2(QFile::exists(folder + "/" + name), name);
    const QStringList data = {"--data", "starter:data/reviews_train.jsonl",
                              "--set",  "data.task=instruction",
                              "--set",  "data.columns.answer=review",
                              "--set",  "data.template={place} {label}",
                              "--set",  "data.eval_limit=20",
                              "--set",  "data.max_length=48"};
    const double run = lossOf(m_home, QStringList{"language"} + data),
                 model = lossOf(m_home, QStringList{folder} + data);
    QVERIFY2(std::isfinite(run) && std::abs(run - model) < 1e-4, qPrintable(QString("%1 %2").arg(run).arg(model)));

    const QString shards = out("shards");
    QCOMPARE(ask(m_home, {"merge", "language", "--out", shards, "--weights", "bf16", "--shard-size", "0.001"}).code, 0);
    QVERIFY(QFile::exists(shards + "/model.safetensors.index.json"));
    QVERIFY(!QFile::exists(shards + "/model.safetensors"));
    const Answer again = ask(m_home, {"merge", "language", "--out", folder});
    QCOMPARE(again.code, 2);
    QVERIFY(again.err.find("--overwrite") != std::string::npos);
    QCOMPARE(ask(m_home, {"merge", "language", "--out", folder, "--overwrite"}).code, 0);
  }

  void ggufAdapter() {
    const QString file = out("adapter") + ".gguf";
    const Answer exported = ask(m_home, {"--json", "export", "language", "--format", "gguf", "--out", file});
    QVERIFY2(exported.code == 0, exported.err.c_str());
    const Result<WeightFilePtr> weights = openWeightFile(file.toStdString());
    QVERIFY2(weights.ok(), weights.ok() ? "" : weights.error().message().c_str());
    QCOMPARE((*weights)->metadata().at("general.type"), std::string("adapter"));
    QCOMPARE((*weights)->tensors().size(), size_t{2 * 3 * 6});  // three kinds of sites in six layers
    const json check = exported.document()["check"];
    QVERIFY(check["from_data"].get<bool>());
    QVERIFY(check["largest_difference"].get<double>() <= 1e-4 * check["largest_logit"].get<double>());
    QCOMPARE(exported.document()["files"].size(), size_t{1});
    QVERIFY((*weights)->info("blk.0.attn_q.weight.lora_a"));
  }

  void classifierWithItsHead() {
    std::vector<std::string> change = kLanguage;
    change.insert(change.end(), kClasses.begin(), kClasses.end());
    train(m_home, "classes", change);
    const QString folder = out("classes");
    const Answer exported = ask(m_home, {"--json", "export", "classes", "--out", folder});
    QVERIFY2(exported.code == 0, exported.err.c_str());
    const Answer imported = ask(m_home, {"--json", "import", folder, "--name", "classes back"});
    QVERIFY2(imported.code == 0, imported.err.c_str());
    const Answer merged = ask(m_home, {"--json", "merge", "classes back", "--out", out("classes merged")});
    QVERIFY2(merged.code == 0, merged.err.c_str());
    QVERIFY(!merged.document()["check"]["from_data"].get<bool>());
    const Answer refused = ask(m_home, {"export", "classes", "--format", "gguf", "--out", out("x")});
    QCOMPARE(refused.code, 2);
    QVERIFY(refused.err.find("factors only") != std::string::npos);
  }

  void refusals() {
    train(m_home, "whole",
          {"model.path=starter:model", "model.random_init=false", "method.name=full", "train.max_steps=2"});
    const Answer whole = ask(m_home, {"export", "whole", "--out", out("whole")});
    QCOMPARE(whole.code, 2);
    QVERIFY(whole.err.find("merge") != std::string::npos);
    QCOMPARE(ask(m_home, {"import", out("nowhere")}).code, 3);
    const QString folder = out("orphan");
    QVERIFY(QDir().mkpath(folder));
    std::ofstream(folder.toStdString() + "/adapter_config.json")
        << R"({"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj"],"base_model_name_or_path":"somebody/some-model"})";
    QVERIFY(QFile::copy(out("adapter") + "/adapter_model.safetensors", folder + "/adapter_model.safetensors"));
    const Answer orphan = ask(m_home, {"import", folder});
    QCOMPARE(orphan.code, 2);
    QVERIFY2(
        orphan.err.find("somebody/some-model") != std::string::npos && orphan.err.find("--model") != std::string::npos,
        orphan.err.c_str());
    // Nothing half made is left behind.
    QCOMPARE(ask(m_home, {"--json", "store", "list", "orphan"}).document()["total"].get<int>(), 0);
  }

 private:
  QString out(const char* name) const { return QString::fromStdString((m_home.places.home / "out" / name).string()); }
  Home m_home;
};

QTEST_GUILESS_MAIN(TrainerExchange)
#include "exchange.moc"
