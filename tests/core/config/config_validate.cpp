// validate(): each rule alone, and all of them together.
#include <QtTest/QtTest>

#include <QTemporaryDir>
#include <fstream>
#include <set>

#include "core/config/run_config.h"
#include "core/config/step_size.h"

using namespace rankscope;
namespace fs = std::filesystem;

namespace {
RunConfig sound() {
  RunConfig c;
  const auto issues = c.assign({"model.path=starter:model", "data.train=starter:data/train.txt"});
  if (!issues.empty()) qFatal("%s", issues[0].error.message().c_str());
  return c;
}
}  // namespace

class ConfigValidate : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void aSoundConfigHasNoMistakes() {
    QVERIFY(validate(sound()).empty());
    for (const char* method : {"full", "lora", "rora", "reflora", "reflora_s"}) {
      RunConfig c = sound();
      QVERIFY(c.setText("method.name", method).ok());
      QVERIFY(validate(c).empty());
    }
  }

  // METHODS 18: α = √(D/(L̂ζ²T)), L̂ = 2LC√r σ + G; r^(-1/4) and T^(-1/2) where r is large.
  void meftsStepFollowsItsFormula() {
    const MeftBounds bounds{2, 3, 5, 0.5, 7, 1.5};
    QVERIFY(std::abs(meftStep(bounds, 16, 200) - std::sqrt(2 / ((2 * 3 * 5 * 4 * 0.5 + 7) * 1.5 * 1.5 * 200))) < 1e-15);
    const double large = meftStep(bounds, 1 << 24, 100);
    QVERIFY(std::abs(meftStep(bounds, 1 << 28, 100) / large - 0.5) < 1e-4);
    QVERIFY(std::abs(meftStep(bounds, 1 << 24, 400) / large - 0.5) < 1e-15);
    RunConfig c = sound();
    QCOMPARE(peakLearningRate(c, 0), std::optional(1e-4));
    QVERIFY(c.assign({"optim.name=meft", "optim.meft_gap=2"}).empty());
    QVERIFY(validate(c).empty());
    QVERIFY(!peakLearningRate(c, 0));
    QCOMPARE(peakLearningRate(c, 50), std::optional(meftStep({.gap = 2}, 8, 50)));
  }

  // "assignments" separated by ";" on a sound config give exactly one mistake, at `key`, and its text holds `says`.
  void oneMistake_data() {
    QTest::addColumn<QString>("sets");
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("says");
    const auto row = [](const char* sets, const char* key, const char* says) {
      QTest::addRow("%s", sets) << sets << key << says;
    };
    row("model.path=", "model.path", "no base model");
    row("data.train=", "data.train", "no training data");
    row("method.rank=0", "method.rank", "at least 1");
    row("method.rank=-3", "method.rank", "1 … 65536");
    row("method.rank=70000", "method.rank", "at most 65536");
    row("method.alpha=0", "method.alpha", "more than 0");
    row("method.alpha=-1", "method.alpha", "greater than 0");
    row("method.dropout=1", "method.dropout", "less than 1");
    row("method.dropout=-0.1", "method.dropout", "at least 0");
    row("optim.learning_rate=0", "optim.learning_rate", "more than 0");
    row("optim.learning_rate=-1e-3", "optim.learning_rate", "-0.001");
    row("optim.beta1=1", "optim.beta1", "less than 1");
    row("train.batch_size=0", "train.batch_size", "at least 1");
    row("train.epochs=0", "train.epochs", "at least 1");
    row("data.eval_fraction=0", "data.eval_fraction", "more than 0");
    row("data.eval_fraction=1", "data.eval_fraction", "less than 1");
    row("data.max_length=1", "data.max_length", "at least 2");
    row("data.eval=x.tsv;data.eval_fraction=0.2", "data.eval_fraction", "data.eval is empty");
    row("seed=-1", "seed", "at least 0");
    row("method.name=lroa", "method.name", "Did you mean lora?");
    row("method.name=LoRA", "method.name", "Did you mean lora?");
    row("optim.schedule=exponential", "optim.schedule", "linear, cosine, constant");
    row("method.interval=2", "method.interval", "method.rule is reflora (chosen, or the method's own)");
    row("method.warmup_steps=5", "method.warmup_steps", "reflora or reflora_s");
    row("method.name=bitfit;method.target_modules=q_proj", "method.target_modules", "bitfit");
    row("method.name=full;method.rank=4", "method.rank", "not full");
    row("method.name=full;method.target_modules=q_proj", "method.target_modules", "not full");
    row("method.train_modules=q_proj", "method.train_modules", "method.name is full");
    row("method.name=loreft;method.positions=f7-l7", "method.positions", "f7+l7");
    row("method.name=loreft;method.positions=f2+f3", "method.positions", "f7+l7");
    row("method.name=loreft;method.positions=l0", "method.positions", "f7+l7");
    row("method.rule=adalora", "method.rule", "needs AdaLoRA's form");
    row("method.name=adalora;method.init=kaiming", "method.init", "normal");
    row("method.name=adalora;method.rule=reflora", "method.rule", "works on pairs");
    row("method.name=adalora;method.scaling=root_rank", "method.scaling", "scaling of its own");
    row("method.name=adalora;method.rank_pattern=q_proj=4", "method.rank_pattern", "not adalora");
    row("method.name=adalora;method.target_rank=9", "method.target_rank", "at most 8");
    row("method.name=adalora;method.initial_share=0.8", "method.final_share", "together less than 1");
    row("method.name=qlora;method.quant_block=48", "method.quant_block", "power of two");
    row("method.double_quant=false", "method.double_quant", "method.base is nf4");
    row("method.init=normal", "method.init", "AdaLoRA's form only");
    row("method.lr_ratio=4", "method.lr_ratio", "method.rule is loraplus");
    row("method.name=full;method.rank=4", "method.rank", "not full");
    row("optim.momentum=0.9", "optim.momentum", "optim.name is sgd");
    row("optim.name=sgd;optim.beta1=0.5", "optim.beta1", "optim.name is adamw");
    row("optim.name=meft;optim.learning_rate=0.1", "optim.learning_rate", "not meft");
    row("optim.name=meft;optim.meft_noise=0", "optim.meft_noise", "more than 0");
    row("method.name=full;optim.name=meft", "optim.name", "a method with a rank");
    row("method.name=lora_ga;method.start_scale=unit;method.start_gamma=4", "method.start_gamma", "stable");
    row("data.labels=a,b", "data.labels", "classification");
    row("data.task=classification;data.labels=a", "data.labels", "only one label");
    row("data.task=classification;data.labels=a,b,a", "data.labels", "\"a\"");
    row("model.head=sequence_classification", "model.head", "does not fit the task");
    row("data.task=regression;model.head=causal_lm", "model.head", "sequence_classification for the task regression");
    row("data.task=classification;data.format=txt", "data.format", "no columns");
    row("data.task=classification;data.columns.text=a;data.columns.label=a", "data.columns.label", "another part");
    row("data.columns.text=#0", "data.columns.text", "counted from 1");
    row("data.columns.text=#x", "data.columns.text", "counted from 1");
    row("data.columns.label=y", "data.columns.label", "classification or regression");
    row("data.task=instruction;data.template=no fields", "data.template", "names no column");
    row("data.task=instruction;data.template={q};data.columns.prompt=p", "data.columns.prompt",
        "data.template is empty");
    row("method.target_modules=q,q", "method.target_modules", "twice");
    row("method.target_modules=q,,v", "method.target_modules", "empty");
    row("method.target_modules=all-linear,q", "method.target_modules", "stands alone");
    row("method.layers=0,x", "method.layers", "\"x\"");
    row("method.layers=0-2,2", "method.layers", "twice");
    row("method.layers=-1", "method.layers", "counted from 0");
    row("method.rank_pattern=q=0", "method.rank_pattern", "0 for \"q\"");
    row("method.rank_pattern=q=1.5", "method.rank_pattern", "whole number");
    row("method.alpha_pattern=q=-2", "method.alpha_pattern", "-2 for \"q\"");
    row("method.rank_pattern={\"\": 4}", "method.rank_pattern", "no name");
    row("optim.warmup_steps=10;optim.warmup_ratio=0.1", "optim.warmup_ratio", "given twice");
    row("train.max_steps=50;optim.warmup_steps=51", "optim.warmup_steps", "longer than the training");
    row("train.best_metric=acuracy;data.task=classification", "train.best_metric", "Did you mean accuracy?");
    row("train.best_metric=matthews", "train.best_metric", "loss, perplexity");
    row("data.task=classification;train.sample_every=5", "train.sample_every", "data.task");
    row("name=a\nb", "name", "line break");
  }
  void oneMistake() {
    QFETCH(QString, sets);
    QFETCH(QString, key);
    QFETCH(QString, says);
    RunConfig c = sound();
    std::vector<std::string> assignments;
    for (const QString& part : sets.split(';')) assignments.push_back(part.toStdString());
    const auto refused = c.assign(assignments);
    QVERIFY2(refused.empty(), refused.empty() ? "" : refused[0].error.message().c_str());
    const auto issues = validate(c);
    std::string all;
    for (const auto& issue : issues) all += issue.error.message() + "\n";
    QVERIFY2(issues.size() == 1, all.c_str());
    QCOMPARE(issues[0].key, key.toStdString());
    QCOMPARE(issues[0].error.where, issues[0].key);
    QCOMPARE(issues[0].error.code, ErrorCode::Usage);
    QVERIFY(!issues[0].error.hint.empty());
    QVERIFY2(all.find(says.toStdString()) != std::string::npos, all.c_str());
  }

  void boundsThatAreAllowed() {
    for (const char* set :
         {"method.rank=1", "method.rank=65536", "method.dropout=0", "method.dropout=0.99", "optim.weight_decay=0",
          "optim.max_grad_norm=0", "method.warmup_steps=100", "train.probe_every=0", "method.alpha=0.001",
          "train.max_steps=10", "train.best_metric=eval/perplexity", "method.layers=0-31", "optim.warmup_ratio=0.5"}) {
      RunConfig c = sound();
      QVERIFY(c.assign({set}).empty());
      QVERIFY2(validate(c).empty(), set);
    }
    RunConfig c = sound();
    QVERIFY(c.assign({"train.max_steps=50", "optim.warmup_steps=50", "method.name=reflora", "method.warmup_steps=49"})
                .empty());
    QVERIFY(validate(c).empty());
  }

  void allMistakesAtOnce() {
    RunConfig c;
    QVERIFY(
        c.assign({"method.rank=0", "method.alpha=-1", "method.dropout=2", "optim.learning_rate=0", "train.batch_size=0",
                  "data.eval_fraction=7", "method.interval=3", "optim.schedule=x", "model.head=y", "method.layers=a,b"})
            .empty());
    const auto issues = validate(c);
    std::set<std::string> keys;
    for (const auto& issue : issues) keys.insert(issue.key);
    for (const char* key :
         {"model.path", "data.train", "method.rank", "method.alpha", "method.dropout", "optim.learning_rate",
          "train.batch_size", "data.eval_fraction", "method.interval", "optim.schedule", "model.head", "method.layers"})
      QVERIFY2(keys.count(key) == 1, key);
    QCOMPARE(issues.size(), size_t{13});  // method.layers has two
  }

  void paths() {
    QTemporaryDir folder;
    const fs::path home = folder.path().toStdString();
    const auto places = Places::find(home);
    QVERIFY(places.ok());
    fs::create_directories(home / "models/good");
    fs::create_directories(home / "models/empty");
    std::ofstream(home / "models/good/config.json") << "{}";
    std::ofstream(home / "train.tsv") << "a\tb\n";

    RunConfig c;
    QVERIFY(c.set("model.path", "models:good").ok() && c.set("data.train", (home / "train.tsv").string()).ok());
    QVERIFY(validatePaths(c, *places).empty());
    QVERIFY(c.set("data.eval", (home / "dev.tsv").string()).ok() && c.set("model.path", "models:empty").ok());
    auto issues = validatePaths(c, *places);
    QCOMPARE(issues.size(), size_t{2});
    QCOMPARE(issues[0].key, std::string("model.path"));
    QCOMPARE(issues[0].error.code, ErrorCode::BadInput);
    QVERIFY(issues[0].error.found == "no config.json");
    QVERIFY(issues[1].error.where.find("dev.tsv") != std::string::npos);
    QVERIFY(c.set("model.path", (home / "train.tsv").string()).ok() && c.set("data.train", home.string()).ok());
    issues = validatePaths(c, *places);
    QCOMPARE(issues.size(), size_t{3});
    QVERIFY(issues[0].error.what == "not a folder" && issues[1].error.what == "not a file");
    QVERIFY(c.set("model.path", "models:../../etc").ok());
    QVERIFY(validatePaths(c, *places)[0].error.what.find("leads out") != std::string::npos);
    QVERIFY(validatePaths(RunConfig(), *places).empty());  // empty paths are validate()'s
  }
};

QTEST_GUILESS_MAIN(ConfigValidate)
#include "config_validate.moc"
