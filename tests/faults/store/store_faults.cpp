// What goes wrong outside: another program holds the lock, the folder is read-only, the disk is full, a writer is
// killed at any moment. Nothing that was stored is lost, and every message says what to do.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "core/store/database.h"
#include "tests/core/store/store_fixture.h"

using namespace rankscope;

class StoreFaults : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void lockedStore();
  void lockGoesWithItsProcess();
  void readOnlyFolder();
  void fullDisk();
  void killedWhileIngesting();
  void damagedPagesWhileReading();
};

namespace {

// Root passes every permission; a child without those rights does not. `body` returns 0 when all was as expected.
int asOrdinaryUser(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && (setegid(65534) != 0 || seteuid(65534) != 0)) _exit(99);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace

void StoreFaults::lockedStore() {
  TestHome home;
  const auto store = home.open();
  const std::string id = makeRunFolder(home.runs(), {}).filename();
  ingestRuns(*store, home.runs());
  const int holder = ::open((home.path() / "store.lock").c_str(), O_RDWR);
  QVERIFY(holder >= 0 && ::flock(holder, LOCK_EX) == 0);
  store->setLockTimeout(std::chrono::milliseconds(200));
  const auto start = std::chrono::steady_clock::now();
  const Result<void> refused = store->setNote(id, "x");
  const auto waited = std::chrono::steady_clock::now() - start;
  QVERIFY(!refused.ok());
  QCOMPARE(refused.error().code, ErrorCode::Store);
  QCOMPARE(exitCode(refused.error().code), 6);
  QVERIFY(!refused.error().hint.empty());
  QVERIFY(waited >= std::chrono::milliseconds(190) && waited < std::chrono::seconds(2));
  // Reading goes on, and so does opening for reading.
  QCOMPARE(store->listRuns({})->total, int64_t{1});
  QCOMPARE(home.open(Store::Mode::ReadOnly)->run(id)->note, std::string());
  // A wait that ends well.
  store->setLockTimeout(std::chrono::seconds(10));
  std::thread later([holder] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    ::flock(holder, LOCK_UN);
  });
  const Result<void> done = store->setNote(id, "y");
  later.join();
  ::close(holder);
  RS_OK(done);
  QCOMPARE(store->run(id)->note, std::string("y"));
}

void StoreFaults::lockGoesWithItsProcess() {
  TestHome home;
  const auto store = home.open();
  int ready[2];
  QVERIFY(pipe(ready) == 0);
  const pid_t child = fork();
  if (child == 0) {
    WriterLock lock(home.path() / "store.lock");
    const char mark = lock.acquire(std::chrono::seconds(5)).ok() ? '1' : '0';
    (void)!::write(ready[1], &mark, 1);
    pause();
    _exit(0);
  }
  char mark = 0;
  QVERIFY(::read(ready[0], &mark, 1) == 1 && mark == '1');
  store->setLockTimeout(std::chrono::milliseconds(100));
  const Result<void> refused = store->setSetting("a", 1);
  QVERIFY(!refused.ok());
  // The message names who holds it.
  QVERIFY2(refused.error().message().find(std::to_string(child)) != std::string::npos,
           refused.error().message().c_str());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  RS_OK(store->setSetting("a", 1));
  ::close(ready[0]);
  ::close(ready[1]);
}

void StoreFaults::readOnlyFolder() {
  TestHome home;
  std::string id;
  {
    const auto store = home.open();
    const auto folder = makeRunFolder(home.runs(), {.name = "seen"});
    writeLog(folder, {});
    id = folder.filename();
    ingestRuns(*store, home.runs());
    RS_OK(store->database().checkpoint());
  }
  for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(home.store().string() + suffix);
  using std::filesystem::perms;
  std::filesystem::permissions(home.store(), perms::owner_read | perms::group_read | perms::others_read);
  std::filesystem::permissions(home.path(), perms::owner_read | perms::owner_exec | perms::group_read |
                                                perms::group_exec | perms::others_read | perms::others_exec);
  const int outcome = asOrdinaryUser([&] {
    const auto writing = Store::open(home.store(), Store::Mode::ReadWrite);
    if (writing.ok()) return 1;
    if (writing.error().code != ErrorCode::Io || writing.error().hint.empty()) return 2;
    auto reading = Store::open(home.store(), Store::Mode::ReadOnly);
    if (!reading.ok()) {
      fprintf(stderr, "%s\n", reading.error().message().c_str());
      return 3;
    }
    const auto run = (*reading)->run(id);
    if (!run.ok() || run->name != "seen") return 4;
    if ((*reading)->readSeries(id, "train/loss")->size() != 200) return 5;
    const auto note = (*reading)->setNote(id, "x");
    if (note.ok() || note.error().hint.empty()) return 6;
    return 0;
  });
  std::filesystem::permissions(home.path(), perms::owner_all);
  QCOMPARE(outcome, 0);
}

