// rankscope-train as a user or a script meets it: results on stdout alone, exit codes, and the helper's protocol.
#include <QtTest/QtTest>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/app/trainer/command_fixture.h"

using namespace rankscope;
using nlohmann::json;
using rankscope::test::Answer;
using rankscope::test::ask;
using rankscope::test::configFile;
using rankscope::test::Home;

namespace {

// The answers of serve by request id; progress lines are left out.
std::map<int, json> serve(const Home& home, const std::vector<json>& requests) {
  std::string input;
  for (const json& request : requests) input += request.dump() + "\n";
  std::map<int, json> answers;
  std::istringstream lines(ask(home, {"serve"}, input).out);
  for (std::string line; std::getline(lines, line);) {
    const json answer = json::parse(line);
    if (!answer.contains("progress") && answer["id"].is_number()) answers[answer["id"].get<int>()] = answer;
  }
  return answers;
}

}  // namespace

class TrainerCommands : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void listsAreJsonAndNothingElse() {
    Home home;
    for (const QStringList& words : {QStringList{"methods"}, {"presets"}, {"options"}, {"options", "--schema"}, {"models", "list"}}) {
      const Answer answer = ask(home, words + QStringList{"--json"});
      QCOMPARE(answer.code, 0);
      QVERIFY2(!answer.document().is_discarded(), qPrintable(words.join(' ')));
      QVERIFY(!answer.document().empty());
    }
    QVERIFY(ask(home, {"--version"}).out.find("rankscope-train") == 0);
    QCOMPARE(ask(home, {"--help"}).code, 0);
  }

  void wrongUseIsTwoAndSaysWhatToDo() {
    Home home;
    for (const QStringList& words :
         {QStringList{"nonsense"}, {"train"}, {"train", "--set", "method.rnak=4"}, {"train", "--preset", "nope"}, {"resume", "nope"}}) {
      const Answer answer = ask(home, words);
      QVERIFY2(answer.code == 2, qPrintable(words.join(' ') + " gave " + QString::number(answer.code)));
      QVERIFY(answer.err.find("error: ") == 0);
    }
    const json error = ask(home, {"--json", "train", "--set", "method.rnak=4"}).document();
    QVERIFY(error.contains("error"));
    QVERIFY(error["error"]["hint"].get<std::string>().size() + error["error"]["expected"].get<std::string>().size() > 0);
  }

  void allMistakesAtOnce() {
    Home home;
    const Answer answer = ask(home, {"--json", "check", "--config", configFile(home), "--set",
                                     "method.rank=0", "--set", "optim.learning_rate=-1"});
    QCOMPARE(answer.code, 2);
    QCOMPARE(answer.document()["errors"].size(), size_t{2});
  }

  // One method's page, and its settings laid over a config.
  void publishedSettings() {
    Home home;
    const json page = ask(home, {"--json", "methods", "adalora"}).document();
    QCOMPARE(page["name"].get<std::string>(), std::string("adalora"));
    QVERIFY(!page["does"].get<std::string>().empty() && !page["paper"].get<std::string>().empty());
    QCOMPARE(page["published"][0]["name"].get<std::string>(), std::string("adalora-glue"));
    QVERIFY(ask(home, {"methods", "adalora"}).out.find("--published adalora-glue") != std::string::npos);
    QCOMPARE(ask(home, {"methods", "adalor"}).code, 2);
    const Answer unknown = ask(home, {"check", "--config", configFile(home), "--published", "adalora-glu"});
    QCOMPARE(unknown.code, 2);
    QVERIFY2(unknown.err.find("adalora-glue") != std::string::npos, unknown.err.c_str());
    // What is set by hand stands over what is published: a first rank below AdaLoRA's 8 at the end.
    const Answer over = ask(home, {"check", "--config", configFile(home), "--published", "adalora-glue", "--set", "method.rank=4"});
    QCOMPARE(over.code, 2);
    QVERIFY2(over.err.find("method.target_rank") != std::string::npos, over.err.c_str());
  }

  void missingAndTruncatedFiles() {
    Home home;
    const QString config = configFile(home);
    QVERIFY(ask(home, {"check", "--config", config, "--set", "data.train=/nowhere.jsonl"}).code >= 2);
    // A model whose weights end in the middle.
    const std::filesystem::path model = home.places.models / "cut";
    std::filesystem::copy(home.places.starter() / "pretrain", model);
    (void)writeFileAtomically(model / "model.safetensors", std::string("\x40\0\0\0\0\0\0\0{\"a\":", 13));
    const Answer answer = ask(home, {"check", "--config", config, "--set", "model.path=models:cut", "--set", "model.random_init=false"});
    QCOMPARE(answer.code, 3);
    QVERIFY2(answer.err.find("model.safetensors") != std::string::npos, answer.err.c_str());
  }

  void trainEvalGenerateMergeExport() {
    Home home;
    const Answer trained = ask(home, {"--json", "train", "--config", configFile(home), "--name", "first"});
    QVERIFY2(trained.code == 0, trained.err.c_str());
    const json document = trained.document();
    QCOMPARE(document["state"].get<std::string>(), std::string("finished"));
    const double told = document["summary"]["values"]["eval/loss"].get<double>();

    const json scored = ask(home, {"--json", "eval", "first"}).document();
    QVERIFY(std::abs(scored["values"]["loss"].get<double>() - told) < 1e-6);

    const json said = ask(home, {"--json", "generate", "first", "--prompt", "The Silver Heron", "--tokens", "5"}).document();
    QVERIFY(said.is_array() && said[0]["tokens"].get<int>() <= 5);

    const QString merged = QString::fromStdString((home.places.home / "merged").string());
    QCOMPARE(ask(home, {"merge", "first", "--out", merged}).code, 0);
    QCOMPARE(ask(home, {"merge", "first", "--out", merged}).code, 2);  // not over files that are there
    for (const char* file : {"/config.json", "/model.safetensors", "/tokenizer.model"}) QVERIFY(QFile::exists(merged + file));
    // The merged folder is a model like any other and says the same.
    const QString reviews = QStringLiteral(RANKSCOPE_SOURCE_DIR "/resources/starter/data/reviews_dev.jsonl");
    const QStringList options = {"--data", reviews, "--set", "data.columns.answer=review", "--set",
                                 "data.template={place} {label}", "--set", "data.max_length=48", "--set", "data.eval_limit=20",
                                 "--dtype", "fp32"};
    const json whole = ask(home, QStringList{"--json", "eval", merged, "--task", "instruction"} + options).document();
    const json adapted = ask(home, QStringList{"--json", "eval", "first", "--no-record"} + options).document();
    QVERIFY2(whole.contains("values") && adapted.contains("values"), (whole.dump() + adapted.dump()).c_str());
    QVERIFY(std::abs(whole["values"]["loss"].get<double>() - adapted["values"]["loss"].get<double>()) < 1e-4);

    const QString adapter = QString::fromStdString((home.places.home / "adapter").string());
    QCOMPARE(ask(home, {"export", "first", "--as", "peft", "--out", adapter}).code, 0);
    QVERIFY(QFile::exists(adapter + "/adapter_config.json"));
    QCOMPARE(ask(home, {"control", "first", "pause"}).code, 2);  // it is not going
  }

  void choicesOfAPlainModel() {
    Home home;
    const std::filesystem::path file = home.places.home / "rows.json";
    (void)writeFileAtomically(file, R"([{"instruction":"Is it so?\n\nAnswer format: true/false","answer":"true"},
      {"instruction":"Which? Option1: a lake Option2: a hill Answer format: option1/option2","answer":"option2"}])");
    const QString rows = QString::fromStdString(file.string());
    const Answer scored = ask(home, {"--json", "eval", "starter:model", "--task", "multiple_choice", "--data", rows});
    QVERIFY2(scored.code == 0, scored.err.c_str());
    QCOMPARE(scored.document()["examples"].get<int>(), 4);
    for (const char* name : {"accuracy", "accuracy_norm", "loss"}) QVERIFY(scored.document()["values"].contains(name));
    // A causal model tells no hidden words, a row that names no choice stops it all, with its place.
    QCOMPARE(ask(home, {"eval", "starter:model", "--pseudo", "--data", rows}).code, 2);
    (void)writeFileAtomically(file, R"([{"instruction":"Is it so? Answer format: true/false","answer":"perhaps"}])");
    const Answer refused = ask(home, {"eval", "starter:model", "--task", "multiple_choice", "--data", rows});
    QCOMPARE(refused.code, 3);
    QVERIFY2(refused.err.find("rows.json: row 1 (line 1)") != std::string::npos, refused.err.c_str());
  }

  void serveAnswers() {
    Home home;
    const json config = home.config().toSparseJson();
    const auto answers = serve(home, {{{"id", 1}, {"method", "ping"}},
                                      {{"id", 2}, {"method", "nope"}},
                                      {{"id", 3}, {"method", "model.inspect"}, {"params", {{"path", "starter:pretrain"}}}},
                                      {{"id", 4}, {"method", "estimate"}, {"params", {{"config", config}}}},
                                      {{"id", 5}, {"method", "data.preview"}, {"params", {{"config", config}, {"rows", 2}}}},
                                      {{"id", 6}, {"method", "validate"}, {"params", {{"config", {{"version", 1}, {"method", {{"rank", 0}}}}}}}},
                                      {{"id", 7}, {"method", "data.inspect"}, {"params", {{"path", "starter:data/reviews_dev.jsonl"}}}},
                                      {{"id", 8}, {"method", "check"}, {"params", {{"config", config}}}}});
    QCOMPARE(answers.size(), size_t{8});
    QVERIFY(answers.at(1).contains("result"));
    QVERIFY(answers.at(2).contains("error"));
    QVERIFY(!answers.at(3)["result"]["sites"].empty());
    const json estimate = answers.at(4)["result"];
    QVERIFY(estimate["trainable"].get<int64_t>() > 0);
    int64_t sum = 0;
    for (const char* part : {"program", "weights", "adapter", "gradients", "optimizer", "activations", "logits", "spectrum"})
      sum += estimate["memory"][part].get<int64_t>();
    QCOMPARE(sum, estimate["memory"]["total"].get<int64_t>());
    QCOMPARE(answers.at(5)["result"]["rows"].size(), size_t{2});
    bool rank = false;
    for (const json& issue : answers.at(6)["result"]) rank |= issue["key"] == "method.rank";
    QVERIFY(rank);
    QVERIFY(!answers.at(7)["result"]["columns"].empty());
    const json check = answers.at(8);
    QVERIFY2(check.contains("result"), check.dump().c_str());
    QVERIFY(check["result"]["loss"].get<double>() > 0);
  }

  void newestOfASlotWins() {
    Home home;
    const json config = home.config({"data.train_limit=0", "data.max_length=256"}).toSparseJson();
    std::vector<json> requests;
    for (int id = 1; id <= 6; ++id)
      requests.push_back({{"id", id}, {"method", "data.preview"}, {"slot", "preview"}, {"params", {{"config", config}}}});
    const auto answers = serve(home, requests);
    QCOMPARE(answers.size(), size_t{6});  // every request gets exactly one answer
    QVERIFY(answers.at(6).contains("result"));
    int cancelled = 0;
    for (int id = 1; id < 6; ++id) cancelled += answers.at(id).contains("error");
    QVERIFY(cancelled >= 4);  // the first may have been answered before the second was read
  }
};

QTEST_GUILESS_MAIN(TrainerCommands)
#include "commands.moc"
