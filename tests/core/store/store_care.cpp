// Backup in use, merging twice, rebuilding a sound store and a damaged one.

#include <atomic>
#include <random>
#include <thread>

#include "core/store/database.h"
#include "core/store/writer_lock.h"
#include "tests/core/store/store_fixture.h"

using namespace rankscope;

class StoreCare : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void backupWhileWriting();
  void mergeTwice();
  void mergeWithoutFolders();
  void rebuildKeepsWords();
  void rebuildAfterDamage_data();
  void rebuildAfterDamage();
  void openStoreFollowsRebuild();
};

namespace {

// Three runs and everything a user can say about them.
std::vector<std::string> fill(TestHome& home, Store& store) {
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    const auto folder = makeRunFolder(home.runs(), {.name = "run-" + std::to_string(i), .seed = i});
    writeLog(folder, {.steps = 600 + i, .salt = i, .resume = i == 2});
    ids.push_back(folder.filename());
  }
  ingestRuns(store, home.runs());
  (void)store.setNote(ids[0], "a note");
  (void)store.setName(ids[0], "renamed");
  (void)store.addTags({ids[0], ids[1]}, {"t1", "t2"});
  (void)store.setStarred({ids[1]}, true);
  (void)store.setSetting("theme", "dark");
  (void)store.saveView("runs", {"mine", {{"filter", "rank > 4"}}});
  (void)store.addJob({.name = "waiting", .config = configOf({})});
  (void)store.saveSpectrum({ids[0], 100, "q", "sv"}, ArrayBlob::fromFloats({3}, {3, 2, 1}));
  return ids;
}

void hasWords(Store& store, const std::vector<std::string>& ids) {
  QCOMPARE(store.run(ids[0])->note, std::string("a note"));
  QCOMPARE(store.run(ids[0])->name, std::string("renamed"));
  QCOMPARE(store.run(ids[1])->tags, (std::vector<std::string>{"t1", "t2"}));
  QVERIFY(store.run(ids[1])->starred);
  QCOMPARE(store.listRuns({.filter = "t1 starred = yes"})->total, int64_t{1});
  QCOMPARE(store.setting("theme")->get<std::string>(), std::string("dark"));
  QCOMPARE(store.savedViews("runs")->size(), size_t{1});
  QCOMPARE(store.listJobs()->size(), size_t{1});
  QCOMPARE(store.readSpectrum({ids[0], 100, "q", "sv"})->toDoubles(), (std::vector<double>{3, 2, 1}));
}

}  // namespace

void StoreCare::backupWhileWriting() {
  TestHome home;
  const auto store = home.open();
  const auto ids = fill(home, *store);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    const auto other = home.open();
    for (int i = 0; !stop; ++i) (void)other->setSetting("count", i);
  });
  const auto copy = home.path() / "copies" / "today.sqlite";
  const Result<void> made = store->backup(copy);
  stop = true;
  writer.join();
  RS_OK(made);
  QVERIFY(!store->backup(copy).ok());  // never over a file
  auto opened = Store::open(copy, Store::Mode::ReadOnly);
  RS_OK(opened);
  QVERIFY((*opened)->check(true)->sound);
  hasWords(**opened, ids);
  QCOMPARE(derivedRows(**opened), derivedRows(*store));
}

void StoreCare::mergeTwice() {
  TestHome ours, theirs;
  const auto other = theirs.open();
  const auto ids = fill(theirs, *other);
  RS_OK(other->setNote(ids[2], "theirs"));
  const auto store = ours.open();
  // One run is known to both, with words of our own.
  std::filesystem::copy(theirs.runs() / ids[2], ours.runs() / ids[2], std::filesystem::copy_options::recursive);
  ingestRuns(*store, ours.runs());
  RS_OK(store->setNote(ids[2], "ours"));
  Result<MergeReport> first = store->merge(theirs.store());
  RS_OK(first);
  QVERIFY2(first->problems.empty(), first->problems.empty() ? "" : first->problems[0].message().c_str());
  QCOMPARE(first->added, int64_t{2});
  QCOMPARE(first->present, int64_t{1});
  QCOMPARE(first->foldersCopied, int64_t{2});
  QVERIFY(std::filesystem::exists(ours.runs() / ids[0] / "events.log"));
  QCOMPARE(store->run(ids[2])->note, std::string("ours"));
  QCOMPARE(store->run(ids[0])->note, std::string("a note"));
  QCOMPARE(store->run(ids[1])->tags.size(), size_t{2});
  QVERIFY(*store->hasSpectrum({ids[0], 100, "q", "sv"}));
  QCOMPARE(store->savedViews("runs")->size(), size_t{1});
  RS_OK(other->setNote(ids[2], "ours"));  // words are searched too
  QCOMPARE(derivedRows(*store), derivedRows(*other));
  const std::string once = derivedRows(*store);
  Result<MergeReport> second = store->merge(theirs.store());
  RS_OK(second);
  QCOMPARE(second->added, int64_t{0});
  QCOMPARE(second->userDataTaken, int64_t{0});
  QCOMPARE(derivedRows(*store), once);
  QVERIFY(!store->merge(ours.store()).ok());
  QVERIFY(!store->merge(ours.path() / "none.sqlite").ok());
}

