// The disk of a run that is going: full, and full for good; a runs folder that cannot be written. A full disk is made with
// the limit on the size of files (RLIMIT_FSIZE), which needs no rights, reaches only that process, and can be lifted.
#include <sys/resource.h>

#include <QtTest/QtTest>

#include "core/runlog/event_search.h"
#include "tests/app/trainer/command_fixture.h"

using namespace rankscope;
using nlohmann::json;
using rankscope::test::Answer;
using rankscope::test::ask;
using rankscope::test::bytesOf;
using rankscope::test::Home;
using rankscope::test::series;

namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kRun = {"train.max_steps=60", "train.checkpoint_every=6", "train.eval_every=12",
                                       "train.keep_checkpoints=100"};

void limitFiles(const QProcess& process, rlim_t bytes) {
  const struct rlimit limit = {bytes, RLIM_INFINITY};
  if (prlimit(static_cast<pid_t>(process.processId()), RLIMIT_FSIZE, &limit, nullptr) != 0) qFatal("prlimit: %d", errno);
}

bool waitUntil(const std::function<bool()>& done, int milliseconds = 60000) {
  for (int waited = 0; waited < milliseconds; waited += 5) {
    if (done()) return true;
    QTest::qWait(5);
  }
  return done();
}

// Starts the run, lets it write its first checkpoint, then gives it no byte of disk any more and waits until it says so.
void fillDisk(QProcess& process, std::string& said, const Home& home, const RunFolder& run) {
  test::startCommand(process, home, {"resume", QString::fromStdString(run.id())});
  QVERIFY(waitUntil([&] { return fs::exists(run.checkpoint(6)) || process.state() == QProcess::NotRunning; }));
  limitFiles(process, 4096);
  QVERIFY2(waitUntil([&] {
             said += process.readAllStandardError().toStdString();
             return said.find("Trying again") != std::string::npos || process.state() == QProcess::NotRunning;
           }),
           said.c_str());
  QVERIFY2(process.state() == QProcess::Running, said.c_str());
}

void sameRun(const RunFolder& run, const RunFolder& whole) {
  const std::string weights = bytesOf(whole.adapter() / "adapter_model.safetensors");
  QVERIFY(!weights.empty());
  QVERIFY(weights == bytesOf(run.adapter() / "adapter_model.safetensors"));
  QCOMPARE(series(run, "train/loss"), series(whole, "train/loss"));
  QCOMPARE(series(run, "train/grad_norm"), series(whole, "train/grad_norm"));
}

}  // namespace

class Disk : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    m_home = std::make_unique<Home>();
    m_whole = std::make_unique<RunFolder>(m_home->run(kRun));
    const Answer undisturbed = ask(*m_home, {"resume", QString::fromStdString(m_whole->id())});
    QVERIFY2(undisturbed.code == 0, undisturbed.err.c_str());
  }

  void spaceComesBackWhileItWaits() {
    const RunFolder run = m_home->run(kRun);
    QProcess process;
    std::string said;
    fillDisk(process, said, *m_home, run);
    if (QTest::currentTestFailed()) return;
    limitFiles(process, RLIM_INFINITY);
    const Answer answer = test::answerOf(process);
    QVERIFY2(answer.code == 0, answer.err.c_str());
    sameRun(run, *m_whole);
  }

  void stoppedOnAFullDiskItResumesToTheSameBits() {
    const RunFolder run = m_home->run(kRun);
    QProcess process;
    std::string said;
    fillDisk(process, said, *m_home, run);
    if (QTest::currentTestFailed()) return;
    process.terminate();
    const Answer answer = test::answerOf(process);
    said += answer.err;
    QVERIFY(!answer.crashed);
    QVERIFY2(answer.code == 1, said.c_str());
    QVERIFY2(said.find("largest size") != std::string::npos, said.c_str());  // EFBIG by name, with what to do
    // Nothing half written carries a checkpoint's name; what was whole before still is, and the run goes on from it.
    for (const fs::directory_entry& entry : fs::directory_iterator(run.checkpoints()))
      QVERIFY(fs::exists(entry.path() / "manifest.json"));
    const Answer resumed = ask(*m_home, {"resume", QString::fromStdString(run.id())});
    QVERIFY2(resumed.code == 0, resumed.err.c_str());
    sameRun(run, *m_whole);
  }

  void fullFromTheStart() {
    const RunFolder run = m_home->run(kRun);
    QProcess process;
    process.setChildProcessModifier([] {
      const struct rlimit none = {0, RLIM_INFINITY};
      setrlimit(RLIMIT_FSIZE, &none);
    });
    test::startCommand(process, *m_home, {"--json", "resume", QString::fromStdString(run.id())});
    const Answer answer = test::answerOf(process);
    QVERIFY(!answer.crashed);
    QCOMPARE(answer.code, 1);
    const json error = answer.document()["error"];
    QVERIFY2(error["where"].get<std::string>().find(run.id()) != std::string::npos, answer.out.c_str());
    QVERIFY(!error["hint"].get<std::string>().empty());
    const Answer resumed = ask(*m_home, {"resume", QString::fromStdString(run.id())});
    QVERIFY2(resumed.code == 0, resumed.err.c_str());
    sameRun(run, *m_whole);
  }

  // Nobody, root included, makes a folder in /proc: the same as a runs folder on a read-only disk.
  void runsFolderThatCannotBeWritten() {
    Home home;
    fs::remove_all(home.places.runs);
    fs::create_directory_symlink("/proc/self", home.places.runs);
    const Answer answer = ask(home, {"--json", "train", "--config", test::configFile(home)});
    QVERIFY(!answer.crashed);
    QVERIFY2(answer.code == 1 || answer.code == 3, answer.err.c_str());
    const json error = answer.document()["error"];
    QVERIFY2(error["where"].get<std::string>().find(home.places.runs.string()) != std::string::npos, answer.out.c_str());
    QVERIFY(!error["hint"].get<std::string>().empty());
  }

 private:
  std::unique_ptr<Home> m_home;
  std::unique_ptr<RunFolder> m_whole;
};

QTEST_GUILESS_MAIN(Disk)
#include "disk.moc"
