// kill -9 at random moments of training: every restart goes on, the run ends with the weights of an undisturbed one, bit
// for bit, and no event that was in the log before a kill is missing or changed afterwards.
#include <QElapsedTimer>
#include <QProcess>
#include <QtTest/QtTest>

#include <map>
#include <algorithm>
#include <random>

#include "tests/core/train/train_fixture.h"

using namespace rankscope;
using rankscope::test::bytesOf;
using rankscope::test::Home;
using rankscope::test::series;

namespace {

std::vector<std::string> payloads(const RunFolder& run) {
  std::vector<std::string> all;
  Result<EventReader> reader = EventReader::open(run.eventsFile());
  if (!reader) return all;
  (void)reader->read([&](const EventRecord& record) {
    all.emplace_back(record.payload);
    return true;
  });
  return all;
}

void start(QProcess& process, const Home& home, const RunFolder& run) {
  process.setStandardOutputFile(QProcess::nullDevice());
  process.setStandardErrorFile(QProcess::nullDevice());
  process.start(QStringLiteral(RANKSCOPE_BIN_DIR "/rankscope-train"),
                {"--home", QString::fromStdString(home.places.home.string()), "resume", QString::fromStdString(run.id())});
}

}  // namespace

class KillTrainer : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void killedRunsEndLikeUndisturbedOnes() {
    const int kills = std::max(1, qEnvironmentVariableIntValue("RANKSCOPE_KILLS"));
    Home home;
    const std::vector<std::string> change = {"train.max_steps=150", "train.checkpoint_every=5", "train.eval_every=25"};
    const RunFolder whole = home.run(change), broken = home.run(change);
    QProcess undisturbed;
    QElapsedTimer timer;
    timer.start();
    start(undisturbed, home, whole);
    QVERIFY(undisturbed.waitForFinished(120000));
    QCOMPARE(undisturbed.exitCode(), 0);
    const auto span = static_cast<int>(timer.elapsed());

    const auto seed = static_cast<unsigned>(qEnvironmentVariableIntValue("RANKSCOPE_KILL_SEED"));
    std::mt19937 random(seed ? seed : std::random_device{}());
    std::uniform_int_distribution<int> moment(0, span);
    const std::string weights = bytesOf(whole.adapter() / "adapter_model.safetensors");
    QVERIFY(!weights.empty());
    int landed = 0, finished = 0;
    RunFolder run = broken;
    while (landed < kills || finished == 0) {
      QProcess process;
      start(process, home, run);
      // Anywhere between the first instruction and the end; most land in training, some in loading or saving.
      const bool ended = process.waitForFinished(landed < kills ? moment(random) : 120000);
      if (ended) {
        QCOMPARE(process.exitStatus(), QProcess::NormalExit);
        QCOMPARE(process.exitCode(), 0);
        QVERIFY(weights == bytesOf(run.adapter() / "adapter_model.safetensors"));
        QCOMPARE(series(run, "train/loss"), series(whole, "train/loss"));
        ++finished;
        run = home.run(change);
        continue;
      }
      const std::vector<std::string> before = payloads(run);
      process.kill();
      QVERIFY(process.waitForFinished(10000));
      ++landed;
      const std::vector<std::string> after = payloads(run);
      QVERIFY(after.size() >= before.size());
      QVERIFY(std::equal(before.begin(), before.end(), after.begin()));
    }
    qInfo("%d kills, %d runs finished like the undisturbed one", landed, finished);
  }
};

QTEST_GUILESS_MAIN(KillTrainer)
#include "kill_trainer.moc"
