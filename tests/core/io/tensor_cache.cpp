// Results kept by key: the same bits back, damage and foreign files as if absent, a bounded folder.

#include <QtTest/QtTest>

#include <fstream>

#include "core/io/tensor_cache.h"

using namespace rankscope;

namespace {

std::filesystem::path pathOf(const QTemporaryDir& folder) { return folder.path().toStdString(); }

NamedTensors someTensors(double value) {
  return {{"a", at::full({30, 40}, value, at::kDouble)}, {"b", at::arange(7, at::kFloat)}};
}

}  // namespace

class TensorCacheTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void whatWasKeptComesBackToTheBit() {
    QTemporaryDir folder;
    const TensorCache cache(pathOf(folder) / "deep" / "er", 1 << 20);
    QVERIFY(!cache.load("key"));
    cache.store("key", someTensors(1.0 / 3));
    const auto kept = cache.load("key");
    QVERIFY(kept && kept->size() == 2);
    for (const auto& [name, tensor] : someTensors(1.0 / 3)) QVERIFY(at::equal(kept->at(name), tensor));
    QVERIFY(!cache.load("other"));
    const TensorCache none;
    none.store("key", someTensors(1));
    QVERIFY(!none.load("key"));
  }

  void damageCountsAsAbsent() {
    QTemporaryDir folder;
    const TensorCache cache(pathOf(folder), 1 << 20);
    cache.store("key", someTensors(2));
    const auto file = pathOf(folder) / "key.safetensors";
    const auto size = std::filesystem::file_size(file);
    {
      std::fstream change(file, std::ios::in | std::ios::out | std::ios::binary);
      change.seekp(static_cast<std::streamoff>(size) - 100);
      change.put('x');
    }
    QVERIFY(!cache.load("key"));
    cache.store("key", someTensors(2));
    QVERIFY(cache.load("key"));
    std::filesystem::resize_file(file, size / 2);
    QVERIFY(!cache.load("key"));
    QVERIFY(writeSafetensors(file, someTensors(2)).ok());  // somebody else's, without a digest
    QVERIFY(!cache.load("key"));
    std::ofstream(file) << "broken";
    QVERIFY(!cache.load("key"));
  }

  void theFolderStaysBelowItsSize() {
    QTemporaryDir folder;
    std::ofstream(pathOf(folder) / "note.txt") << "not ours";
    const TensorCache cache(pathOf(folder), 25000);  // two of 9.6 kB and their headers
    for (const char* key : {"1", "2"}) cache.store(key, someTensors(1));
    const auto before = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
    for (const char* name : {"1.safetensors", "2.safetensors"}) std::filesystem::last_write_time(pathOf(folder) / name, before);
    QVERIFY(cache.load("1"));  // used: 2 is the older now
    cache.store("3", someTensors(1));
    QVERIFY(cache.load("1") && cache.load("3") && !cache.load("2"));
    QVERIFY(std::filesystem::exists(pathOf(folder) / "note.txt"));
    const TensorCache tiny(pathOf(folder), 100);  // larger than all there may be: not kept, and nothing goes for it
    tiny.store("4", someTensors(1));
    QVERIFY(!tiny.load("4") && cache.load("1"));
  }

  void aFolderThatCannotBeWrittenCostsNothing() {
    QTemporaryDir folder;
    std::ofstream(pathOf(folder) / "file") << "in the way";
    const TensorCache cache(pathOf(folder) / "file", 1 << 20);
    cache.store("key", someTensors(1));
    QVERIFY(!cache.load("key"));
  }
};

QTEST_GUILESS_MAIN(TensorCacheTest)
#include "tensor_cache.moc"
