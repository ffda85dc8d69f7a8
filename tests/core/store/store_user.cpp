// Notes, tags, stars, names, views, settings, spectra, and the trash with its way back.

#include "core/runlog/heartbeat.h"
#include "tests/core/store/store_fixture.h"

using namespace rankscope;

class StoreUser : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void words();
  void wordsSurviveNewEvents();
  void viewsAndSettings();
  void trashAndBack();
  void liveRunStays();
  void spectra();
};

void StoreUser::words() {
  TestHome home;
  const auto store = home.open();
  const std::string a = makeRunFolder(home.runs(), {.name = "first"}).filename(),
                    b = makeRunFolder(home.runs(), {}).filename();
  ingestRuns(*store, home.runs());
  RS_OK(store->setName(a, "  Küche  "));
  RS_OK(store->setNote(a, "# Title\n'quoted' \"and\" %"));
  RS_OK(store->addTags({a, b}, {"one", " two ", "", "one"}));
  RS_OK(store->removeTags({b}, {"two"}));
  RS_OK(store->setColour({a}, "#0072B2"));
  RS_OK(store->setStarred({a, b}, true));
  RS_OK(store->setStarred({b}, false));
  RS_OK(store->setArchived({b}, true));
  Result<RunRow> run = store->run(a);
  QCOMPARE(run->name, std::string("Küche"));
  QCOMPARE(run->note, std::string("# Title\n'quoted' \"and\" %"));
  QCOMPARE(run->tags, (std::vector<std::string>{"one", "two"}));
  QCOMPARE(run->colour, std::string("#0072B2"));
  QVERIFY(run->starred && !run->archived && !store->run(b)->starred && store->run(b)->archived);
  QCOMPARE(store->listRuns({})->total, int64_t{1});
  QCOMPARE(store->listRuns({.includeArchived = true})->total, int64_t{2});
  QCOMPARE(store->listRuns({.filter = "küche"})->total, int64_t{1});
  QCOMPARE(store->listRuns({.filter = "first"})->total, int64_t{0});
  QCOMPARE(store->allTags()->at(0), (std::pair<std::string, int64_t>{"one", 2}));
  RS_OK(store->setTags(a, {"three"}));
  QCOMPARE(store->run(a)->tags, std::vector<std::string>{"three"});
  QCOMPARE(store->listRuns({.filter = "two"})->total, int64_t{0});
  RS_OK(store->setName(a, ""));
  QCOMPARE(store->run(a)->name, std::string("first"));
  QVERIFY(!store->setColour({a}, "blue").ok() && !store->setColour({a}, "#12345g").ok());
  QVERIFY(!store->setNote(a, std::string(2 << 20, 'x')).ok());
  // All or none of a bulk edit.
  QVERIFY(!store->setStarred({b, "nobody"}, true).ok());
  QVERIFY(!store->run(b)->starred);
}

void StoreUser::wordsSurviveNewEvents() {
  TestHome home;
  const auto store = home.open();
  const auto folder = makeRunFolder(home.runs(), {});
  ingestRuns(*store, home.runs());
  RS_OK(store->setName(folder.filename(), "mine"));
  RS_OK(store->setStarred({folder.filename()}, true));
  writeLog(folder, {});
  ingestRuns(*store, home.runs());
  QCOMPARE(store->run(folder.filename())->name, std::string("mine"));
  QVERIFY(store->run(folder.filename())->starred);
  QCOMPARE(store->run(folder.filename())->status, std::string("finished"));
}

void StoreUser::viewsAndSettings() {
  TestHome home;
  const auto store = home.open();
  RS_OK(store->saveView("runs", {"ranks", {{"filter", "rank > 4"}}}));
  RS_OK(store->saveView("runs", {"all", nlohmann::json::object()}));
  RS_OK(store->saveView("compare", {"ranks", 1}));
  RS_OK(store->saveView("runs", {"ranks", {{"filter", "rank > 8"}}}));
  Result<std::vector<SavedView>> views = store->savedViews("runs");
  QCOMPARE(views->size(), size_t{2});
  QCOMPARE(views->at(0).name, std::string("ranks"));
  QCOMPARE(views->at(0).body["filter"].get<std::string>(), std::string("rank > 8"));
  RS_OK(store->deleteView("runs", "ranks"));
  QCOMPARE(store->savedViews("runs")->size(), size_t{1});
  QVERIFY(!store->saveView("runs", {"", 1}).ok());
  QVERIFY(store->setting("layout")->is_null());
  RS_OK(store->setSetting("layout", {{"splitter", {1, 2}}}));
  QCOMPARE((*store->setting("layout"))["splitter"][1].get<int>(), 2);
  RS_OK(store->setSetting("layout", nullptr));
  QVERIFY(store->setting("layout")->is_null());
}