void StoreCare::mergeWithoutFolders() {
  TestHome ours, theirs;
  std::string expected;
  std::vector<std::string> ids;
  {
    const auto other = theirs.open();
    ids = fill(theirs, *other);
    expected = derivedRows(*other);
    std::filesystem::remove_all(theirs.runs());
  }
  const auto store = ours.open();
  writeLog(makeRunFolder(ours.runs(), {.name = "own"}), {});  // so that numbers of rows differ
  ingestRuns(*store, ours.runs());
  RS_OK(store->deleteRuns({store->listRunIds({})->at(0)}));
  RS_OK(store->emptyTrash());
  Result<MergeReport> report = store->merge(theirs.store());
  RS_OK(report);
  QVERIFY2(report->problems.empty(), report->problems.empty() ? "" : report->problems[0].message().c_str());
  QCOMPARE(report->added, int64_t{3});
  QCOMPARE(report->foldersCopied, int64_t{0});
  QCOMPARE(derivedRows(*store), expected);
  QVERIFY(store->check(true)->sound);
  QCOMPARE(store->readSeries(ids[0], "train/loss")->size(), size_t{600});
  Result<RebuildReport> rebuilt = rebuildStore(ours.store());
  RS_OK(rebuilt);
  QCOMPARE(rebuilt->keptWithoutFolder, int64_t{3});
  QCOMPARE(derivedRows(*store), expected);
}

void StoreCare::rebuildKeepsWords() {
  TestHome home;
  std::string before;
  std::vector<std::string> ids;
  {
    const auto store = home.open();
    ids = fill(home, *store);
    before = derivedRows(*store);
    // A derived row that is wrong, as a defect of an older program may have left it.
    RS_OK(store->database().write("harm", StoreDatabase::Durability::Durable, [&] {
      Query(store->database(), "UPDATE series SET count = count + 1").run();
      Query(store->database(), "UPDATE runs SET rank = 99").run();
    }));
  }
  Result<RebuildReport> report = rebuildStore(home.store());
  RS_OK(report);
  QVERIFY(!report->wasDamaged && report->movedAside.empty());
  const auto store = home.open();
  QCOMPARE(derivedRows(*store), before);
  hasWords(*store, ids);
}

void StoreCare::rebuildAfterDamage_data() {
  QTest::addColumn<QString>("kind");
  for (const char* kind : {"header", "middle pages", "cut short", "not a database"}) QTest::newRow(kind) << kind;
}

void StoreCare::rebuildAfterDamage() {
  QFETCH(QString, kind);
  TestHome home;
  std::string before;
  std::vector<std::string> ids;
  {
    const auto store = home.open();
    ids = fill(home, *store);
    before = derivedRows(*store);
    RS_OK(store->database().checkpoint());
  }
  std::filesystem::remove(home.store().string() + "-wal");
  std::string bytes = fileBytes(home.store());
  const size_t pages = bytes.size() / 8192;
  QVERIFY(pages > 20);
  std::mt19937 random(9);
  if (kind == "header") bytes.replace(0, 100, std::string(100, 'x'));
  if (kind == "middle pages")
    for (size_t page = 5; page < pages; page += 7)
      for (size_t i = 0; i < 8192; ++i) bytes[page * 8192 + i] = static_cast<char>(random());
  if (kind == "cut short") bytes.resize(bytes.size() / 2);
  if (kind == "not a database") bytes = "hello";
  putFile(home.store(), bytes);

  if (kind != "middle pages") {
    auto opened = Store::open(home.store(), Store::Mode::ReadWrite);
    if (opened.ok()) {
      Result<StoreCheck> check = (*opened)->check(true);
      QVERIFY(!check.ok() || !check->sound);
    } else {
      QCOMPARE(opened.error().code, ErrorCode::Store);
      QVERIFY2(opened.error().hint.find("store rebuild") != std::string::npos, opened.error().message().c_str());
    }
  }
  Result<RebuildReport> report = rebuildStore(home.store());
  RS_OK(report);
  QVERIFY(report->wasDamaged);
  QCOMPARE(fileBytes(report->movedAside).size(), bytes.size());
  QVERIFY(report->ingest.problems.empty());
  QCOMPARE(report->ingest.runsAdded, int64_t{3});
  const auto store = home.open();
  QVERIFY(store->check(true)->sound);
  for (const std::string& id : ids) QCOMPARE(store->run(id)->status, std::string("finished"));
  if (kind == "middle pages" && report->lost.empty()) {
    hasWords(*store, ids);
    QCOMPARE(derivedRows(*store), before);
  } else {
    // What could not be read is named.
    QVERIFY(!report->lost.empty());
  }
}

// A program that has the damaged file open goes on with the new one.
void StoreCare::openStoreFollowsRebuild() {
  TestHome home;
  const auto store = home.open();
  const auto ids = fill(home, *store);
  const auto reader = home.open(Store::Mode::ReadOnly);
  QCOMPARE(reader->listRuns({})->total, int64_t{3});
  const auto aside = home.path() / "aside";
  std::filesystem::create_directories(aside);
  for (const char* suffix : {"-wal", "-shm", ""}) {
    std::error_code absent;
    std::filesystem::rename(home.store().string() + suffix, aside / ("store.sqlite" + std::string(suffix)), absent);
  }
  std::filesystem::remove_all(home.runs() / ids[0]);
  RS_OK(rebuildStore(home.store()));
  QCOMPARE(reader->listRuns({})->total, int64_t{2});
  QCOMPARE(store->listRuns({})->total, int64_t{2});
  RS_OK(store->setNote(ids[1], "into the new file"));
  QCOMPARE(home.open()->run(ids[1])->note, std::string("into the new file"));
}

QTEST_GUILESS_MAIN(StoreCare)
#include "store_care.moc"
