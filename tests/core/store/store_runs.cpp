// Pages, finding a run by what people type, groups over seeds, differences of configs.

#include "core/store/run_rows.h"
#include "tests/core/store/store_fixture.h"

using namespace rankscope;

class StoreRuns : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void pages();
  void resolves();
  void groups();
  void differences();
  void distinct();
  void revisionMoves();
  void unknownRun();
};

namespace {

// accuracy = base + seed / 100 for each method and rank.
std::string addRun(TestHome& home, Store& store, const RunSpec& spec, double accuracy) {
  const auto folder = makeRunFolder(home.runs(), spec);
  auto writer = EventWriter::open(folder / "events.log");
  if (!writer) qFatal("%s", writer.error().message().c_str());
  (*writer)->append(event::Eval{{10, 1, 100, 2}, {{"eval/accuracy", accuracy}}, true});
  if (!(*writer)->close().ok()) qFatal("close");
  ingestRuns(store, home.runs());
  return folder.filename();
}

}  // namespace

void StoreRuns::pages() {
  TestHome home;
  const auto store = home.open();
  for (int i = 0; i < 25; ++i) makeRunFolder(home.runs(), {.name = "run-" + std::to_string(i)});
  ingestRuns(*store, home.runs());
  Result<RunPage> page = store->listRuns({.sort = {{"name"}}, .limit = 10, .offset = 20});
  RS_OK(page);
  QCOMPARE(page->total, int64_t{25});
  QCOMPARE(page->rows.size(), size_t{5});
  QCOMPARE(page->rows[0].name, std::string("run-20"));  // numbers count as numbers
  QCOMPARE(store->listRuns({.limit = 10, .offset = 100})->rows.size(), size_t{0});
  QCOMPARE(store->listRuns({.limit = -1})->rows.size(), size_t{25});
  const std::vector<std::string> ids = *store->listRunIds({.sort = {{"name", true}}});
  QCOMPARE(ids.size(), size_t{25});
  QCOMPARE(store->run(ids[0])->name, std::string("run-24"));
  Result<RunPage> some = store->listRuns({.sort = {{"name"}}, .ids = {ids[3], ids[7]}});
  QCOMPARE(some->total, int64_t{2});
  QCOMPARE(some->rows[0].id, ids[7]);
}

void StoreRuns::resolves() {
  TestHome home;
  const auto store = home.open();
  const std::string a = "aaaabbbb-0000-4000-8000-000000000001", b = "aaaabbcc-0000-4000-8000-000000000002";
  makeRunFolder(home.runs(), {.name = "same", .id = a});
  makeRunFolder(home.runs(), {.name = "same", .id = b});
  makeRunFolder(home.runs(), {.name = "other", .id = "ffff0000-0000-4000-8000-000000000003"});
  ingestRuns(*store, home.runs());
  QCOMPARE(*store->resolveRun(a), a);
  QCOMPARE(*store->resolveRun("aaaabbb"), a);
  QCOMPARE(*store->resolveRun("AAAABBCC"), b);
  QCOMPARE(*store->resolveRun("other"), std::string("ffff0000-0000-4000-8000-000000000003"));
  for (const char* wrong : {"aaaa", "same", "aaa", "", "no such", "%", "aaaabbbb-9"}) {
    const auto found = store->resolveRun(wrong);
    QVERIFY2(!found, wrong);
    QVERIFY(!found.error().hint.empty());
  }
  QVERIFY(store->resolveRun("same").error().message().find(b) != std::string::npos);
}

