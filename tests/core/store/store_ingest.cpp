// However a log reaches the store, the rows are those of one pass over the finished log.

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "core/runlog/heartbeat.h"
#include "core/runlog/uuid.h"
#include "core/store/database.h"
#include "tests/core/store/store_fixture.h"

using namespace rankscope;

class StoreIngest : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void whatIsSaidIsFound();
  void twiceChangesNothing();
  void inPiecesAsInOne_data();
  void inPiecesAsInOne();
  void whileWriting();
  void byTwoAtOnce();
  void rewindDropsWhatCameAfter();
  void tornTailIsWaitedFor();
  void replacedLogIsReadAgain();
  void deadRunIsInterrupted();
  void activeSeesNewAndResumed();
  void foldersThatAreNoRuns();
};

namespace {

std::string onePass(const std::filesystem::path& folder) {
  TestHome other;
  const auto to = other.runs() / folder.filename();
  std::filesystem::copy(folder, to, std::filesystem::copy_options::recursive);
  const auto store = other.open();
  const IngestReport report = ingestRuns(*store, other.runs());
  if (!report.problems.empty()) qFatal("%s", report.problems[0].message().c_str());
  return derivedRows(*store);
}

}  // namespace

void StoreIngest::whatIsSaidIsFound() {
  TestHome home;
  const auto store = home.open();
  const auto folder = makeRunFolder(home.runs(), {.name = "one"});
  const std::string id = folder.filename();
  writeLog(folder, {.steps = 300, .notFinite = true});
  const IngestReport report = ingestRuns(*store, home.runs());
  QVERIFY(report.problems.empty());
  QCOMPARE(report.changedIds, std::vector<std::string>{id});
  Result<RunRow> run = store->run(id);
  RS_OK(run);
  QCOMPARE(run->name, std::string("one"));
  QCOMPARE(run->status, std::string("finished"));
  QVERIFY(!run->live());
  QCOMPARE(run->method, std::string("lora"));
  QCOMPARE(*run->rank, int64_t{8});
  QCOMPARE(run->modelName, std::string("stories260K"));
  QCOMPARE(run->dataName, std::string("mrpc"));
  QCOMPARE(run->step, int64_t{300});
  QCOMPARE(run->totalSteps, int64_t{300});
  QCOMPARE(run->tokens, int64_t{300 * 512});
  QCOMPARE(run->peakMemory, int64_t{1000300000});
  QCOMPARE(run->trainable, int64_t{12288});
  QCOMPARE(run->bestMetric, std::string("eval/accuracy"));
  QCOMPARE(run->bestValue, 1.0 - 1.0 / 300);
  QCOMPARE(run->bestStep, int64_t{300});
  QCOMPARE(run->lastTrainLoss, lossAt(300, 1));
  QCOMPARE(run->lastEvalLoss, lossAt(300, 10));
  QVERIFY(run->finishedAt > run->startedAt);
  QCOMPARE(run->folder, folder.string());
  QVERIFY(run->sparkline.size() > 50 && run->sparkline.size() <= 64);
  for (const float point : run->sparkline) QVERIFY(point > 1.8F && point < 3.2F);

  const MetricSummary& loss = run->metrics.at("train/loss");
  QCOMPARE(loss.count, int64_t{300});
  double low = 1e9;
  for (int64_t step = 1; step <= 300; ++step)
    if (step % 17 != 0) low = std::min(low, lossAt(step, 1));
  QCOMPARE(loss.min, low);
  QCOMPARE(loss.best, low);
  QVERIFY(!run->metrics.count("site/layers.0.q_proj/norm_A"));

  Result<Series> series = store->readSeries(id, "train/loss");
  RS_OK(series);
  QCOMPARE(series->size(), size_t{300});
  for (size_t i = 0; i < 300; ++i) {
    const auto step = static_cast<int64_t>(i) + 1;
    QCOMPARE(series->steps[i], step);
    QCOMPARE(series->tokens[i], step * 512);
    if (step % 17 == 0)
      QVERIFY(std::isnan(series->values[i]));
    else
      QCOMPARE(series->values[i], lossAt(step, 1));
  }
  Result<Series> site = store->readSeries(id, "site/layers.2.q_proj/balance_gap");
  RS_OK(site);
  QCOMPARE(site->size(), size_t{30});
  QCOMPARE(site->values[4], lossAt(50, 3));

  Result<std::vector<SampleRow>> samples = store->samples(id);
  RS_OK(samples);
  QCOMPARE(samples->size(), size_t{6});
  QCOMPARE(samples->at(1).text, std::string("upon step 100"));
  Result<std::vector<CheckpointRow>> checkpoints = store->checkpoints(id);
  RS_OK(checkpoints);
  QCOMPARE(checkpoints->size(), size_t{6});
  QVERIFY(checkpoints->back().best && !checkpoints->front().best && !checkpoints->back().present);
  Result<std::vector<ChangeRow>> changes = store->changes(id);
  RS_OK(changes);
  QCOMPARE(changes->at(0).key, std::string("optim.learning_rate"));
  Result<std::vector<SiteRow>> sites = store->sites(id);
  RS_OK(sites);
  QCOMPARE(sites->size(), size_t{3});
  Result<nlohmann::json> config = store->runConfig(id), summary = store->summary(id);
  RS_OK(config);
  QCOMPARE((*config)["method"]["rank"].get<int>(), 8);
  QCOMPARE((*summary)["best_metric"].get<std::string>(), std::string("eval/accuracy"));

  Result<std::vector<RunLogLine>> warnings =
      store->readLog(id, {.minimum = LogLevel::Warning, .contains = "LOOK at step 1"});
  RS_OK(warnings);
  QCOMPARE(warnings->size(), size_t{2});  // 100 and 150
  QVERIFY(warnings->at(0).sequence < warnings->at(1).sequence);
  Result<std::vector<RunLogLine>> all = store->readLog(id, {});
  Result<std::vector<RunLogLine>> tail = store->readLog(id, {.limit = 3});
  RS_OK(all);
  RS_OK(tail);
  QCOMPARE(tail->back().sequence, all->back().sequence);
  Result<std::vector<RunLogLine>> before = store->readLog(id, {.before = tail->front().sequence, .limit = 2});
  QCOMPARE(before->back().sequence, all->at(all->size() - 4).sequence);
}

