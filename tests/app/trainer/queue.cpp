// The queue as it works through jobs: order, hold, cancel, jobs that fail or die, two runners at once, a runner that is
// killed; and sweeps, which are groups of it.
#include <QtTest/QtTest>

#include <algorithm>
#include <set>

#include "core/runlog/heartbeat.h"
#include "tests/app/trainer/command_fixture.h"

using namespace rankscope;
using nlohmann::json;
using rankscope::test::Answer;
using rankscope::test::ask;
using rankscope::test::configFile;
using rankscope::test::Home;

namespace {

json add(const Home& home, const QString& name, const QStringList& more = {}) {
  return ask(home, QStringList{"--json", "queue", "add", "--config", configFile(home), "--name", name} + more).document();
}

json jobs(const Home& home) { return ask(home, {"--json", "queue", "list"}).document(); }

json jobOf(const Home& home, int64_t id) {
  for (const json& job : jobs(home))
    if (job["id"] == id) return job;
  return {};
}

std::string stateOf(const Home& home, int64_t id) { return jobOf(home, id).value("state", std::string()); }

bool waitUntil(const std::function<bool()>& done, int milliseconds = 60000) {
  for (int waited = 0; waited < milliseconds; waited += 50) {
    if (done()) return true;
    QTest::qWait(50);
  }
  return done();
}

// Long enough to be caught while it goes.
const QStringList kLong = {"--set", "train.max_steps=100000", "--set", "train.checkpoint_every=10",
                           "--set", "train.eval_every=100000"};

int64_t pidOf(const Home& home, const std::string& run) {
  const Result<HeartbeatRecord> record = readHeartbeat(home.places.runs / run);
  return record ? record->pid : 0;
}

}  // namespace

