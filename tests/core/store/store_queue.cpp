// The queue: order, holding, retrying, and that no two processes ever get the same job.

#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "core/runlog/uuid.h"
#include "tests/core/store/store_fixture.h"

using namespace rankscope;

class StoreQueue : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void order();
  void states();
  void slots();
  void claimsAreExclusive();
  void orphansComeBack();
  void frozenConfig();
};

namespace {

std::vector<int64_t> waitingIds(Store& store) {
  std::vector<int64_t> ids;
  const std::vector<Job> jobs = *store.listJobs(false);
  for (const Job& job : jobs)
    if (job.state != JobState::Running) ids.push_back(job.id);
  return ids;
}

}  // namespace

void StoreQueue::order() {
  TestHome home;
  const auto store = home.open();
  std::vector<int64_t> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(store->addJob({.name = "j" + std::to_string(i)})->id);
  QCOMPARE(waitingIds(*store), ids);
  RS_OK(store->moveJob(ids[4], 0));
  RS_OK(store->moveJob(ids[0], 99));
  QCOMPARE(waitingIds(*store), (std::vector<int64_t>{ids[4], ids[1], ids[2], ids[3], ids[0]}));
  RS_OK(store->moveJob(ids[3], 1));
  QCOMPARE(waitingIds(*store), (std::vector<int64_t>{ids[4], ids[3], ids[1], ids[2], ids[0]}));
  RS_OK(store->holdJob(ids[4], true));
  QCOMPARE((*store->claimNextJob("cpu", "w"))->id, ids[3]);
  RS_OK(store->holdJob(ids[4], false));
  QCOMPARE((*store->claimNextJob("cpu", "w"))->id, ids[4]);
  QVERIFY(!store->moveJob(ids[4], 0).ok() && !store->moveJob(12345, 0).ok());
  // A sweep enters as a whole behind the others.
  Result<std::vector<Job>> sweep = store->addJobs({{.name = "s0", .group = "g"}, {.name = "s1", .group = "g"}});
  RS_OK(sweep);
  QCOMPARE(waitingIds(*store).back(), sweep->at(1).id);
}

void StoreQueue::states() {
  TestHome home;
  const auto store = home.open();
  const Job a = *store->addJob({.name = "a"}), b = *store->addJob({.name = "b", .held = true});
  QCOMPARE(b.state, JobState::Held);
  QVERIFY(isUuid(a.spec.runId));
  const Job claimed = **store->claimNextJob("cpu", "here 1 2");
  QCOMPARE(claimed.id, a.id);
  QCOMPARE(claimed.state, JobState::Running);
  QCOMPARE(claimed.attempts, 1);
  QCOMPARE(claimed.worker, std::string("here 1 2"));
  QVERIFY(claimed.startedAt > 0);
  QVERIFY(!store->claimNextJob("cpu", "w")->has_value());  // b is held
  RS_OK(store->reportJob(a.id, 0.5, "step 50 of 100"));
  QCOMPARE(store->job(a.id)->progress, 0.5);
  RS_OK(store->cancelJob(a.id));
  QVERIFY(store->job(a.id)->cancelRequested);
  QCOMPARE(store->job(a.id)->state, JobState::Running);
  const Error error{ErrorCode::Training, "loss is not finite", "step 3", "nan", "a number", "Lower the learning rate."};
  RS_OK(store->finishJob(a.id, JobState::Failed, error, {{"step", 3}}));
  const Job failed = *store->job(a.id);
  QCOMPARE(failed.error->message(), error.message());
  QCOMPARE(failed.error->code, ErrorCode::Training);
  QCOMPARE(failed.result["step"].get<int>(), 3);
  QVERIFY(!store->finishJob(a.id, JobState::Done).ok());
  const Job again = *store->retryJob(a.id);
  QCOMPARE(again.state, JobState::Queued);
  QVERIFY(again.spec.runId != a.spec.runId && !again.error && again.attempts == 0);
  RS_OK(store->cancelJob(b.id));
  QCOMPARE(store->job(b.id)->state, JobState::Cancelled);
  QVERIFY(!store->cancelJob(b.id).ok() && !store->holdJob(b.id, true).ok());
  RS_OK(store->removeJob(b.id));
  QVERIFY(!store->job(b.id).ok());
  (void)store->claimNextJob("cpu", "w");
  QVERIFY(!store->removeJob(a.id).ok());
  QVERIFY(!store->finishJob(a.id, JobState::Queued).ok());
  QCOMPARE(store->listJobs(false)->size(), size_t{1});
}

