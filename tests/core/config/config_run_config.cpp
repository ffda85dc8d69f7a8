// RunConfig as a document: parse, write, text forms, layers, differences, the command line.
#include <QtTest/QtTest>

#include <QProcess>
#include <QTemporaryDir>
#include <fstream>

#include "core/config/json_text.h"
#include "core/config/run_config.h"

using namespace rankscope;
using nlohmann::json;

namespace {
RunConfig parsed(const char* text) {
  const auto document = parseJson(text, "test");
  if (!document) qFatal("%s", document.error().message().c_str());
  const auto config = RunConfig::parse(*document);
  if (!config) qFatal("%s", config.error().message().c_str());
  return *config;
}
std::string errorOf(const json& document) {
  const auto config = RunConfig::parse(document);
  return config ? "" : config.error().message();
}
}  // namespace

class ConfigRunConfig : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void readsANestedDocument() {
    const RunConfig c =
        parsed(R"({"version": 1, "name": "a", "seed": 7, "method": {"name": "reflora", "rank": 16, "alpha": 32,
        "rank_pattern": {"q_proj": 4}, "layers": [0, "2-4"]}, "data": {"columns": {"text": "sentence"}, "shuffle": false},
        "optim.learning_rate": 2e-3})");
    QCOMPARE(c.integer("seed"), int64_t{7});
    QCOMPARE(c.str("method.name"), std::string("reflora"));
    QCOMPARE(c.real("method.alpha"), 32.0);
    QCOMPARE(c.map("method.rank_pattern").at("q_proj"), 4.0);
    QCOMPARE(c.list("method.layers"), (std::vector<std::string>{"0", "2", "3", "4"}));
    QCOMPARE(c.str("data.columns.text"), std::string("sentence"));
    QCOMPARE(c.flag("data.shuffle"), false);
    QCOMPARE(c.real("optim.learning_rate"), 2e-3);
    QVERIFY(c.isSet("method.rank") && !c.isSet("train.epochs"));
  }

  // A file and the command line mean the same; in a text blanks count.
  void blanksAroundAPathMeanNothing() {
    const RunConfig file =
        parsed(R"({"version": 1, "model": {"path": " starter:model\t"}, "method": {"name": " full"}, "notes": " x"})");
    QCOMPARE(file.str("model.path"), std::string("starter:model"));
    QCOMPARE(file.str("method.name"), std::string("full"));
    QCOMPARE(file.str("notes"), std::string(" x"));
    RunConfig typed;
    QVERIFY(typed.setText("model.path", "  starter:model ").ok() && typed.setText("method.name", "full ").ok());
    QVERIFY(typed.setText("notes", " x").ok());
    QVERIFY(typed == file);
  }

  void completeDocumentReadsBackEqual() {
    for (const char* method : {"full", "lora", "rora", "reflora", "reflora_s"}) {
      RunConfig c;
      QVERIFY(c.set("method.name", method).ok());
      QVERIFY(c.set("optim.learning_rate", 0.1 + 0.2).ok());
      QVERIFY(c.set("notes", "two\nlines \"quoted\" ü").ok());
      const json document = c.toJson();
      const auto back = RunConfig::parse(*parseJson(jsonText(document, 2), "again"));
      QVERIFY(back.ok());
      QVERIFY(*back == c);
      QCOMPARE(jsonText(back->toJson()), jsonText(document));
      QCOMPARE(document.contains("/method/rank"_json_pointer), std::string(method) != "full");
      QCOMPARE(document.contains("/method/interval"_json_pointer), std::string(method) == "reflora");
      QCOMPARE(document["version"].get<int>(), RunConfig::kVersion);
      QVERIFY(document.contains("/train/epochs"_json_pointer));
    }
  }

  void keepsWhatDoesNotApplySoThatItCanBeNamed() {
    RunConfig c;
    QVERIFY(c.set("method.interval", 5).ok());
    const auto back = RunConfig::parse(c.toJson());
    QVERIFY(back.ok());
    QCOMPARE(back->integer("method.interval"), int64_t{5});
    QCOMPARE(c.dropInapplicable(), (std::vector<std::string>{"method.interval"}));
    QVERIFY(!c.isSet("method.interval"));
  }

  void listsEveryMistakeOfADocument() {
    const auto read = RunConfig::read(json::parse(R"({"method": {"rnak": 4, "rank": "eight", "alpha": 32}, "data": 5,
                                                      "train": {"epochs": 1.5}, "zzzzzzzzzzzz": {}})"));
    std::vector<std::string> keys;
    for (const auto& issue : read.issues) {
      keys.push_back(issue.key);
      QVERIFY(!issue.error.hint.empty());
    }
    std::sort(keys.begin(), keys.end());
    QCOMPARE(keys, (std::vector<std::string>{"data", "method.rank", "method.rnak", "train.epochs", "zzzzzzzzzzzz"}));
    QCOMPARE(read.config.real("method.alpha"), 32.0);  // what was right is kept
    const std::string combined = combineIssues(read.issues).message();
    for (const std::string& key : keys) QVERIFY2(combined.find(key) != std::string::npos, combined.c_str());
  }

  void unknownKeyNamesTheNearest() {
    const std::string text = errorOf({{"optim", {{"learning-rate", 1e-3}}}});
    QVERIFY2(text.find("Did you mean optim.learning_rate?") != std::string::npos, text.c_str());
  }

  void refusesDoubledOptions() {
    QVERIFY(errorOf({{"method.rank", 8}, {"method", {{"rank", 9}}}}).find("twice") != std::string::npos);
    QVERIFY(!parseJson(R"({"method": {"rank": 8, "rank": 9}})", "config.json").ok());
  }

  void versions() {
    QVERIFY(RunConfig::parse(json::object()).ok());
    QVERIFY(RunConfig::parse({{"version", 0}, {"seed", 1}}).ok());
    QVERIFY(RunConfig::parse({{"version", 1}}).ok());
    QVERIFY(errorOf({{"version", 2}}).find("newer version") != std::string::npos);
    for (const json& senseless : {json(-1), json("1"), json(1.5), json(), json(UINT64_MAX)})
      QVERIFY2(errorOf({{"version", senseless}}).find("makes no sense") != std::string::npos, senseless.dump().c_str());
    for (const json& document : {json::array(), json(5), json("x"), json()}) QVERIFY(!RunConfig::parse(document).ok());
  }

  void typesOfValues_data() {
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("value");
    QTest::addColumn<bool>("fits");
    const auto row = [](const char* key, const char* value, bool fits) {
      QTest::addRow("%s = %s", key, value) << key << value << fits;
    };
    row("method.rank", "8", true);
    row("method.rank", "8.0", true);
    row("method.rank", "8.5", false);
    row("method.rank", "\"8\"", false);
    row("method.rank", "null", false);
    row("method.rank", "true", false);
    row("method.rank", "18446744073709551615", false);
    row("method.rank", "1e300", false);
    row("seed", "9007199254740992", true);
    row("seed", "9007199254740993", false);
    row("method.alpha", "16", true);
    row("method.alpha", "[16]", false);
    row("data.shuffle", "1", false);
    row("data.shuffle", "true", true);
    row("name", "5", false);
    row("method.target_modules", "\"q_proj\"", false);
    row("method.target_modules", "[\"q_proj\", null]", false);
    row("method.target_modules", "[]", true);
    row("data.labels", "[0, 1]", true);
    row("method.rank_pattern", "{\"q\": \"4\"}", false);
    row("method.rank_pattern", "[4]", false);
    row("method.rank_pattern", "{}", true);
  }
  void typesOfValues() {
    QFETCH(QString, key);
    QFETCH(QString, value);
    QFETCH(bool, fits);
    RunConfig c;
    const auto done = c.set(key.toStdString(), json::parse(value.toStdString()));
    QCOMPARE(done.ok(), fits);
    if (!fits) QVERIFY(!done.error().hint.empty() && done.error().where == key.toStdString());
    if (!fits) QVERIFY(!c.isSet(key.toStdString()));
  }

  void textForms_data() {
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("asJson");  // "" = refused
    const auto row = [](const char* key, const char* text, const char* asJson) {
      QTest::addRow("%s=%s", key, text) << key << text << asJson;
    };
    row("method.rank", "16", "16");
    row("method.rank", " 16 ", "16");
    row("method.rank", "1e2", "100");
    row("method.rank", "16x", "");
    row("method.rank", "", "");
    row("method.rank", "nan", "");
    row("method.alpha", "inf", "");
    row("method.alpha", "1e400", "");
    row("optim.learning_rate", "+1e-3", "0.001");
    row("optim.learning_rate", "0x10", "");
    row("data.shuffle", "no", "false");
    row("data.shuffle", "on", "true");
    row("data.shuffle", "maybe", "");
    row("name", " kept as is ", "\" kept as is \"");
    row("method.target_modules", "q_proj, v_proj", "[\"q_proj\", \"v_proj\"]");
    row("method.target_modules", "", "[]");
    row("method.target_modules", "[\"a,b\", \"\"]", "[\"a,b\", \"\"]");
    row("method.target_modules", "[\"a\"", "");
    row("method.layers", "0-2,5", "[\"0\", \"1\", \"2\", \"5\"]");
    row("method.layers", "5-2", "[\"5-2\"]");
    row("method.rank_pattern", "q_proj=4, layers.0.v_proj=16", "{\"q_proj\": 4, \"layers.0.v_proj\": 16}");
    row("method.rank_pattern", "{\"q\": 4}", "{\"q\": 4}");
    row("method.rank_pattern", "q_proj", "");
    row("method.rank_pattern", "q=1,q=2", "");
    row("method.alpha_pattern", "q=0.5", "{\"q\": 0.5}");
  }
  void textForms() {
    QFETCH(QString, key);
    QFETCH(QString, text);
    QFETCH(QString, asJson);
    RunConfig c;
    const auto done = c.setText(key.toStdString(), text.toStdString());
    QCOMPARE(done.ok(), !asJson.isEmpty());
    if (!done.ok()) return;
    QCOMPARE(c.value(key.toStdString()), json::parse(asJson.toStdString()));
    RunConfig again;
    QVERIFY(again.setText(key.toStdString(), c.valueText(key.toStdString())).ok());
    QVERIFY(again == c);
  }

  void textFormsReadBack() {
    for (const json& list : {json::array({"a, b", "c"}), json::array({" lead"}), json::array({"[x"}), json::array({""}),
                             json::array({"ü", "line\nbreak"}), json::array({"k=v"})}) {
      RunConfig c, again;
      QVERIFY(c.set("train.sample_prompts", list).ok());
      QVERIFY(again.setText("train.sample_prompts", c.valueText("train.sample_prompts")).ok());
      QCOMPARE(again.value("train.sample_prompts"), list);
    }
    RunConfig c, again;
    QVERIFY(c.set("method.rank_pattern", {{"a=b", 3}, {"c,d", 4}}).ok());
    QVERIFY(again.setText("method.rank_pattern", c.valueText("method.rank_pattern")).ok());
    QVERIFY(c == again);
  }

  void assignDropsWhatStopsApplying() {
    RunConfig preset = parsed(R"({"method": {"name": "reflora", "rank": 32, "warmup_steps": 50, "interval": 2}})");
    QVERIFY(preset.assign({"method.name=lora", "seed=3"}).empty());
    QVERIFY(!preset.isSet("method.warmup_steps") && !preset.isSet("method.interval"));
    QCOMPARE(preset.integer("method.rank"), int64_t{32});
    // An option given in the same breath stays, for validate() to name.
    QVERIFY(preset.assign({"method.name=full", "method.rank=4"}).empty());
    QVERIFY(preset.isSet("method.rank"));
    const auto issues = preset.assign({"method.rank", "=3", "seed=x", "sed=3", "seed=4"});
    QCOMPARE(issues.size(), size_t{4});
    QCOMPARE(preset.integer("seed"), int64_t{4});
  }

  void overlaysKeepWhatTheyDoNotSet() {
    RunConfig base = parsed(R"({"method": {"rank": 32, "alpha": 64}})");
    base.overlay(parsed(R"({"method": {"alpha": 8}})"));
    QCOMPARE(base.integer("method.rank"), int64_t{32});
    QCOMPARE(base.real("method.alpha"), 8.0);
    base.unset("method.alpha");
    QCOMPARE(base.real("method.alpha"), 16.0);
  }

  void gettersRefuseMistakesOfTheProgram() {
    const RunConfig c;
    QVERIFY_EXCEPTION_THROWN(c.str("method.rnak"), std::logic_error);
    QVERIFY_EXCEPTION_THROWN(c.str("method.rank"), std::logic_error);
    QVERIFY_EXCEPTION_THROWN(c.integer("method.alpha"), std::logic_error);
    QVERIFY_EXCEPTION_THROWN(c.isDefault("nothing"), std::logic_error);
    QCOMPARE(c.real("method.rank"), 8.0);
  }

  void differencesOfConfigs() {
    RunConfig a, b, full;
    QVERIFY(a.set("name", "a").ok() && b.set("name", "b").ok() && b.set("method.rank", 64).ok());
    QVERIFY(full.set("method.name", "full").ok());
    QCOMPARE(changedKeys(a, b), (std::vector<std::string>{"name", "method.rank"}));
    auto found = differences({a, b});
    QCOMPARE(found.size(), size_t{1});
    QCOMPARE(found[0].key, std::string("method.rank"));
    QCOMPARE(found[0].values, (std::vector<json>{8, 64}));
    found = differences({a, b, full});
    const auto rank = std::find_if(found.begin(), found.end(), [](const auto& d) { return d.key == "method.rank"; });
    QVERIFY(rank != found.end() && rank->values[2].is_null());
    QVERIFY(differences({a}).empty() && differences({}).empty() && differences({a, a}).empty());
    // Options that apply to neither are no difference.
    RunConfig c = a;
    QVERIFY(c.set("method.interval", 7).ok());
    QCOMPARE(changedKeys(a, c), std::vector<std::string>{});
  }

  void commandLineMakesTheSameConfig() {
    RunConfig base =
        parsed(R"({"method": {"name": "reflora", "rank": 32, "warmup_steps": 5}, "train": {"epochs": 9}})");
    RunConfig wanted = base;
    QVERIFY(wanted
                .assign({"method.name=lora", "name=it's \"me\" $HOME `x` \\ ü", "optim.learning_rate=0.0002",
                         "method.target_modules=q_proj,v_proj", "train.epochs=3"})
                .empty());
    const std::string line = commandText(wanted, "my preset", base);
    QVERIFY2(line.rfind("rankscope-train train --preset 'my preset' --set ", 0) == 0, line.c_str());
    QVERIFY(line.find("--set train.epochs=3") != std::string::npos);  // back to a default that the preset changes

    // A real shell takes the line apart; the words after --set make the same config.
    QProcess shell;
    const std::string script = "printf '%s\\0' " + line;
    shell.start("/bin/sh", {"-c", QString::fromStdString(script)});
    QVERIFY(shell.waitForFinished());
    const QList<QByteArray> words = shell.readAllStandardOutput().split('\0');
    std::vector<std::string> sets;
    for (qsizetype i = 0; i + 1 < words.size(); ++i)
      if (words[i] == "--set") sets.push_back(words[i + 1].toStdString());
    QCOMPARE(words[3], QByteArray("my preset"));
    RunConfig made = base;
    QVERIFY(made.assign(sets).empty());
    QVERIFY(made == wanted);
    QCOMPARE(commandText(RunConfig()), std::string("rankscope-train train"));
  }

  void loadsAFileAndNamesIt() {
    QTemporaryDir folder;
    const std::filesystem::path file = std::filesystem::path(folder.path().toStdString()) / "c.json";
    QVERIFY(RunConfig::load(file).error().where.find("c.json") != std::string::npos);
    std::ofstream(file) << "\xEF\xBB\xBF{\"method\": {\n  \"rank\": 4,\n}}";
    QVERIFY2(RunConfig::load(file).error().where.find("line 3") != std::string::npos,
             RunConfig::load(file).error().message().c_str());
    std::ofstream(file) << "\xEF\xBB\xBF{\"method\": {\"rank\": 4}}";
    QVERIFY(RunConfig::load(file).ok());
    std::ofstream(file) << "{\"method\": {\"rank\": \"4\"}}";
    const std::string where = RunConfig::load(file).error().where;
    QVERIFY2(where.find("c.json") != std::string::npos && where.find("method.rank") != std::string::npos,
             where.c_str());
  }

  void hostileJsonIsRefusedWithoutHarm() {
    for (const std::string& open : {std::string("["), std::string("{\"a\":")}) {
      std::string deep;
      for (int i = 0; i < 200000; ++i) deep += open;
      QVERIFY(!parseJson(deep, "deep").ok());
    }
    for (const char* text :
         {"", "{", "nul", "{\"a\":1}x", "\"\xff\"", "[1,]", "1e999", "{\"a\" 1}", "\xEF\xBB\xBF\xEF\xBB\xBF 2"}) {
      const auto result = parseJson(text, "bad");
      QVERIFY2(!result.ok(), text);
      QVERIFY(!result.error().hint.empty());
    }
    json huge = json::array();
    for (int i = 0; i < 70000; ++i) huge.push_back("x");
    RunConfig c;
    QVERIFY(!c.set("data.labels", huge).ok());
    QVERIFY(!c.set("notes", std::string(1 << 20, 'x')).ok());
    QVERIFY(!c.set("name", "\xff\xfe").ok());
  }
};

QTEST_GUILESS_MAIN(ConfigRunConfig)
#include "config_run_config.moc"
