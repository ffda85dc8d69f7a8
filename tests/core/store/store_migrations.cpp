// From every older version to the newest: the rows stay, a backup is made first, and a store of the future is left
// alone.

#include <atomic>
#include <thread>

#include "core/store/database.h"
#include "core/store/migrations.h"
#include "tests/core/store/store_fixture.h"

using namespace rankscope;

class StoreMigrations : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void fromEachVersion_data();
  void fromEachVersion();
  void newerStoreIsRefused();
  void foreignFileIsRefused();
  void twoOpenAtOnce();
  void readerDoesNotMigrate();
};

namespace {

int versionOf(const std::filesystem::path& file) {
  SQLite::Database raw(file.string());
  return raw.execAndGet("PRAGMA user_version").getInt();
}

std::string schemaOf(const std::filesystem::path& file) {
  SQLite::Database raw(file.string());
  SQLite::Statement rows(
      raw, "SELECT name || ': ' || COALESCE(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1");
  std::string all;
  while (rows.executeStep()) all += rows.getColumn(0).getString() + "\n";
  return all;
}

}  // namespace

void StoreMigrations::fromEachVersion_data() {
  QTest::addColumn<int>("version");
  for (int version = 0; version <= latestStoreVersion(); ++version) QTest::addRow("version %d", version) << version;
}

void StoreMigrations::fromEachVersion() {
  QFETCH(int, version);
  TestHome home, fresh;
  (void)fresh.open();
  {
    Result<std::unique_ptr<StoreDatabase>> old =
        StoreDatabase::open(home.store(), StoreDatabase::Mode::ReadWrite, version);
    RS_OK(old);
    if (version >= 1)
      RS_OK((*old)->write("a row", StoreDatabase::Durability::Durable, [&] {
        Query(**old, "INSERT INTO runs (uuid, name, rank) VALUES ('abc', 'kept', 8)").run();
      }));
    if (version >= 2)
      RS_OK((*old)->write("a row", StoreDatabase::Durability::Durable,
                          [&] { Query(**old, "INSERT INTO user_runs (uuid, note) VALUES ('abc', 'mine')").run(); }));
  }
  QCOMPARE(versionOf(home.store()), version);
  const auto store = home.open();
  QCOMPARE(versionOf(home.store()), latestStoreVersion());
  QCOMPARE(schemaOf(home.store()), schemaOf(fresh.store()));
  Result<StoreCheck> check = store->check(true);
  RS_OK(check);
  QVERIFY(check->sound);
  if (version >= 1) {
    Result<RunRow> run = store->run("abc");
    RS_OK(run);
    QCOMPARE(run->name, std::string("kept"));
    QCOMPARE(*run->rank, int64_t{8});
    if (version >= 2) QCOMPARE(run->note, std::string("mine"));
  }
  // A backup of the file as it was, whenever there was something to lose.
  const bool expected = version > 0 && version < latestStoreVersion();
  int backups = 0;
  if (std::filesystem::exists(home.path() / "backups"))
    for (const auto& entry : std::filesystem::directory_iterator(home.path() / "backups")) {
      ++backups;
      QCOMPARE(versionOf(entry.path()), version);
    }
  QCOMPARE(backups, expected ? 1 : 0);
}

void StoreMigrations::newerStoreIsRefused() {
  TestHome home;
  (void)home.open();
  SQLite::Database(home.store().string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 999");
  for (const auto mode : {Store::Mode::ReadOnly, Store::Mode::ReadWrite}) {
    const auto opened = Store::open(home.store(), mode);
    QVERIFY(!opened);
    QCOMPARE(opened.error().code, ErrorCode::Store);
    QVERIFY(opened.error().message().find("newer") != std::string::npos);
  }
  QCOMPARE(versionOf(home.store()), 999);
}

void StoreMigrations::foreignFileIsRefused() {
  TestHome home;
  {
    SQLite::Database other(home.store().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("CREATE TABLE albums (x); PRAGMA user_version = 1; INSERT INTO albums VALUES (1)");
  }
  const auto opened = Store::open(home.store(), Store::Mode::ReadWrite);
  QVERIFY(!opened);
  QVERIFY(opened.error().message().find("another program") != std::string::npos);
  SQLite::Database other(home.store().string());
  QCOMPARE(other.execAndGet("SELECT COUNT(*) FROM sqlite_master").getInt(), 1);
}

void StoreMigrations::twoOpenAtOnce() {
  for (int trial = 0; trial < 5; ++trial) {
    TestHome home;
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int i = 0; i < 6; ++i)
      threads.emplace_back([&] {
        const auto opened = Store::open(home.store(), Store::Mode::ReadWrite);
        if (opened.ok() && (*opened)->setSetting("x", 1).ok())
          ++good;
        else if (!opened.ok())
          qWarning("%s", opened.error().message().c_str());
      });
    for (std::thread& thread : threads) thread.join();
    QCOMPARE(good.load(), 6);
    QCOMPARE(versionOf(home.store()), latestStoreVersion());
  }
}

void StoreMigrations::readerDoesNotMigrate() {
  TestHome home;
  QVERIFY(!Store::open(home.store(), Store::Mode::ReadOnly));
  QVERIFY(!std::filesystem::exists(home.store()));
  RS_OK(StoreDatabase::open(home.store(), StoreDatabase::Mode::ReadWrite, 1));
  const auto opened = Store::open(home.store(), Store::Mode::ReadOnly);
  QVERIFY(!opened);
  QVERIFY(opened.error().message().find("older version") != std::string::npos);
  QCOMPARE(versionOf(home.store()), 1);
}

QTEST_GUILESS_MAIN(StoreMigrations)
#include "store_migrations.moc"