void StoreRuns::groups() {
  TestHome home;
  const auto store = home.open();
  for (const int rank : {4, 16})
    for (int seed = 0; seed < 3; ++seed)
      addRun(home, *store, {.method = "lora", .rank = rank, .seed = seed}, 0.8 + 0.01 * seed + 0.001 * rank);
  addRun(home, *store, {.method = "full"}, 0.9);
  Result<std::vector<RunGroup>> groups =
      store->groupRuns({.keys = {"method", "rank"}, .metrics = {"accuracy", "eval/accuracy.best", "seed"}});
  RS_OK(groups);
  QCOMPARE(groups->size(), size_t{3});
  const RunGroup& full = groups->at(0);
  QCOMPARE(full.key, (std::vector<std::string>{"full", ""}));
  QCOMPARE(full.statistics[0].n, int64_t{1});
  QVERIFY(std::isnan(full.statistics[0].sd));
  const RunGroup& four = groups->at(1);
  QCOMPARE(four.key, (std::vector<std::string>{"lora", "4"}));
  QCOMPARE(four.runIds.size(), size_t{3});
  QVERIFY(std::abs(four.statistics[0].mean - 0.814) < 1e-12 && std::abs(four.statistics[0].sd - 0.01) < 1e-12);
  QVERIFY(std::abs(four.statistics[0].high - four.statistics[0].mean - 4.302653 * 0.01 / std::sqrt(3.0)) < 1e-7);
  QCOMPARE(four.statistics[2].mean, 1.0);
  QVERIFY(!store->groupRuns({.keys = {"nonsense"}}).ok());
  Result<std::vector<RunGroup>> few =
      store->groupRuns({.runs = {.filter = "rank = 16"}, .keys = {"optim.learning_rate"}, .metrics = {"accuracy"}});
  RS_OK(few);
  QCOMPARE(few->size(), size_t{1});
  QCOMPARE(few->at(0).key[0], std::string("0.001"));
}

void StoreRuns::differences() {
  TestHome home;
  const auto store = home.open();
  const std::string a = makeRunFolder(home.runs(), {.name = "a", .rank = 4}).filename();
  const std::string b = makeRunFolder(home.runs(), {.name = "b", .rank = 8}).filename();
  const auto odd = makeRunFolder(home.runs(), {.name = "c", .rank = 8});
  nlohmann::json config = configOf({.name = "c", .rank = 8});
  config["method"].erase("alpha");
  config["method"]["rank_pattern"] = {{"q.proj", 4}};
  putFile(odd / "config.json", config.dump());
  ingestRuns(*store, home.runs());
  Result<std::vector<RunDifference>> two = store->configDifferences({a, b});
  RS_OK(two);
  QCOMPARE(two->size(), size_t{1});
  QCOMPARE(two->at(0).key, std::string("method.rank"));
  QCOMPARE(two->at(0).values, (std::vector<std::string>{"4", "8"}));
  Result<std::vector<RunDifference>> three = store->configDifferences({b, odd.filename()});
  RS_OK(three);
  QCOMPARE(three->size(), size_t{2});
  QCOMPARE(three->at(0).key, std::string("method.alpha"));
  QCOMPARE(three->at(0).values[1], std::string());
  QCOMPARE(three->at(1).key, std::string("method.rank_pattern"));  // a map stays one value
}

void StoreRuns::distinct() {
  TestHome home;
  const auto store = home.open();
  for (const char* method : {"lora", "rora", "lora", "full"}) makeRunFolder(home.runs(), {.method = method});
  ingestRuns(*store, home.runs());
  Result<std::vector<std::pair<std::string, int64_t>>> methods = store->distinctValues("method");
  RS_OK(methods);
  QCOMPARE(methods->size(), size_t{3});
  QCOMPARE(methods->at(0), (std::pair<std::string, int64_t>{"lora", 2}));
  QCOMPARE(store->distinctValues("optim.name")->at(0).second, int64_t{4});
  const FilterNames names = *store->names();
  QVERIFY(std::find(names.configKeys.begin(), names.configKeys.end(), "method.rank") != names.configKeys.end());
}

void StoreRuns::revisionMoves() {
  TestHome home;
  const auto writer = home.open();
  const auto reader = home.open(Store::Mode::ReadOnly);
  const int64_t before = *reader->revision(), own = *writer->revision();
  QCOMPARE(*reader->revision(), before);
  RS_OK(writer->setSetting("x", 1));
  QVERIFY(*reader->revision() != before);
  QVERIFY(*writer->revision() != own);
  QCOMPARE((*reader->setting("x")).get<int>(), 1);
  QVERIFY(!reader->setSetting("x", 2).ok());
}

void StoreRuns::unknownRun() {
  TestHome home;
  const auto store = home.open();
  const std::string no = "00000000-0000-4000-8000-000000000000";
  QVERIFY(!store->run(no).ok() && !store->runConfig(no).ok() && !store->readSeries(no, "x").ok() &&
          !store->seriesNames(no).ok());
  QVERIFY(!store->setNote(no, "x").ok() && !store->deleteRuns({no}).ok() && !store->configDifferences({no}).ok());
  QCOMPARE(store->run(no).error().code, ErrorCode::Usage);
  QVERIFY(store->listRuns({})->rows.empty());
}

QTEST_GUILESS_MAIN(StoreRuns)
#include "store_runs.moc"
