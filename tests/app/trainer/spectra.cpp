// spectrum and mitigate as commands: every checkpoint, two runs against each other, what is written and what is refused.
#include <QtTest/QtTest>

#include <cmath>

#include "core/runlog/mitigation_file.h"
#include "core/runlog/spectrum_file.h"
#include "tests/app/trainer/command_fixture.h"

using namespace rankscope;
using nlohmann::json;
using rankscope::test::Answer;
using rankscope::test::ask;
using rankscope::test::Home;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kRun = {"model.path=starter:model",  "model.random_init=false",    "train.max_steps=6",
                                       "train.checkpoint_every=3",  "train.keep_checkpoints=5",   "train.eval_every=6",
                                       "train.spectrum=off",        "optim.learning_rate=0.03"};

void train(const Home& home, const QString& name, std::vector<std::string> change) {
  change.insert(change.begin(), kRun.begin(), kRun.end());
  const fs::path file = home.places.home / (name.toStdString() + ".json");
  QVERIFY(writeFileAtomically(file, home.config(change).toSparseJson().dump()).ok());
  const Answer answer = ask(home, {"-q", "train", "--config", QString::fromStdString(file.string()), "--name", name});
  QVERIFY2(answer.code == 0, answer.err.c_str());
}

}  // namespace

class TrainerSpectra : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    train(m_home, "first", {"method.name=lora", "method.rank=4"});
    train(m_home, "second", {"method.name=lora", "method.rank=2", "seed=9"});
    train(m_home, "prefixed", {"method.name=prefix"});
    train(m_home, "rescaled", {"method.name=dora"});
  }

  void everyCheckpoint() {
    const Answer one = ask(m_home, {"--json", "spectrum", "first"});
    QVERIFY2(one.code == 0, one.err.c_str());
    QCOMPARE(one.document()["step"], 6);
    QVERIFY(one.document()["sites"].size() > 1);
    for (const json& site : one.document()["sites"]) {
      QVERIFY(site["effective_rank"].get<double>() > 0 && site["effective_rank"].get<double>() <= 4.0001);
      QVERIFY(site["residual_bound"].get<double>() < 1e-9);
      QVERIFY(site["effective_rank_after"].get<double>() > 4);
      QVERIFY(site["inside_share"].get<double>() > 0 && site["inside_share"].get<double>() < 1);
    }
    const Answer all = ask(m_home, {"--json", "spectrum", "first", "--checkpoint", "all", "--top", "5", "--eps", "0.99"});
    QVERIFY2(all.code == 0, all.err.c_str());
    QCOMPARE(all.document()["steps"].size(), size_t{2});
    QCOMPARE(all.document()["steps"][0]["step"], 3);
    const auto read = readSpectrum(all.document()["steps"][1]["file"].get<std::string>());
    QVERIFY(read.ok());
    QCOMPARE(read->intruders(0.99, 5), all.document()["steps"][1]["intruders"].get<int64_t>());
  }

  // The leading directions of both, as many as the smaller update has.
  void twoRuns() {
    const Answer same = ask(m_home, {"--json", "spectrum", "first", "--against", "first"});
    QVERIFY2(same.code == 0, same.err.c_str());
    for (const json& site : same.document()["sites"]) {
      QCOMPARE(site["left"].size(), size_t{4});
      QVERIFY(site["left"].back().get<double>() < 1e-6 && site["overlap_right"].get<double>() > 1 - 1e-9);
    }
    const Answer other = ask(m_home, {"--json", "spectrum", "first", "--against", "second"});
    QVERIFY2(other.code == 0, other.err.c_str());
    for (const json& site : other.document()["sites"]) {
      QCOMPARE(site["left"].size(), size_t{2});
      QVERIFY(site["overlap_left"].get<double>() > 0 && site["overlap_left"].get<double>() < 1);
    }
    const Answer earlier = ask(m_home, {"--json", "spectrum", "first", "--against", "first", "--against-checkpoint", "3"});
    QCOMPARE(earlier.document()["against_step"], 3);
    QVERIFY(earlier.document()["sites"][0]["overlap_left"].get<double>() < 1);
  }

  void mitigation() {
    const fs::path text = m_home.places.home / "text.txt";
    QVERIFY(writeFileAtomically(text, "a small house by the lake\na boat on the river\nall is quiet here\n").ok());
    const QString file = QString::fromStdString(text.string());
    const Answer curve = ask(m_home, {"--json", "mitigate", "first", "--eps", "0.99", "--at", "0.5,1", "--text", file});
    QVERIFY2(curve.code == 0, curve.err.c_str());
    QCOMPARE(curve.document()["points"].size(), size_t{2});
    QVERIFY(curve.document()["intruders"].get<int64_t>() > 0);
    const Answer eval = ask(m_home, {"--json", "eval", "first"});
    QVERIFY(std::abs(curve.document()["points"][1]["metrics"]["loss"].get<double>() - eval.document()["values"]["loss"].get<double>()) < 1e-6);
    QVERIFY(curve.document()["points"][0]["metrics"]["loss"] != curve.document()["points"][1]["metrics"]["loss"]);
    // Another point joins those that are there.
    const Answer more = ask(m_home, {"--json", "mitigate", "first", "--eps", "0.99", "--at", "0.75", "--text", file});
    QCOMPARE(more.document()["points"].size(), size_t{3});
    QCOMPARE(more.document()["points"][1]["lambda"], 0.75);
    const auto read = readMitigation(more.document()["file"].get<std::string>());
    QVERIFY(read.ok() && read->points.size() == 3 && read->baseTextLoss);

    const fs::path folder = m_home.places.home / "mitigated";
    const QStringList write = {"--json", "mitigate", "first", "--eps", "0.99", "--lambda", "0.5", "--out", QString::fromStdString(folder.string())};
    const Answer written = ask(m_home, write);
    QVERIFY2(written.code == 0, written.err.c_str());
    QVERIFY(fs::exists(folder / "adapter_config.json") && fs::exists(folder / "adapter_model.safetensors"));
    const Answer again = ask(m_home, write);
    QVERIFY(again.code != 0);
    QVERIFY(again.document()["error"]["hint"].get<std::string>().find("--overwrite") != std::string::npos);
    // The adapter that was written answers as the curve said.
    const Answer imported = ask(m_home, {"--json", "import", QString::fromStdString(folder.string()), "--name", "back", "--model", "starter:model"});
    QVERIFY2(imported.code == 0, imported.err.c_str());
  }

  void whatCannotBeDone_data() {
    QTest::addColumn<QStringList>("words");
    QTest::addColumn<QString>("found");
    QTest::newRow("no matrices") << QStringList{"spectrum", "prefixed"} << "prefix";
    QTest::newRow("no such step") << QStringList{"spectrum", "first", "--checkpoint", "4"} << "4";
    QTest::newRow("no such run") << QStringList{"spectrum", "nobody"} << "nobody";
    QTest::newRow("nothing in common") << QStringList{"spectrum", "first", "--against", "prefixed"} << "prefixed";
    QTest::newRow("magnitudes") << QStringList{"mitigate", "rescaled"} << "dora";
    QTest::newRow("no text") << QStringList{"mitigate", "first", "--text", "/nowhere/text.txt"} << "";
  }
  void whatCannotBeDone() {
    QFETCH(QStringList, words);
    QFETCH(QString, found);
    const Answer answer = ask(m_home, QStringList{"--json"} + words);
    QVERIFY(answer.code != 0 && !answer.crashed);
    const json error = answer.document()["error"];
    QVERIFY2(!error["hint"].get<std::string>().empty(), answer.out.c_str());
    QVERIFY2(error.dump().find(found.toStdString()) != std::string::npos, answer.out.c_str());
  }

 private:
  Home m_home;
};

QTEST_GUILESS_MAIN(TrainerSpectra)
#include "spectra.moc"
