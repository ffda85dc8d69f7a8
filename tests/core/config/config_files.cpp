// Small files written whole or not at all, bounded reading, clean text, and the program's log.
#include <QtTest/QtTest>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <QTemporaryDir>
#include <csignal>
#include <fstream>
#include <thread>

#include "core/config/atomic_file.h"
#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/log.h"
#include "core/config/text_shown.h"

using namespace rankscope;
namespace fs = std::filesystem;

class ConfigFiles : public QObject {
  Q_OBJECT

  QTemporaryDir m_folder;
  fs::path path(const char* name) const { return fs::path(m_folder.path().toStdString()) / name; }
  size_t entries(const fs::path& folder) const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }

 private Q_SLOTS:
  void writesAndReads() {
    const fs::path file = path("deep/er/file.json");
    for (const std::string& bytes :
         {std::string("one"), std::string(), std::string("\0\xff x", 4), std::string(300000, 'y')}) {
      QVERIFY(writeFileAtomically(file, bytes).ok());
      const auto back = readFileBounded(file, 1 << 20);
      QVERIFY(back.ok());
      QVERIFY(*back == bytes);
    }
    QCOMPARE(entries(file.parent_path()), size_t{1});  // nothing temporary is left
  }

  void readingIsBounded() {
    QVERIFY(writeFileAtomically(path("ten"), "0123456789").ok());
    QVERIFY(readFileBounded(path("ten"), 10).ok());
    const auto over = readFileBounded(path("ten"), 9);
    QVERIFY(!over.ok());
    QCOMPARE(over.error().found, std::string("10 bytes"));
    QCOMPARE(readFileBounded(path("absent"), 10).error().code, ErrorCode::BadInput);
    QVERIFY(!readFileBounded(m_folder.path().toStdString(), 10).ok());
    QCOMPARE(::mkfifo(path("fifo").c_str(), 0600), 0);
    QVERIFY(!readFileBounded(path("fifo"), 10).ok());  // and does not wait for a writer
    // Files of /proc say that they are empty and are not.
    QVERIFY(readFileBounded("/proc/self/stat", 4096)->size() > 20);
    QVERIFY(!readFileBounded("/proc/self/maps", 16).ok());
  }

  // A file-size limit stands for a full disk: the old content stays, and no half-written file is left beside it.
  void aFullDiskKeepsTheOldFile() {
    const fs::path file = path("full/kept.json");
    QVERIFY(writeFileAtomically(file, "old").ok());
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{1000, 1000};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      const auto done = writeFileAtomically(file, std::string(5000, 'n'));
      ::_exit(!done.ok() && done.error().code == ErrorCode::Io && !done.error().hint.empty() ? 0 : 1);
    }
    int status = -1;
    QCOMPARE(::waitpid(child, &status, 0), child);
    QVERIFY(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    QCOMPARE(*readFileBounded(file, 100), std::string("old"));
    QCOMPARE(entries(file.parent_path()), size_t{1});
  }

  void aFolderThatCannotBeMadeIsNamed() {
    QVERIFY(writeFileAtomically(path("plain"), "x").ok());
    const auto done = writeFileAtomically(path("plain") / "below", "x");
    QVERIFY(!done.ok());
    QVERIFY(done.error().where.find("plain") != std::string::npos && !done.error().hint.empty());
  }

  // Readers see one whole version or another, never a mixture.
  void readersSeeWholeFiles() {
    const fs::path file = path("shared");
    QVERIFY(writeFileAtomically(file, std::string(5000, 'a'), Durability::Renamed).ok());
    std::atomic<bool> stop = false;
    std::thread writer([&] {
      for (int i = 0; !stop; ++i)
        static_cast<void>(writeFileAtomically(
            file, std::string(static_cast<size_t>(1000 + i % 7000), static_cast<char>('a' + i % 26)),
            Durability::Renamed));
    });
    int mixed = 0;
    for (int i = 0; i < 3000; ++i) {
      const auto bytes = readFileBounded(file, 1 << 20);
      if (!bytes || bytes->empty() || bytes->find_first_not_of(bytes->front()) != std::string::npos) ++mixed;
    }
    stop = true;
    writer.join();
    QCOMPARE(mixed, 0);
  }

  void cleansText_data() {
    QTest::addColumn<QByteArray>("raw");
    QTest::addColumn<QByteArray>("clean");
    QTest::newRow("ascii") << QByteArray("abc") << QByteArray("abc");
    QTest::newRow("umlaut") << QByteArray("\xC3\xBC") << QByteArray("\xC3\xBC");
    QTest::newRow("lone byte") << QByteArray("a\xFFz") << QByteArray("a\xEF\xBF\xBDz");
    QTest::newRow("cut sequence") << QByteArray("a\xE2\x82") << QByteArray("a\xEF\xBF\xBD\xEF\xBF\xBD");
    QTest::newRow("overlong") << QByteArray("\xC0\xAF") << QByteArray("\xEF\xBF\xBD\xEF\xBF\xBD");
    QTest::newRow("surrogate") << QByteArray("\xED\xA0\x80") << QByteArray("\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    QTest::newRow("emoji") << QByteArray("\xF0\x9F\x98\x80") << QByteArray("\xF0\x9F\x98\x80");
    QTest::newRow("past U+10FFFF") << QByteArray("\xF4\x90\x80\x80")
                                   << QByteArray("\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  }
  void cleansText() {
    QFETCH(QByteArray, raw);
    QFETCH(QByteArray, clean);
    QCOMPARE(QByteArray::fromStdString(cleanUtf8(raw.toStdString(), 1000)), clean);
  }
  void cutsAtACharacter() {
    QCOMPARE(cleanUtf8("aüb", 10), std::string("aüb"));
    QCOMPARE(cleanUtf8("aüb", 2), std::string("a…"));
    QCOMPARE(cleanUtf8("aüb", 3), std::string("aü…"));
    QCOMPARE(cleanUtf8("", 0), std::string());
  }

  void logKeepsPassesOnAndRotates() {
    startLog({LogLevel::Info, false, path("log/rankscope.log")});
    std::vector<LogLine> heard;
    const int id = addLogListener([&](const LogLine& line) {
      heard.push_back(line);
      logInfo("inner", "a listener's own line");  // must not come round again
    });
    logDebug("test", "quiet");
    logWarning("test", "loud {}", 7);
    removeLogListener(id);
    logError("test", "unheard");
    QCOMPARE(heard.size(), size_t{2});
    QCOMPARE(heard[1].text, std::string("loud 7"));
    QVERIFY(heard[1].level == LogLevel::Warning && heard[1].category == "test" && heard[1].time > 1.6e9);
    const auto ring = recentLog();
    QVERIFY(ring.size() >= 5 && ring.back().text == "unheard");
    const auto file = readFileBounded(path("log/rankscope.log"), 1 << 20);
    QVERIFY(file.ok());
    QVERIFY(file->find("[test] loud 7") != std::string::npos && file->find("quiet") == std::string::npos);
    for (int i = 0; i < 3000; ++i) logDebug("test", "{}", i);
    QCOMPARE(recentLog().size(), size_t{2000});
    QCOMPARE(recentLog().back().text, std::string("2999"));
    startLog({LogLevel::Info, false, "/proc/nowhere/x.log"});
    QVERIFY(recentLog().back().level == LogLevel::Warning);  // said, and the program goes on
  }

  void jsonLimits() {
    QVERIFY(parseJson("{\"a\":[1,2.5,\"x\",null,true]}", "t").ok());
    const auto parsed = parseJson("{\"a\":{\"b\":[1,{\"c\":2}]},\"d\":-3}", "t");
    QVERIFY(parsed.ok());
    QCOMPARE((*parsed)["a"]["b"][1]["c"].get<int>(), 2);
    QCOMPARE((*parsed)["d"].get<int>(), -3);
    QVERIFY(!parseJson("{\"a\":1,\"a\":2}", "t").ok());
    QVERIFY(parseJson("{\"a\":1}{", "t").ok() == false);
    QVERIFY(!parseJson("", "t").ok());
    QVERIFY(!parseJson("{\"a\":\"\xff\"}", "t").ok());
    QVERIFY(!parseJson("[1e999]", "t").ok());
    QVERIFY(!parseJson("[1,", "t").ok());
    QVERIFY(!parseJson(std::string("[1]\0[2]", 7), "t").ok());
    JsonLimits limits;
    limits.maxDepth = 10;
    QVERIFY(parseJson(std::string(10, '[') + std::string(10, ']'), "t", limits).ok());
    QVERIFY(!parseJson(std::string(11, '[') + std::string(11, ']'), "t", limits).ok());
    // Far deeper than any stack: refused at the limit, before recursion could matter.
    QVERIFY(!parseJson(std::string(1000000, '['), "t", limits).ok());
    limits.maxValues = 5;
    QVERIFY(parseJson("[1,2,3,4]", "t", limits).ok());
    QVERIFY(!parseJson("[1,2,3,4,5]", "t", limits).ok());
    limits.maxBytes = 3;
    const auto large = parseJson("[1,2]", "t", limits);
    QVERIFY(!large.ok());
    QVERIFY(!large.error().hint.empty());
    // The place of a syntax error, in lines and columns.
    const auto broken = parseJson("{\n  \"rank\": 4,\n}", "c.json");
    QVERIFY2(broken.error().where == "c.json, line 3, column 1", broken.error().message().c_str());
    QVERIFY(!parseJsonRecord(std::string("{}\0{}", 5), "t").ok());
    QVERIFY(parseJsonRecord("{\"a\":1,\"a\":2}", "t").ok());
  }

  void resultsCanBeWalkedOver() {
    const auto make = [] { return Result<std::vector<std::string>>({std::string(100, 'a'), std::string(100, 'b')}); };
    size_t length = 0;
    for (const std::string& text : *make()) length += text.size();
    for (const std::string& text : make().value()) length += text.size();
    QCOMPARE(length, size_t{400});
  }

  void foreignTextIsShownSafely() {
    QCOMPARE(shown("a\"b"), std::string("\"a\"b\""));
    QCOMPARE(shown(std::string("\x01\n\xff", 3)), std::string("\"\\x01\\n\\xff\""));
    QCOMPARE(shown("éé", 2), std::string("\"é…\""));
    QVERIFY(isValidUtf8("é你🙂"));
    for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE4\xBD", "\x80"}) QVERIFY(!isValidUtf8(bad));
  }

  void atomicFileKeepsTheOld() {
    QTemporaryDir dir;
    const fs::path path = fs::path(dir.path().toStdString()) / "file";
    QVERIFY(writeFileAtomically(path, "old").ok());
    {
      Result<AtomicFile> file = AtomicFile::create(path);
      QVERIFY(file.ok());
      QVERIFY(file->write("half").ok());
    }
    QCOMPARE(*readFileBounded(path, 99), std::string("old"));
    Result<AtomicFile> file = AtomicFile::create(path);
    QVERIFY(file->write("new content").ok());
    QVERIFY(file->commit().ok());
    QCOMPARE(*readFileBounded(path, 99), std::string("new content"));
    QCOMPARE(std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator()), std::ptrdiff_t{1});
    QVERIFY(!AtomicFile::create("/proc/nowhere/file").ok());
  }
};

QTEST_GUILESS_MAIN(ConfigFiles)
#include "config_files.moc"