void StoreUser::trashAndBack() {
  TestHome home;
  const auto store = home.open();
  const auto folder = makeRunFolder(home.runs(), {});
  const std::string id = folder.filename();
  writeLog(folder, {});
  ingestRuns(*store, home.runs());
  RS_OK(store->setNote(id, "keep me"));
  RS_OK(store->saveSpectrum({id, 1, "s", "x"}, ArrayBlob::fromFloats({1}, {1})));
  const std::string before = derivedRows(*store);
  QVERIFY(*store->folderBytes(id) > 1000);
  RS_OK(store->deleteRuns({id}));
  QVERIFY(!std::filesystem::exists(folder) && std::filesystem::exists(store->trashDir() / id / "events.log"));
  QCOMPARE(store->listRuns({})->total, int64_t{0});
  QCOMPARE(store->listRuns({.onlyTrashed = true})->total, int64_t{1});
  QVERIFY(store->run(id)->trashed);
  QCOMPARE(*store->resolveRun("run"), id);  // by name, from the trash
  QCOMPARE(store->run(id)->folder, (store->trashDir() / id).string());
  QVERIFY(*store->folderBytes(id) > 1000);
  ingestRuns(*store, home.runs());
  QCOMPARE(store->listRuns({})->total, int64_t{0});  // does not come back by itself
  RS_OK(store->deleteRuns({id}));                    // again: nothing to do
  RS_OK(store->restoreRuns({id}));
  QVERIFY(std::filesystem::exists(folder / "events.log"));
  ingestRuns(*store, home.runs());
  QCOMPARE(derivedRows(*store), before);
  QCOMPARE(store->run(id)->note, std::string("keep me"));
  QVERIFY(!store->emptyTrash({id}).ok());  // it is not in the trash
  RS_OK(store->deleteRuns({id}));
  Result<int64_t> freed = store->emptyTrash();
  RS_OK(freed);
  QVERIFY(*freed > 1000);
  QVERIFY(!std::filesystem::exists(store->trashDir() / id));
  QVERIFY(!store->run(id).ok());
  QVERIFY(store->listSpectra(id)->empty());
  QVERIFY(store->check(true)->sound);
  QCOMPARE(store->listRuns({.onlyTrashed = true})->total, int64_t{0});
}

void StoreUser::liveRunStays() {
  TestHome home;
  const auto store = home.open();
  const auto folder = makeRunFolder(home.runs(), {}), idle = makeRunFolder(home.runs(), {});
  writeLog(folder, {.end = false});
  ingestRuns(*store, home.runs());
  Result<std::unique_ptr<Heartbeat>> heart = Heartbeat::start(folder);
  RS_OK(heart);
  const Result<void> deleted = store->deleteRuns({idle.filename(), folder.filename()});
  QVERIFY(!deleted.ok());
  QVERIFY(std::filesystem::exists(folder) && std::filesystem::exists(idle));
}

void StoreUser::spectra() {
  TestHome home;
  const auto store = home.open();
  std::vector<float> values(64 * 64);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
  ArrayBlob array = ArrayBlob::fromFloats({64, 64}, values);
  array.meta = {{"epsilon", 0.5}};
  const SpectrumKey key{"run", 120, "layers.0.q_proj", "similarity"};
  QVERIFY(!*store->hasSpectrum(key));
  RS_OK(store->saveSpectrum(key, array));
  QVERIFY(*store->hasSpectrum(key));
  Result<ArrayBlob> back = store->readSpectrum(key);
  RS_OK(back);
  QCOMPARE(back->shape, array.shape);
  QVERIFY(back->bytes == array.bytes && back->meta == array.meta && back->type == ArrayType::Float32);
  QCOMPARE(back->toDoubles()[77], static_cast<double>(values[77]));
  RS_OK(store->saveSpectrum(key, ArrayBlob::fromDoubles({2}, {1.5, 2.5})));  // replaces
  QCOMPARE(store->readSpectrum(key)->toDoubles(), (std::vector<double>{1.5, 2.5}));
  RS_OK(store->saveSpectrum({"run", 120, "", "empty"}, ArrayBlob::fromFloats({0, 5}, {})));
  QCOMPARE(store->readSpectrum({"run", 120, "", "empty"})->elements(), int64_t{0});
  QCOMPARE(store->listSpectra("run")->size(), size_t{2});
  ArrayBlob wrong = ArrayBlob::fromFloats({3, 3}, {1, 2});
  QVERIFY(!store->saveSpectrum(key, wrong).ok());
  wrong.shape = {-1, -2};
  QVERIFY(!store->saveSpectrum(key, wrong).ok());
  wrong.shape = {int64_t{1} << 40, int64_t{1} << 40};
  QVERIFY(!store->saveSpectrum(key, wrong).ok());
  RS_OK(store->deleteSpectra("run"));
  QVERIFY(!store->readSpectrum(key).ok());
}

QTEST_GUILESS_MAIN(StoreUser)
#include "store_user.moc"