void StoreFaults::fullDisk() {
  TestHome home;
  const auto store = home.open();
  const auto small = makeRunFolder(home.runs(), {});
  writeLog(small, {.steps = 20});
  ingestRuns(*store, home.runs());
  RS_OK(store->setNote(small.filename(), "kept"));
  const std::string before = derivedRows(*store);
  const auto large = makeRunFolder(home.runs(), {});
  writeLog(large, {.steps = 6000});
  // No more pages than there are: SQLite then fails as it does on a full disk.
  (void)store->database().connection().execAndGet("PRAGMA max_page_count = 1");
  const IngestReport report = ingestRuns(*store, home.runs());
  QVERIFY(!report.problems.empty());
  QCOMPARE(report.problems[0].code, ErrorCode::Io);
  QVERIFY2(report.problems[0].message().find("disk is full") != std::string::npos,
           report.problems[0].message().c_str());
  QCOMPARE(store->run(small.filename())->note, std::string("kept"));
  // A write that the system refuses, here by a limit on the size of files.
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const auto other = home.open();
    const rlimit limit{200000, 200000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const IngestReport limited = ingestRuns(*other, home.runs());
    _exit(limited.problems.empty() || limited.problems[0].code != ErrorCode::Io || limited.problems[0].hint.empty()
              ? 1
              : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  QVERIFY(WIFEXITED(status));
  QCOMPARE(WEXITSTATUS(status), 0);
  // With room again everything arrives.
  (void)store->database().connection().execAndGet("PRAGMA max_page_count = 1073741823");
  QVERIFY(ingestRuns(*store, home.runs()).problems.empty());
  QCOMPARE(store->readSeries(large.filename(), "train/loss")->size(), size_t{6000});
  QVERIFY(store->check(true)->sound);
  RS_OK(store->deleteRuns({large.filename()}));
  RS_OK(store->emptyTrash());
  QCOMPARE(derivedRows(*store), before);
}

void StoreFaults::killedWhileIngesting() {
  TestHome home, calm;
  for (int i = 0; i < 3; ++i)
    writeLog(makeRunFolder(home.runs(), {.seed = i}), {.steps = 4000, .salt = i, .resume = true});
  std::filesystem::copy(home.runs(), calm.runs(), std::filesystem::copy_options::recursive);
  const auto undisturbed = calm.open();
  ingestRuns(*undisturbed, calm.runs());
  for (int trial = 0; trial < 12; ++trial) {
    const pid_t child = fork();
    if (child == 0) {
      auto store = Store::open(home.store(), Store::Mode::ReadWrite);
      if (store.ok()) ingestRuns(**store, home.runs());
      _exit(0);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10 + trial * 23));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    auto store = Store::open(home.store(), Store::Mode::ReadWrite);
    RS_OK(store);
    QVERIFY((*store)->check(true)->sound);
  }
  const auto store = home.open();
  QVERIFY(ingestRuns(*store, home.runs()).problems.empty());
  QCOMPARE(derivedRows(*store), derivedRows(*undisturbed));
}

void StoreFaults::damagedPagesWhileReading() {
  TestHome home;
  {
    const auto store = home.open();
    for (int i = 0; i < 4; ++i) writeLog(makeRunFolder(home.runs(), {.seed = i}), {.steps = 3000, .salt = i});
    ingestRuns(*store, home.runs());
    RS_OK(store->database().checkpoint());
  }
  const std::string good = fileBytes(home.store());
  unsigned state = 12345;
  const auto random = [&state] { return state = state * 1664525u + 1013904223u, state >> 8; };
  for (int trial = 0; trial < 40; ++trial) {
    std::string bad = good;
    for (int k = 0; k < 200; ++k) bad[100 + random() % (bad.size() - 100)] = static_cast<char>(random());
    putFile(home.store(), bad);
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(home.store().string() + suffix);
    auto store = Store::open(home.store(), Store::Mode::ReadOnly);
    if (!store.ok()) {
      QVERIFY(!store.error().hint.empty());
      continue;
    }
    Result<RunPage> page = (*store)->listRuns({});
    if (!page.ok()) {
      QVERIFY(!page.error().hint.empty());
      continue;
    }
    for (const RunRow& row : page->rows) {
      (void)(*store)->readLog(row.id, {});
      (void)(*store)->runConfig(row.id);
      Result<std::vector<std::string>> names = (*store)->seriesNames(row.id);
      if (!names.ok()) continue;
      for (const std::string& name : *names) {
        const Result<Series> series = (*store)->readSeries(row.id, name);
        if (!series.ok()) QVERIFY(!series.error().hint.empty());
        (void)(*store)->readSeriesRange(row.id, name, 0, 3000, 100);
      }
    }
  }
}

QTEST_GUILESS_MAIN(StoreFaults)
#include "store_faults.moc"