class TrainerQueue : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void orderHoldMoveCancel() {
    Home home;
    const int64_t first = add(home, "first")["id"], second = add(home, "second")["id"], third = add(home, "third")["id"],
                  held = add(home, "held", {"--held"})["id"];
    QCOMPARE(ask(home, {"queue", "move", QString::number(third), "1"}).code, 0);
    QCOMPARE(ask(home, {"queue", "cancel", QString::number(second)}).code, 0);
    const Answer worked = ask(home, {"--json", "queue", "run"});
    QVERIFY2(worked.code == 0, worked.err.c_str());
    QCOMPARE(worked.document()["done"].get<int>(), 2);
    QVERIFY(jobOf(home, third)["started"].get<double>() < jobOf(home, first)["started"].get<double>());
    QVERIFY(jobOf(home, third)["finished"].get<double>() <= jobOf(home, first)["started"].get<double>());
    QCOMPARE(stateOf(home, second), std::string("cancelled"));
    QCOMPARE(stateOf(home, held), std::string("held"));
    // The runs are in the history, finished, under the ids that the queue gave them.
    const json runs = ask(home, {"--json", "store", "list"}).document();
    QCOMPARE(runs["total"].get<int>(), 2);
    for (const json& run : runs["runs"]) QCOMPARE(run["status"].get<std::string>(), std::string("finished"));
    QCOMPARE(ask(home, {"queue", "release", QString::number(held)}).code, 0);
    QCOMPARE(ask(home, {"--json", "queue", "run"}).document()["done"].get<int>(), 1);
    QCOMPARE(stateOf(home, held), std::string("done"));
    QCOMPARE(ask(home, {"queue", "hold", QString::number(held)}).code, 2);  // it has ended
    QCOMPARE(ask(home, {"queue", "remove", QString::number(held)}).code, 0);
    QVERIFY(jobOf(home, held).is_null());
  }

  void failedJobSaysWhyAndTheNextRuns() {
    Home home;
    const std::filesystem::path data = home.places.home / "gone.jsonl";
    std::filesystem::copy(home.places.starter() / "data" / "reviews_dev.jsonl", data);
    const int64_t bad = add(home, "bad", {"--set", QString::fromStdString("data.train=" + data.string())})["id"];
    const int64_t good = add(home, "good")["id"];
    std::filesystem::remove(data);
    const Answer worked = ask(home, {"--json", "queue", "run"});
    QCOMPARE(worked.document()["failed"].get<int>(), 1);
    QCOMPARE(worked.document()["done"].get<int>(), 1);
    const json job = jobOf(home, bad);
    QCOMPARE(job["state"].get<std::string>(), std::string("failed"));
    QVERIFY(job["error"].dump().find("gone.jsonl") != std::string::npos);
    QVERIFY(!job["error"]["hint"].get<std::string>().empty());
    QCOMPARE(stateOf(home, good), std::string("done"));
    // Put right and tried again it runs, as another run.
    std::filesystem::copy(home.places.starter() / "data" / "reviews_dev.jsonl", data);
    QCOMPARE(ask(home, {"queue", "retry", QString::number(bad)}).code, 0);
    QCOMPARE(ask(home, {"queue", "run"}).code, 0);
    QCOMPARE(stateOf(home, bad), std::string("done"));
    QVERIFY(jobOf(home, bad)["run"] != job["run"]);
  }

  void runningJobIsCancelledAfterACheckpoint() {
    Home home;
    const json job = add(home, "long", kLong);
    QProcess runner;
    test::startCommand(runner, home, {"--json", "queue", "run"});
    const RunFolder run(home.places.runs / job["run"].get<std::string>());
    QVERIFY(waitUntil([&] { return std::filesystem::exists(run.checkpoint(10)); }));
    QCOMPARE(ask(home, {"queue", "cancel", QString::number(job["id"].get<int64_t>())}).code, 0);
    const Answer worked = test::answerOf(runner);
    QCOMPARE(worked.code, 0);
    QCOMPARE(worked.document()["cancelled"].get<int>(), 1);
    QCOMPARE(stateOf(home, job["id"]), std::string("cancelled"));
    const auto ends = test::eventsOf<event::End>(run);
    QCOMPARE(ends.size(), size_t{1});
    QVERIFY(ends.front().state == event::RunState::Stopped);
    QVERIFY(std::filesystem::exists(run.checkpoint(ends.front().step)));
  }

  void killedJobFailsAndIsTold() {
    Home home;
    const json job = add(home, "killed", kLong);
    const int64_t next = add(home, "next")["id"];
    QProcess runner;
    test::startCommand(runner, home, {"--json", "queue", "run"});
    const RunFolder run(home.places.runs / job["run"].get<std::string>());
    QVERIFY(waitUntil([&] { return std::filesystem::exists(run.checkpoint(10)); }));
    QCOMPARE(::kill(static_cast<pid_t>(pidOf(home, run.id())), SIGKILL), 0);
    const Answer worked = test::answerOf(runner);
    QCOMPARE(worked.document()["failed"].get<int>(), 1);
    QCOMPARE(worked.document()["done"].get<int>(), 1);
    QVERIFY(jobOf(home, job["id"])["error"]["what"].get<std::string>().find("killed") != std::string::npos);
    QCOMPARE(stateOf(home, next), std::string("done"));
  }

  void killedRunnerLosesNothing() {
    Home home;
    const json job = add(home, "long", kLong);
    const auto id = job["id"].get<int64_t>();
    const RunFolder run(home.places.runs / job["run"].get<std::string>());
    QProcess runner;
    test::startCommand(runner, home, {"queue", "run"});
    QVERIFY(waitUntil([&] { return std::filesystem::exists(run.checkpoint(10)); }));
    const int64_t pid = pidOf(home, run.id());
    runner.kill();
    runner.waitForFinished(5000);
    QVERIFY(runLiveness(run.path()) == Liveness::Live);  // the run goes on without its runner
    QProcess second;
    test::startCommand(second, home, {"--json", "queue", "run"});
    QVERIFY(waitUntil([&] {
      return second.readAllStandardError().contains("looked after again") || second.state() == QProcess::NotRunning;
    }));
    QCOMPARE(pidOf(home, run.id()), pid);
    QCOMPARE(ask(home, {"queue", "cancel", QString::number(id)}).code, 0);
    const Answer worked = test::answerOf(second);
    QCOMPARE(worked.document()["cancelled"].get<int>(), 1);
    QCOMPARE(stateOf(home, id), std::string("cancelled"));
  }

  void twoRunnersShareTheWork() {
    Home home;
    std::set<int64_t> ids;
    for (int i = 0; i < 4; ++i) ids.insert(add(home, QString("job %1").arg(i), {"--slot", "any"})["id"].get<int64_t>());
    QProcess a, b;
    test::startCommand(a, home, {"--json", "queue", "run", "--slot", "cpu"});
    test::startCommand(b, home, {"--json", "queue", "run", "--slot", "cuda:7"});  // a slot is a name here
    const Answer one = test::answerOf(a), two = test::answerOf(b);
    QCOMPARE(one.document()["done"].get<int>() + two.document()["done"].get<int>(), 4);
    for (const int64_t id : ids) {
      QCOMPARE(stateOf(home, id), std::string("done"));
      QCOMPARE(jobOf(home, id)["attempts"].get<int>(), 1);
    }
    // A third one of the same slot leaves it to whoever holds it.
    const json job = add(home, "long", kLong);
    const RunFolder run(home.places.runs / job["run"].get<std::string>());
    QProcess holder;
    test::startCommand(holder, home, {"--json", "queue", "run", "--slot", "cpu"});
    QVERIFY(waitUntil([&] { return std::filesystem::exists(run.checkpoint(10)); }));
    const Answer third = ask(home, {"--json", "queue", "run", "--slot", "cpu"});
    QCOMPARE(third.document()["busy_slots"][0].get<std::string>(), std::string("cpu"));
    // Ctrl+C: the run is checkpointed, its job waits to be resumed.
    holder.terminate();
    QCOMPARE(test::answerOf(holder).code, 5);
    QCOMPARE(stateOf(home, job["id"]), std::string("queued"));
    QVERIFY(runLiveness(run.path()) == Liveness::Finished);
  }

  void sweepRunsItsGrid() {
    Home home;
    const QString config = configFile(home);
    const Answer done = ask(home, {"--json", "sweep", "--config", config, "--set", "train.max_steps=4", "--name", "grid",
                                   "--over", "method.rank=2,4", "--over", "method.name=lora,full", "--seeds", "0,1", "--run"});
    QVERIFY2(done.code == 0, done.err.c_str());
    const json document = done.document();
    QCOMPARE(document["group"].get<std::string>(), std::string("grid"));
    // Full fine-tuning has no rank: it is run once, not for each.
    QCOMPARE(document["places"].size(), size_t{3});
    for (const json& place : document["places"]) {
      QCOMPARE(place["finished"].get<int>(), 2);
      const json& loss = place["statistics"]["eval/loss"];
      QCOMPARE(loss["n"].get<int>(), 2);
      QVERIFY(loss["sd"].get<double>() > 0);
      QVERIFY(place["statistics"]["seconds"]["mean"].get<double>() > 0);
      QVERIFY(place["statistics"]["peak_memory"]["mean"].get<double>() > 5e7);
      double sum = 0;
      for (const json& run : place["runs"])
        sum += ask(home, {"--json", "store", "show", QString::fromStdString(run.get<std::string>())})
                   .document()["eval_loss"].get<double>();
      QVERIFY(std::abs(loss["mean"].get<double>() - sum / 2) < 1e-9);
    }
    QVERIFY(ask(home, {"--json", "sweep", "--show", "grid"}).document()["places"] == document["places"]);
  }

  void sweepRefusesBeforeAnythingIsQueued() {
    Home home;
    const QString config = configFile(home);
    for (const QStringList& words : {QStringList{"--over", "method.rnak=2"}, {"--over", "method.rank=0,4"}, {"--over", "rank"},
                                     {"--over", "method.rank=2,2"}, {"--over", "method.rank=2", "--over", "method.rank=4"}, {}}) {
      const Answer answer = ask(home, QStringList{"sweep", "--config", config} + words);
      QVERIFY2(answer.code == 2, qPrintable(words.join(' ')));
      QVERIFY(answer.err.rfind("error: ", 0) == 0);
    }
    QVERIFY(jobs(home).empty());
    // Lists hold commas: their values are parted by semicolons. Queued only, it waits as a group.
    const Answer queued = ask(home, {"--json", "sweep", "--config", config, "--over",
                                     "method.target_modules=q_proj,v_proj;all-linear", "--group", "sites"});
    QVERIFY2(queued.code == 0, queued.err.c_str());
    QCOMPARE(jobs(home).size(), size_t{2});
    for (const json& job : jobs(home)) QCOMPARE(job["group"].get<std::string>(), std::string("sites"));
  }
};

QTEST_GUILESS_MAIN(TrainerQueue)
#include "queue.moc"
