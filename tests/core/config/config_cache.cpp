// What is kept to save time: its sizes, and that clearing takes one part and nothing else.
#include <QtTest/QtTest>

#include "core/config/files.h"
#include "core/config/cache_care.h"

using namespace rankscope;
namespace fs = std::filesystem;

class ConfigCache : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void sizesAndClearing() {
    QTemporaryDir folder;
    const fs::path cache = folder.path().toStdString();
    for (const char* file : {"svd/a.safetensors", "svd/b.safetensors", "tokens/deep/c.bin", "other/d"}) {
      fs::create_directories((cache / file).parent_path());
      QVERIFY(writeFileAtomically(cache / file, std::string(100, 'x')).ok());
    }
    const auto of = [&](const std::string& name) {
      for (const CacheShare& share : cacheShares(cache))
        if (share.name == name) return share;
      return CacheShare{};
    };
    QCOMPARE(cacheShares(cache).size(), size_t{3});
    QCOMPARE(of("svd").bytes, int64_t{200});
    QCOMPARE(of("svd").entries, int64_t{2});
    QCOMPARE(of("tokens").bytes, int64_t{100});
    QCOMPARE(of("starts").bytes, int64_t{0});
    const auto freed = clearCache(cache, "svd");
    QVERIFY(freed.ok());
    QCOMPARE(*freed, int64_t{200});
    QCOMPARE(of("svd").entries, int64_t{0});
    QCOMPARE(of("tokens").entries, int64_t{1});
    QVERIFY(fs::exists(cache / "other" / "d"));
    QCOMPARE(*clearCache(cache, "starts"), int64_t{0});
  }

  // A name is one of the known ones: never a way out of the folder.
  void onlyKnownParts_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"other", "", ".", "..", "../runs", "svd/..", "/"}) QTest::newRow(name) << name;
  }
  void onlyKnownParts() {
    QFETCH(QString, name);
    QTemporaryDir folder;
    const fs::path cache = fs::path(folder.path().toStdString()) / "cache";
    fs::create_directories(cache / "other");
    fs::create_directories(cache.parent_path() / "runs");
    QVERIFY(writeFileAtomically(cache / "other" / "d", "x").ok());
    const auto cleared = clearCache(cache, name.toStdString());
    QVERIFY(!cleared.ok() && !cleared.error().hint.empty());
    QVERIFY(fs::exists(cache / "other" / "d") && fs::exists(cache.parent_path() / "runs"));
  }
};

QTEST_GUILESS_MAIN(ConfigCache)
#include "config_cache.moc"