void StoreIngest::twiceChangesNothing() {
  TestHome home;
  const auto store = home.open();
  for (int i = 0; i < 3; ++i) writeLog(makeRunFolder(home.runs(), {.seed = i}), {.salt = i, .resume = i == 1});
  ingestRuns(*store, home.runs());
  const std::string once = derivedRows(*store);
  const IngestReport again = ingestRuns(*store, home.runs());
  QCOMPARE(again.events, int64_t{0});
  QVERIFY(again.changedIds.empty());
  QCOMPARE(derivedRows(*store), once);
}

void StoreIngest::inPiecesAsInOne_data() {
  QTest::addColumn<int>("steps");
  QTest::addColumn<int>("pieces");
  QTest::addColumn<bool>("resume");
  for (const int pieces : {2, 7, 60})
    for (const bool resume : {false, true})
      QTest::addRow("700 steps, %d pieces%s", pieces, resume ? ", resumed" : "") << 700 << pieces << resume;
  QTest::addRow("5000 steps") << 5000 << 40 << true;
}

// The log is cut anywhere, also inside a frame, as a reader may meet it.
void StoreIngest::inPiecesAsInOne() {
  QFETCH(int, steps);
  QFETCH(int, pieces);
  QFETCH(bool, resume);
  TestHome home;
  const auto folder = makeRunFolder(home.runs(), {.id = newUuid()});
  writeLog(folder, {.steps = steps, .resume = resume, .notFinite = true});
  const std::string expected = onePass(folder);
  const std::string whole = fileBytes(folder / "events.log");
  std::mt19937 random(static_cast<unsigned>(steps + pieces));
  std::vector<size_t> cuts;
  for (int i = 0; i < pieces; ++i) cuts.push_back(random() % whole.size());
  std::sort(cuts.begin(), cuts.end());
  cuts.push_back(whole.size());
  std::filesystem::remove(folder / "events.log");
  const auto store = home.open();
  for (const size_t cut : cuts) {
    putFile(folder / "events.log", std::string_view(whole).substr(0, cut));
    const IngestReport report = ingestRuns(*store, home.runs(), random() % 2 ? IngestScope::All : IngestScope::Active);
    if (cut > 8) QVERIFY2(report.problems.empty(), report.problems.empty() ? "" : report.problems[0].message().c_str());
  }
  QCOMPARE(derivedRows(*store), expected);
  Result<StoreCheck> check = store->check(true);
  RS_OK(check);
  QVERIFY(check->sound);
}

void StoreIngest::whileWriting() {
  TestHome home;
  const auto folder = makeRunFolder(home.runs(), {});
  const auto store = home.open();
  std::atomic<bool> done = false;
  std::thread writer([&] {
    writeLog(folder, {.steps = 3000, .resume = true});
    done = true;
  });
  int turns = 0;
  while (!done) {
    const IngestReport report = ingestRuns(*store, home.runs(), IngestScope::Active);
    // The very first look may find the file before its first eight bytes.
    if (!report.problems.empty() && turns > 50) QFAIL(report.problems[0].message().c_str());
    ++turns;
  }
  writer.join();
  ingestRuns(*store, home.runs());
  QCOMPARE(derivedRows(*store), onePass(folder));
}

