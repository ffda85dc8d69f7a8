// The language model below a run: where the task is language itself, it is the run's model; where it is not, the base with
// the run's update.
#include <QtTest/QtTest>

#include "core/train/language_twin.h"
#include "core/train/packing.h"
#include "tests/core/train/small_models.h"
#include "tests/core/train/train_until.h"

using namespace rankscope;
using namespace rankscope::test;

namespace {

const auto goOn = [](double) { return true; };

std::filesystem::path sentences(const Home& home) {
  const std::filesystem::path file = home.places.home / "text.txt";
  std::string text;
  for (size_t i = 0; i < 24; ++i) text += sentence(i % 8, (i * 3) % 8) + "\n";
  write(file, text);
  return file;
}

TrainedModel trainedModel(const RunFolder& run, const Home& home) {
  auto trained = loadRunModel(run, home.places, {});
  if (!trained) qFatal("%s", trained.error().message().c_str());
  return std::move(*trained);
}

}  // namespace

class LanguageTwinTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void isTheRunsModelWhereTheTaskIsLanguage_data() {
    QTest::addColumn<QString>("method");
    for (const char* method : {"full", "lora", "dora", "pissa", "qlora", "adalora", "prefix", "parallel", "loreft"}) QTest::newRow(method) << method;
  }
  void isTheRunsModelWhereTheTaskIsLanguage() {
    QFETCH(QString, method);
    Home home;
    const RunFolder run = home.run({"method.name=" + method.toStdString(), "train.max_steps=4"});
    QVERIFY(!train(run, home).error);
    TrainedModel trained = trainedModel(run, home);
    auto twin = languageTwin(trained);
    QVERIFY2(twin.ok(), twin ? "" : twin.error().message().c_str());
    const auto text = sentences(home);
    const auto own = textLoss(*trained.setup.model, *trained.setup.tokenizer, text, trained.setup.config, 0, goOn);
    const auto theirs = textLoss(*twin->model, *trained.setup.tokenizer, text, trained.setup.config, 0, goOn);
    QVERIFY(own.ok() && theirs.ok());
    QVERIFY(own->tokens > 20);
    QCOMPARE(theirs->tokens, own->tokens);
    QVERIFY2(std::abs(theirs->loss - own->loss) < 1e-6, qPrintable(QString("%1 %2").arg(theirs->loss).arg(own->loss)));
  }

  // A classifier's twin speaks: untrained it is the base model, trained it is not.
  void isTheBaseUnderTheUpdate_data() {
    QTest::addColumn<QString>("model");
    QTest::newRow("masked") << "bert";
    QTest::newRow("causal") << "gpt2";
  }
  void isTheBaseUnderTheUpdate() {
    QFETCH(QString, model);
    Home home;
    const std::string folder = smallModel(home, model.toStdString());
    std::string table = "text\tlabel\n";
    for (size_t i = 0; i < 40; ++i) table += sentence(i % 8, (i * 5) % 8) + "\t" + (i % 2 == 0 ? "yes" : "no") + "\n";
    write(home.places.home / "train.tsv", table);
    const auto of = [&](const std::string& rate) {
      return home.newRun(smallRunConfig({"model.path=" + folder, "data.task=classification", "data.train=" + (home.places.home / "train.tsv").string(),
                                         "train.max_steps=6", "method.name=lora", "method.target_modules=[\"all-linear\"]", "optim.learning_rate=" + rate}));
    };
    const auto text = sentences(home);
    std::vector<double> losses;
    for (const char* rate : {"1e-30", "0.02"}) {
      const RunFolder run = of(rate);
      const auto outcome = train(run, home);
      QVERIFY2(!outcome.error, outcome.error ? outcome.error->message().c_str() : "");
      TrainedModel trained = trainedModel(run, home);
      auto twin = languageTwin(trained);
      QVERIFY2(twin.ok(), twin ? "" : twin.error().message().c_str());
      const auto loss = textLoss(*twin->model, *trained.setup.tokenizer, text, trained.setup.config, 10, goOn);
      QVERIFY2(loss.ok(), loss ? "" : loss.error().message().c_str());
      losses.push_back(loss->loss);
      trained.setup.method.reset();
      auto plain = languageTwin(trained);
      QVERIFY(plain.ok());
      const auto base = textLoss(*plain->model, *trained.setup.tokenizer, text, trained.setup.config, 10, goOn);
      QVERIFY(base.ok());
      if (losses.size() == 1) QVERIFY(std::abs(base->loss - loss->loss) < 1e-6);
      if (losses.size() == 2) QVERIFY(std::abs(base->loss - loss->loss) > 1e-3);
    }
  }

  void aHeadThatIsNotThereIsNotDrawn() {
    Home home;
    const std::string folder = smallModel(home, "bert");
    std::string table = "text\tlabel\n";
    for (size_t i = 0; i < 16; ++i) table += sentence(i % 8, i % 3) + "\t" + (i % 2 == 0 ? "yes" : "no") + "\n";
    write(home.places.home / "train.tsv", table);
    const std::vector<std::string> task{"model.path=" + folder, "data.task=classification", "train.max_steps=1", "method.name=full",
                                        "data.train=" + (home.places.home / "train.tsv").string()};
    const RunFolder first = home.newRun(smallRunConfig(task));
    QVERIFY(!train(first, home).error);
    // The run's model is a classifier without a language head: the base of a second run.
    std::vector<std::string> second = task;
    second[0] = "model.path=" + (first.path() / "model").string();
    RunConfig config = smallRunConfig(second);
    assign(config, {"model.random_init=false"});
    const RunFolder run = home.newRun(config);
    const auto outcome = train(run, home);
    QVERIFY2(!outcome.error, outcome.error ? outcome.error->message().c_str() : "");
    const auto twin = languageTwin(trainedModel(run, home));
    QVERIFY(!twin.ok());
    QVERIFY(twin.error().message().find("language head") != std::string::npos);
    QVERIFY(!twin.error().hint.empty());
  }
};

QTEST_GUILESS_MAIN(LanguageTwinTest)
#include "language_twin.moc"