void StoreQueue::slots() {
  TestHome home;
  const auto store = home.open();
  const int64_t gpu = store->addJob({.slot = "cuda:0"})->id, any = store->addJob({})->id,
                cpu = store->addJob({.slot = "cpu"})->id;
  QCOMPARE((*store->claimNextJob("cpu", "w"))->id, any);
  QCOMPARE((*store->claimNextJob("cpu", "w"))->id, cpu);
  QVERIFY(!store->claimNextJob("cpu", "w")->has_value());
  QVERIFY(!store->claimNextJob("cuda:1", "w")->has_value());
  QCOMPARE((*store->claimNextJob("cuda:0", "w"))->id, gpu);
}

void StoreQueue::claimsAreExclusive() {
  constexpr int kJobs = 60, kRunners = 4;
  TestHome home;
  {
    const auto store = home.open();
    std::vector<JobSpec> specs(kJobs);
    RS_OK(store->addJobs(specs));
  }
  std::vector<pid_t> children;
  for (int runner = 0; runner < kRunners; ++runner) {
    const pid_t child = fork();
    if (child == 0) {
      // A process of its own, as a runner is; its claims go to a file.
      int status = 1;
      {
        auto opened = Store::open(home.store(), Store::Mode::ReadWrite);
        std::string claims;
        while (opened.ok()) {
          (*opened)->setLockTimeout(std::chrono::seconds(30));
          auto job = (*opened)->claimNextJob("cpu", "runner " + std::to_string(runner));
          if (!job.ok()) break;
          if (!job->has_value()) {
            status = 0;
            break;
          }
          claims += std::to_string((*job)->id) + "\n";
          if (!(*opened)->finishJob((*job)->id, JobState::Done).ok()) break;
        }
        putFile(home.path() / ("claims-" + std::to_string(runner)), claims);
      }
      _exit(status);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    QVERIFY(WIFEXITED(status));
    QCOMPARE(WEXITSTATUS(status), 0);
  }
  std::multiset<std::string> claimed;
  for (int runner = 0; runner < kRunners; ++runner) {
    const QStringList lines = QString::fromStdString(fileBytes(home.path() / ("claims-" + std::to_string(runner))))
                                  .split('\n', Qt::SkipEmptyParts);
    for (const QString& line : lines) claimed.insert(line.toStdString());
  }
  QCOMPARE(claimed.size(), size_t{kJobs});
  QCOMPARE(std::set<std::string>(claimed.begin(), claimed.end()).size(), size_t{kJobs});
  const auto store = home.open();
  const std::vector<Job> jobs = *store->listJobs();
  for (const Job& job : jobs) QCOMPARE(job.state, JobState::Done);
  QVERIFY(store->check(true)->sound);
}

void StoreQueue::orphansComeBack() {
  TestHome home;
  const auto store = home.open();
  const int64_t id = store->addJob({})->id, other = store->addJob({})->id;
  (void)store->claimNextJob("cpu", "gone");
  (void)store->claimNextJob("cpu", "alive");
  const auto alive = [](const Job& job) { return job.worker == "alive"; };
  QCOMPARE(*store->recoverJobs(alive, 2), int64_t{1});
  QCOMPARE(store->job(id)->state, JobState::Queued);
  QCOMPARE(store->job(other)->state, JobState::Running);
  QCOMPARE(*store->recoverJobs(alive, 2), int64_t{0});
  (void)store->claimNextJob("cpu", "gone");
  QCOMPARE(store->job(id)->attempts, 2);
  QCOMPARE(*store->recoverJobs(alive, 2), int64_t{1});
  QCOMPARE(store->job(id)->state, JobState::Failed);
  QVERIFY(store->job(id)->error && !store->job(id)->error->hint.empty());
  RS_OK(store->cancelJob(other));
  QCOMPARE(*store->recoverJobs([](const Job&) { return false; }), int64_t{1});
  QCOMPARE(store->job(other)->state, JobState::Cancelled);
}

void StoreQueue::frozenConfig() {
  TestHome home;
  const auto store = home.open();
  const nlohmann::json config = configOf({.name = "ünï"});
  const int64_t id = store->addJob({.config = config})->id;
  QVERIFY(store->job(id)->spec.config == config);
  QVERIFY(home.open(Store::Mode::ReadOnly)->job(id)->spec.config == config);
}

QTEST_GUILESS_MAIN(StoreQueue)
#include "store_queue.moc"