void StoreIngest::byTwoAtOnce() {
  TestHome home;
  std::vector<std::filesystem::path> folders;
  for (int i = 0; i < 4; ++i) {
    folders.push_back(makeRunFolder(home.runs(), {.seed = i}));
    writeLog(folders.back(), {.steps = 1500, .salt = i, .resume = true});
  }
  TestHome single;
  std::filesystem::copy(home.runs(), single.runs(), std::filesystem::copy_options::recursive);
  const auto alone = single.open();
  ingestRuns(*alone, single.runs());
  (void)home.open();
  std::vector<std::thread> threads;
  std::atomic<int> problems = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      const auto store = home.open();
      store->setLockTimeout(std::chrono::seconds(30));
      const IngestReport report = ingestRuns(*store, home.runs());
      for (const Error& error : report.problems) qWarning("%s", error.message().c_str());
      problems += static_cast<int>(report.problems.size());
    });
  for (std::thread& thread : threads) thread.join();
  QCOMPARE(problems.load(), 0);
  QCOMPARE(derivedRows(*home.open()), derivedRows(*alone));
}

void StoreIngest::rewindDropsWhatCameAfter() {
  TestHome home;
  const auto store = home.open();
  const auto folder = makeRunFolder(home.runs(), {});
  const std::string id = folder.filename();
  writeLog(folder, {.steps = 1000, .end = false, .resume = true});
  ingestRuns(*store, home.runs());
  Result<Series> series = store->readSeries(id, "train/loss");
  RS_OK(series);
  QCOMPARE(series->size(), size_t{1020});
  for (size_t i = 0; i < series->size(); ++i) {
    const auto step = static_cast<int64_t>(i) + 1;
    QCOMPARE(series->steps[i], step);
    QCOMPARE(series->values[i], lossAt(step, step <= 600 ? 1 : 2));  // the second life from 601 on
  }
  Result<RunRow> run = store->run(id);
  RS_OK(run);
  double low = 1e9;
  for (int64_t step = 1; step <= 1020; ++step) low = std::min(low, lossAt(step, step <= 600 ? 1 : 2));
  QCOMPARE(run->metrics.at("train/loss").min, low);
  QCOMPARE(run->lives, 2);
  Result<std::vector<CheckpointRow>> checkpoints = store->checkpoints(id);
  RS_OK(checkpoints);
  QCOMPARE(checkpoints->size(), size_t{20});
}

void StoreIngest::tornTailIsWaitedFor() {
  TestHome home;
  const auto store = home.open();
  const auto folder = makeRunFolder(home.runs(), {});
  writeLog(folder, {.steps = 120});
  const std::string whole = fileBytes(folder / "events.log");
  std::string torn = whole.substr(0, whole.size() - 5);
  putFile(folder / "events.log", torn);
  ingestRuns(*store, home.runs());
  QCOMPARE(store->run(folder.filename())->status, std::string("running"));
  torn.back() = static_cast<char>(torn.back() ^ 0x55);  // a damaged last frame: not believed
  putFile(folder / "events.log", torn + "12345");
  ingestRuns(*store, home.runs());
  QCOMPARE(store->run(folder.filename())->status, std::string("running"));
  putFile(folder / "events.log", whole);
  ingestRuns(*store, home.runs());
  QCOMPARE(store->run(folder.filename())->status, std::string("finished"));
  QCOMPARE(derivedRows(*store), onePass(folder));
}

void StoreIngest::replacedLogIsReadAgain() {
  TestHome home;
  const auto store = home.open();
  const auto folder = makeRunFolder(home.runs(), {});
  writeLog(folder, {.steps = 400});
  ingestRuns(*store, home.runs());
  RS_OK(store->setNote(folder.filename(), "mine"));
  std::filesystem::remove(folder / "events.log");
  writeLog(folder, {.steps = 100, .salt = 5});
  const IngestReport report = ingestRuns(*store, home.runs());
  QVERIFY(report.problems.empty());
  QCOMPARE(store->readSeries(folder.filename(), "train/loss")->size(), size_t{100});
  QCOMPARE(store->run(folder.filename())->note, std::string("mine"));
  RS_OK(store->setNote(folder.filename(), ""));
  QCOMPARE(derivedRows(*store), onePass(folder));
}

