// The option table holds together: every row can be shown, validated, exported and typed.
#include <QtTest/QtTest>

#include <set>

#include "core/config/option_spec.h"
#include "core/config/run_config.h"

using namespace rankscope;
using nlohmann::json;

class ConfigOptions : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void everyRowIsComplete() {
    QVERIFY(optionTable().size() > 60);
    std::set<std::string> keys, groups;
    for (const OptionGroup& group : optionGroups()) groups.insert(group.name);
    for (const OptionSpec& option : optionTable()) {
      const char* key = option.key.c_str();
      QVERIFY2(keys.insert(option.key).second, key);
      QVERIFY2(groups.count(option.group) == 1, key);
      QVERIFY2(!option.title.empty() && !option.help.empty() && option.help.back() == '.', key);
      const bool number =
          option.type == OptionType::Integer || option.type == OptionType::Real || option.type == OptionType::Map;
      QVERIFY2(number || (!option.min && !option.max), key);
      if (option.min && option.max) QVERIFY2(*option.min < *option.max, key);
      if (option.type == OptionType::Choice) QVERIFY2(option.choices.size() >= 2, key);
      for (const OptionChoice& choice : option.choices)
        QVERIFY2(!choice.value.empty() && !choice.title.empty() && !choice.help.empty(), key);
      QVERIFY2(findOption(option.key) == &option, key);
      // Conditions name options and values that exist, and never the option itself.
      for (const AppliesWhen& when : option.appliesTo) {
        const OptionSpec* other = findOption(when.key);
        QVERIFY2(other && when.key != option.key && !when.values.empty(), key);
        if (other->type == OptionType::Choice)
          for (const std::string& value : when.values)
            QVERIFY2(std::any_of(other->choices.begin(), other->choices.end(),
                                 [&](const auto& c) { return c.value == value; }),
                     key);
      }
      // A default must be a value of its option.
      RunConfig config;
      QVERIFY2(config.set(option.key, option.defaultValue).ok(), key);
      QVERIFY2(config.isDefault(option.key), key);
    }
  }

  void defaultsAreThoseOfTheDesign() {
    const RunConfig c;
    QCOMPARE(c.str("model.head"), std::string("auto"));
    QCOMPARE(c.str("data.task"), std::string("causal_lm"));
    QCOMPARE(c.real("data.eval_fraction"), 0.1);
    QCOMPARE(c.integer("data.max_length"), int64_t{256});
    QCOMPARE(c.str("method.name"), std::string("lora"));
    QCOMPARE(c.integer("method.rank"), int64_t{8});
    QCOMPARE(c.real("method.alpha"), 16.0);
    QCOMPARE(c.integer("method.warmup_steps"), int64_t{100});
    QCOMPARE(c.real("optim.learning_rate"), 1e-4);
    QCOMPARE(c.real("optim.beta2"), 0.999);
    QCOMPARE(c.integer("train.epochs"), int64_t{3});
    QCOMPARE(c.integer("train.keep_checkpoints"), int64_t{2});
    QCOMPARE(c.integer("train.sample_tokens"), int64_t{48});
  }

  void nearestNames_data() {
    QTest::addColumn<QString>("typed");
    QTest::addColumn<QString>("meant");
    QTest::newRow("swap") << "method.rnak"
                          << "method.rank";
    QTest::newRow("missing letter") << "optim.learnin_rate"
                                    << "optim.learning_rate";
    QTest::newRow("dash") << "train.batch-size"
                          << "train.batch_size";
    QTest::newRow("case") << "Method.Rank"
                          << "method.rank";
    QTest::newRow("wrong group") << "train.rank"
                                 << "method.rank";
    QTest::newRow("bare") << "max_length"
                          << "data.max_length";
    QTest::newRow("bare, mistyped") << "leraning_rate"
                                    << "optim.learning_rate";
    QTest::newRow("other programs' name") << "lora_alpha"
                                          << "method.alpha";
    QTest::newRow("lr") << "lr"
                        << "optim.learning_rate";
    QTest::newRow("nothing near") << "zzzzzzzzzzzzzzzzzzz"
                                  << "";
    QTest::newRow("empty") << ""
                           << "";
  }
  void nearestNames() {
    QFETCH(QString, typed);
    QFETCH(QString, meant);
    QCOMPARE(QString::fromStdString(nearestOption(typed.toStdString())), meant);
  }

  void appliesFollowsTheMethod() {
    RunConfig c;
    const auto on = [&](const char* key) { return applies(*findOption(key), c); };
    QVERIFY(on("method.rank") && !on("method.warmup_steps") && !on("method.interval"));
    QVERIFY(c.set("method.name", "reflora").ok());
    QVERIFY(on("method.rank") && on("method.warmup_steps") && on("method.interval"));
    QVERIFY(c.set("method.name", "reflora_s").ok());
    QVERIFY(on("method.warmup_steps") && !on("method.interval"));
    QVERIFY(c.set("method.name", "full").ok());
    QVERIFY(!on("method.rank") && !on("method.target_modules") && on("method.train_modules") && on("method.layers"));
    QVERIFY(c.set("method.name", "loreft").ok());
    QVERIFY(on("method.rank") && on("method.positions") && !on("method.target_modules") && !on("method.alpha"));
    QVERIFY(c.set("method.name", "houlsby").ok());
    QVERIFY(!on("method.rank") && on("method.layers") && on("method.reduction_factor") && !on("method.rule"));
    QVERIFY(c.set("method.name", "full").ok());
    QVERIFY(on("data.eval_fraction"));
    QVERIFY(c.set("data.eval", "dev.tsv").ok());
    QVERIFY(!on("data.eval_fraction"));
    QCOMPARE(appliesText(*findOption("method.layers")), std::string("method.name is not prefix"));
    QCOMPARE(appliesText(*findOption("data.eval_fraction")), std::string("data.eval is empty"));
  }

  // The schema says what parse() and validate() do: checked on the constraints it uses.
  void schemaHoldsEveryOption() {
    const json schema = configSchema();
    QCOMPARE(schema["additionalProperties"].get<bool>(), false);
    for (const OptionSpec& option : optionTable()) {
      std::string pointer;
      for (const char c : "." + option.key) pointer += c == '.' ? std::string("/properties/") : std::string(1, c);
      const json::json_pointer at(pointer);
      QVERIFY2(schema.contains(at), option.key.c_str());
      QCOMPARE(schema[at]["default"], option.defaultValue);
      QCOMPARE(schema[at]["title"].get<std::string>(), option.title);
    }
    const json& method = schema["properties"]["method"]["properties"];
    json names = json::array();
    for (const OptionChoice& choice : findOption("method.name")->choices) names.push_back(choice.value);
    QCOMPARE(method["name"]["enum"], names);
    QVERIFY(names.size() > 4 && names[0] == "full");
    QCOMPARE(method["rank"]["minimum"].get<int>(), 1);
    QCOMPARE(method["alpha"]["exclusiveMinimum"].get<int>(), 0);
    QCOMPARE(method["dropout"]["exclusiveMaximum"].get<int>(), 1);
    QCOMPARE(method["rank_pattern"]["additionalProperties"]["type"].get<std::string>(), std::string("number"));
    QCOMPARE(schema["properties"]["data"]["properties"]["columns"]["properties"]["text"]["type"].get<std::string>(),
             std::string("string"));
  }

  void referencePageNamesEveryOption() {
    const std::string page = optionReferenceMarkdown();
    for (const OptionSpec& option : optionTable())
      QVERIFY2(page.find("| `" + option.key + "` |") != std::string::npos, option.key.c_str());
    QVERIFY(page.find("1 … 65536") != std::string::npos);
    // Four cells a row: no text may break the table.
    size_t start = 0;
    for (size_t end; (end = page.find('\n', start)) != std::string::npos; start = end + 1) {
      const std::string line = page.substr(start, end - start);
      if (line.rfind("| `", 0) != 0) continue;
      int bars = 0;
      for (size_t i = 0; i < line.size(); ++i) bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
      QVERIFY2(bars == 5, line.c_str());
    }
  }
};

QTEST_GUILESS_MAIN(ConfigOptions)
#include "config_options.moc"
