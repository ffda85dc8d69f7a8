// The event log in bad times: torn at every byte, every bit flipped, gaps, a full disk, kill -9.
#include <QtTest/QtTest>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <QTemporaryDir>
#include <csignal>
#include <random>

#include "core/config/json_text.h"
#include "core/config/log.h"
#include "core/runlog/frame.h"
#include "tests/core/runlog/log_support.h"

using namespace rankscope;
using namespace rankscope::test;
namespace fs = std::filesystem;

class RunlogEventFaults : public QObject {
  Q_OBJECT

  QTemporaryDir m_folder;
  int m_count = 0;
  fs::path freshFile() {
    return fs::path(m_folder.path().toStdString()) / ("events-" + std::to_string(++m_count) + ".log");
  }
  // Sequence number -> the file's length once that event is whole.
  static std::vector<size_t> frameEnds(const std::string& bytes) {
    std::vector<size_t> ends = {8};
    while (ends.back() < bytes.size())
      ends.push_back(ends.back() + 16 + frame::getLittle(bytes.data() + ends.back(), 4));
    return ends;
  }

 private Q_SLOTS:
  void initTestCase() { startLog({LogLevel::Info, false, {}}); }  // the expected warnings are many

  // A crash may leave the file cut anywhere. Readers give every whole event and no other; the writer goes on from
  // there.
  void tornAtEveryByte() {
    const fs::path whole = freshFile();
    writeLog(whole, 6);
    const std::string bytes = fileBytes(whole);
    const std::vector<size_t> ends = frameEnds(bytes);
    QCOMPARE(ends.size(), size_t{7});
    const fs::path file = freshFile();
    for (size_t length = 0; length <= bytes.size(); ++length) {
      setFileBytes(file, bytes.substr(0, length));
      const size_t events = static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), length) - ends.begin());
      const size_t expected = events == 0 ? 0 : events - 1;
      const auto log = readLog(file);
      QVERIFY(log.ok());
      QCOMPARE(log->payloads.size(), expected);
      const bool clean = length == 0 || (events > 0 && ends[expected] == length);
      QVERIFY(log->tail == (clean ? LogTail::Clean : LogTail::Torn));
      {
        auto writer = EventWriter::open(file);
        QVERIFY(writer.ok());
        QCOMPARE((*writer)->opened().lastSequence, uint64_t{expected});
        QVERIFY((*writer)->opened().cutSavedAs.empty());  // a torn frame is of no use to anybody
        QCOMPARE((*writer)->appendPayload("{\"after\":1}"), uint64_t{expected + 1});
      }
      const auto after = readLog(file);
      QVERIFY(after->tail == LogTail::Clean);
      QCOMPARE(after->payloads.size(), expected + 1);
      QCOMPARE(after->payloads.back(), std::string("{\"after\":1}"));
    }
  }

  // Every single flipped bit is noticed: nothing from the damaged frame on is believed, all before it is.
  void everyFlippedBit() {
    const fs::path whole = freshFile();
    writeLog(whole, 4);
    const std::string bytes = fileBytes(whole);
    const auto original = readLog(whole)->payloads;
    const std::vector<size_t> ends = frameEnds(bytes);
    const fs::path file = freshFile();
    for (size_t at = 8; at < bytes.size(); ++at)
      for (int bit = 0; bit < 8; ++bit) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
        setFileBytes(file, damaged);
        const auto log = readLog(file);
        QVERIFY(log.ok());
        const size_t frame = static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), at) - ends.begin()) - 1;
        QCOMPARE(log->payloads.size(), frame);
        QVERIFY(std::equal(log->payloads.begin(), log->payloads.end(), original.begin()));
        QVERIFY(log->tail == LogTail::Damaged ||
                log->tail == LogTail::Torn);  // torn: a length that reaches past the end
      }
    std::string magic = bytes;
    magic[3] = 'x';
    setFileBytes(file, magic);
    QVERIFY(!readLog(file).ok());
  }

  void damageInTheMiddleIsKeptAside() {
    const fs::path file = freshFile();
    writeLog(file, 8);
    std::string bytes = fileBytes(file);
    const std::vector<size_t> ends = frameEnds(bytes);
    bytes[ends[3] + 20] ^= 1;
    setFileBytes(file, bytes);
    auto writer = *EventWriter::open(file);
    QCOMPARE(writer->opened().lastSequence, uint64_t{3});
    QCOMPARE(writer->opened().cutBytes, bytes.size() - ends[3]);
    QVERIFY(fileBytes(writer->opened().cutSavedAs) == bytes.substr(ends[3]));
    QVERIFY(fileBytes(file) == bytes.substr(0, ends[3]));
  }

  void gapsAndRepetitionsInTheNumbers() {
    const fs::path whole = freshFile();
    writeLog(whole, 5);
    const std::string bytes = fileBytes(whole);
    const std::vector<size_t> ends = frameEnds(bytes);
    const fs::path file = freshFile();
    setFileBytes(file, bytes.substr(0, ends[2]) + bytes.substr(ends[3]));  // the third is missing
    QVERIFY(readLog(file)->tail == LogTail::Damaged);
    QCOMPARE(readLog(file)->payloads.size(), size_t{2});
    setFileBytes(file, bytes.substr(0, ends[2]) + bytes.substr(ends[1]));  // the second is there twice
    QVERIFY(readLog(file)->tail == LogTail::Damaged);
    QCOMPARE(readLog(file)->payloads.size(), size_t{2});
  }

  void senselessTails() {
    const fs::path whole = freshFile();
    writeLog(whole, 3);
    const std::string bytes = fileBytes(whole);
    std::mt19937 random(7);
    const fs::path file = freshFile();
    std::vector<std::string> tails = {std::string(4096, '\0'), std::string(4096, '\xff'), bytes,
                                      std::string("\x02\0\0\0", 4)};
    for (int i = 0; i < 300; ++i) {
      std::string noise(1 + random() % 200, '\0');
      for (char& c : noise) c = static_cast<char>(random());
      tails.push_back(noise);
    }
    for (const std::string& tail : tails) {
      setFileBytes(file, bytes + tail);
      const auto log = readLog(file);
      QVERIFY(log.ok());
      QCOMPARE(log->payloads.size(), size_t{3});
      QVERIFY(log->tail != LogTail::Clean);
      writeLog(file, 1);
      QCOMPARE(readLog(file)->payloads.size(), size_t{4});
      QVERIFY(readLog(file)->tail == LogTail::Clean);
    }
  }

  // A power cut may take back events that a reader had already seen. The reader finds out.
  void aFileThatWasWrittenAnew() {
    const fs::path file = freshFile();
    writeLog(file, 20);
    const std::string bytes = fileBytes(file);
    const std::vector<size_t> ends = frameEnds(bytes);
    const EventCursor cursor = readLog(file)->cursor;
    const EventCursor middle{ends[10], 10};
    setFileBytes(file, bytes.substr(0, ends[5]));
    QVERIFY(readLog(file, cursor)->tail == LogTail::Replaced);
    {
      auto writer = *EventWriter::open(file);
      for (int i = 0; i < 40; ++i) writer->appendPayload("{\"another\":" + std::to_string(i) + ",\"life\":[1,2,3]}");
    }
    QVERIFY(readLog(file, cursor)->tail == LogTail::Replaced);
    QVERIFY(readLog(file, middle)->tail == LogTail::Replaced);
    QVERIFY((readLog(file, EventCursor{ends[5], 5})->payloads.size() == 40));
    QVERIFY((readLog(file, EventCursor{0, 5})->tail == LogTail::Replaced));
    // Damage right at a cursor that is sound is damage.
    std::string flipped = bytes;
    flipped[ends[10] + 5] ^= 4;
    setFileBytes(file, flipped);
    QVERIFY(readLog(file, middle)->tail == LogTail::Damaged);
  }

  // The disk fills up in the middle of a frame; later there is room again. Nothing accepted is lost, order holds, and
  // the writer never waits. A limit on the file's size, raised later, stands for the disk.
  void fullDiskAndRoomAgain() {
    const fs::path file = freshFile();
    const pid_t child = ::fork();
    if (child == 0) ::_exit(fullDiskScenario(file));
    int status = -1;
    QCOMPARE(::waitpid(child, &status, 0), child);
    QVERIFY2(WIFEXITED(status) && WEXITSTATUS(status) == 0,
             WIFEXITED(status) ? std::to_string(WEXITSTATUS(status)).c_str() : "died of a signal");
    const auto log = readLog(file);
    QVERIFY(log->tail == LogTail::Clean);
    uint64_t numbered = 0;
    bool told = false;
    for (const std::string& text : log->payloads) {
      const auto document = nlohmann::json::parse(text);
      if (document.contains("n"))
        QCOMPARE(document["n"].get<uint64_t>(), ++numbered);
      else
        told |= document["kind"] == "log" &&
                document["text"].get<std::string>().find("could not be recorded") != std::string::npos;
    }
    QVERIFY(numbered > 100);
    QVERIFY(told);
  }

  // Runs in a child process; the exit code says which expectation failed.
  static int fullDiskScenario(const fs::path& file) {
    rlimit limit{};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit tight{10000, limit.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &tight);
    auto opened = EventWriter::open(file, {10, 200000});
    if (!opened) return 1;
    EventWriter& writer = **opened;
    uint64_t n = 0;
    for (int i = 0; i < 100; ++i)
      if (writer.appendPayload(payload(++n, 300)) == 0) return 2;  // 30 kB: three times what fits
    const auto flushed = writer.flush();
    if (flushed.ok() || flushed.error().code != ErrorCode::Io || flushed.error().hint.empty()) return 3;
    auto status = writer.status();
    if (!status.error || status.written == status.accepted || status.errorSince == 0) return 4;
    if (fs::file_size(file) != 10000) return 5;
    // What is in the file up to here is whole events and one torn one.
    const auto partly = readLog(file);
    if (!partly || partly->tail != LogTail::Torn || partly->payloads.size() < 20) return 6;
    // Fill the waiting room: bounded memory, refusals are counted, and append() still returns at once.
    const auto start = std::chrono::steady_clock::now();
    uint64_t refused = 0;
    for (int i = 0; i < 2000; ++i) {
      if (writer.appendPayload(payload(n + 1, 300)) != 0)
        ++n;
      else
        ++refused;
    }
    if (std::chrono::steady_clock::now() - start > std::chrono::seconds(1)) return 7;
    status = writer.status();
    if (refused == 0 || status.refused != refused || !status.backlogHigh || status.waitingBytes > 200000) return 8;
    if (writer.sync().ok()) return 9;

    const rlimit wide{limit.rlim_max, limit.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &wide);
    if (!writer.flush().ok()) return 10;
    status = writer.status();
    if (status.error) return 11;
    for (int i = 0; i < 50; ++i)
      if (writer.appendPayload(payload(++n, 10)) == 0) return 12;
    return writer.close().ok() ? 0 : 13;
  }

  void closingOnAFullDiskEndsAndLeavesASoundLog() {
    const fs::path file = freshFile();
    const pid_t child = ::fork();
    if (child == 0) {
      const rlimit tight{5000, 5000};
      ::setrlimit(RLIMIT_FSIZE, &tight);
      auto writer = EventWriter::open(file);
      if (!writer) ::_exit(1);
      for (uint64_t i = 1; i <= 100; ++i) (*writer)->appendPayload(payload(i, 300));
      ::_exit(!(*writer)->close().ok() && !(*writer)->flush().ok() ? 0 : 2);
    }
    int status = -1;
    QCOMPARE(::waitpid(child, &status, 0), child);
    QVERIFY(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    const size_t before = readLog(file)->payloads.size();
    QVERIFY(before > 10 && before < 100);
    writeLog(file, 3);
    QCOMPARE(readLog(file)->payloads.size(), before + 3);
  }

  // The trainer copies the program's warnings into the run's log: also the one that says that this log cannot be written.
  void theFailureItselfMayBeRecorded() {
    const fs::path file = freshFile();
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);  // a writer that waits for itself is ended
      const rlimit tight{5000, 5000};
      ::setrlimit(RLIMIT_FSIZE, &tight);
      auto writer = EventWriter::open(file);
      if (!writer) ::_exit(1);
      addLogListener([&](const LogLine& line) { (*writer)->append(event::Log{logLevelName(line.level), line.text}); });
      for (uint64_t i = 1; i <= 100; ++i) (*writer)->appendPayload(payload(i, 300));
      if ((*writer)->flush().ok()) ::_exit(2);
      // The listener runs after the waiting ones were told: a moment later the line has its number.
      for (int i = 0; i < 1000 && (*writer)->status().accepted == 100; ++i) ::usleep(1000);
      ::_exit((*writer)->status().accepted == 101 ? 0 : 3);
    }
    int status = -1;
    QCOMPARE(::waitpid(child, &status, 0), child);
    QVERIFY(WIFEXITED(status));
    QCOMPARE(WEXITSTATUS(status), 0);
  }

  void deletingTheLogIsNoticed() {
    const fs::path file = freshFile();
    auto writer = *EventWriter::open(file);
    fs::remove(file);
    writer->appendPayload("{\"n\":1}");
    const auto flushed = writer->flush();
    QVERIFY(!flushed.ok());
    QVERIFY(flushed.error().what.find("deleted") != std::string::npos);
  }

  // kill -9 at random moments: every event the child knew to be flushed is there, the numbers have no gap, and the next
  // life goes on behind them.
  void killedAtRandomMoments() {
    const fs::path file = freshFile();
    std::mt19937 random(11);
    uint64_t before = 0;
    for (int life = 0; life < 40; ++life) {
      int pipes[2];
      QCOMPARE(::pipe(pipes), 0);
      const pid_t child = ::fork();
      if (child == 0) {
        ::close(pipes[0]);
        auto writer = EventWriter::open(file, {2, limits::kEventBacklogBytes});
        if (!writer) ::_exit(1);
        uint64_t n = (*writer)->opened().lastSequence;
        while (true) {
          for (int i = 0; i < 37; ++i) {
            ++n;
            (*writer)->appendPayload(payload(n, n % 997));
          }
          if (!(*writer)->flush().ok()) ::_exit(2);
          if (::write(pipes[1], &n, sizeof n) != sizeof n) ::_exit(3);  // only now does the parent count on them
        }
      }
      ::close(pipes[1]);
      ::usleep(3000 + random() % 20000);
      ::kill(child, SIGKILL);
      uint64_t flushed = before, report = 0;
      while (::read(pipes[0], &report, sizeof report) == sizeof report) flushed = report;
      ::close(pipes[0]);
      int status = 0;
      QCOMPARE(::waitpid(child, &status, 0), child);
      QVERIFY(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

      if (!fs::exists(file)) continue;  // killed before it began
      const auto log = readLog(file);
      QVERIFY(log.ok() && log->tail != LogTail::Damaged);
      QVERIFY2(log->payloads.size() >= flushed, "a flushed event is missing");
      for (size_t i = 0; i < log->payloads.size(); ++i) QVERIFY(log->payloads[i] == payload(i + 1, (i + 1) % 997));
      before = log->payloads.size();
    }
    QVERIFY(before > 100);
  }
};

QTEST_GUILESS_MAIN(RunlogEventFaults)
#include "runlog_event_faults.moc"