void StoreIngest::deadRunIsInterrupted() {
  TestHome home;
  const auto store = home.open();
  const auto folder = makeRunFolder(home.runs(), {});
  const std::string id = folder.filename();
  writeLog(folder, {.steps = 50, .end = false});
  ingestRuns(*store, home.runs());
  QCOMPARE(store->run(id)->status, std::string("running"));
  QVERIFY(store->run(id)->live());
  {
    Result<std::unique_ptr<Heartbeat>> heart = Heartbeat::start(folder);  // this process: alive
    RS_OK(heart);
    (*heart)->set(event::RunState::Running, 50);
    ingestRuns(*store, home.runs());
    QCOMPARE(store->run(id)->status, std::string("running"));
  }
  // The same record with a start time that no process has.
  nlohmann::json record = nlohmann::json::parse(fileBytes(folder / "heartbeat.json"));
  record["start_time"] = 1;
  record["state"] = "running";
  putFile(folder / "heartbeat.json", record.dump());
  QCOMPARE(runLiveness(folder), Liveness::Dead);
  ingestRuns(*store, home.runs(), IngestScope::Active);
  Result<RunRow> run = store->run(id);
  QCOMPARE(run->status, std::string("interrupted"));
  QVERIFY(!run->live() && run->finishedAt > 0 && !run->statusDetail.empty());
  Result<RunPage> found = store->listRuns({.filter = "interrupted"});
  QCOMPARE(found->total, int64_t{1});
}

void StoreIngest::activeSeesNewAndResumed() {
  TestHome home;
  const auto store = home.open();
  const auto first = makeRunFolder(home.runs(), {});
  writeLog(first, {.steps = 60});
  QCOMPARE(ingestRuns(*store, home.runs(), IngestScope::Active).runsAdded, int64_t{1});
  const auto second = makeRunFolder(home.runs(), {}), third = makeRunFolder(home.runs(), {});
  writeLog(second, {.steps = 60, .end = false});
  QCOMPARE(ingestRuns(*store, home.runs(), IngestScope::Active).runsAdded, int64_t{2});
  QCOMPARE(store->run(third.filename())->status, std::string("queued"));
  // A finished run goes on.
  auto writer = EventWriter::open(first / "events.log");
  RS_OK(writer);
  event::Start start;
  start.life = 2;
  start.step = 60;
  (*writer)->append(start);
  (*writer)->append(event::State{event::RunState::Running, "", 60});
  RS_OK((*writer)->close());
  ingestRuns(*store, home.runs(), IngestScope::Active);
  QCOMPARE(store->run(first.filename())->status, std::string("running"));
  QVERIFY(std::isnan(store->run(first.filename())->finishedAt));
  QVERIFY(store->summary(first.filename())->is_null());
}

void StoreIngest::foldersThatAreNoRuns() {
  TestHome home;
  const auto store = home.open();
  std::filesystem::create_directories(home.runs() / "notes");
  std::filesystem::create_directories(home.runs() / newUuid());  // no config yet: not a run yet
  const auto broken = makeRunFolder(home.runs(), {}), foreign = makeRunFolder(home.runs(), {}),
             good = makeRunFolder(home.runs(), {});
  putFile(broken / "config.json", "{\"name\": ");
  putFile(foreign / "events.log", "this is no log of ours, but long enough");
  writeLog(good, {.steps = 20});
  const IngestReport report = ingestRuns(*store, home.runs());
  QCOMPARE(report.problems.size(), size_t{2});
  for (const Error& error : report.problems) QVERIFY(!error.hint.empty() && !error.where.empty());
  QCOMPARE(store->run(good.filename())->status, std::string("finished"));
  QVERIFY(!ingestRun(*store, home.runs() / "notes").ok());
  QVERIFY(ingestRuns(*store, home.path() / "nowhere").problems.empty());
  // One folder with another name: its id is in run.json.
  const auto moved = home.path() / "copied-from-cluster";
  std::filesystem::copy(good, moved, std::filesystem::copy_options::recursive);
  QVERIFY(!ingestRun(*store, moved).ok());
  putFile(moved / "run.json", nlohmann::json{{"id", newUuid()},
                                             {"created", 1.7e9},
                                             {"host", "node7"},
                                             {"version", "1"},
                                             {"parent", ""},
                                             {"parent_step", 0}}
                                  .dump());
  Result<IngestReport> one = ingestRun(*store, moved);
  RS_OK(one);
  QCOMPARE(one->runsAdded, int64_t{1});
}

QTEST_GUILESS_MAIN(StoreIngest)
#include "store_ingest.moc"
