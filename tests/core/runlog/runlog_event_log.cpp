// The event log in good times: layout, cursors, many threads, growing files, speed.
#include <QtTest/QtTest>

#include <zlib.h>
#include <QTemporaryDir>
#include <chrono>
#include <thread>

#include "core/config/json_text.h"
#include "tests/core/runlog/log_support.h"

using namespace rankscope;
using namespace rankscope::test;
namespace fs = std::filesystem;

class RunlogEventLog : public QObject {
  Q_OBJECT

  QTemporaryDir m_folder;
  int m_count = 0;
  fs::path freshFile() {
    return fs::path(m_folder.path().toStdString()) / ("events-" + std::to_string(++m_count) + ".log");
  }

 private Q_SLOTS:
  // The layout byte by byte, made here independently: foreign readers rely on it.
  void layout() {
    const fs::path file = freshFile();
    {
      auto writer = *EventWriter::open(file);
      QCOMPARE(writer->appendPayload("{\"a\":1}"), uint64_t{1});
      QCOMPARE(writer->appendPayload("{}"), uint64_t{2});
      QVERIFY(writer->close().ok());
    }
    std::string expected = "RSEVLOG1";
    uint64_t sequence = 0;
    for (const std::string& text : {std::string("{\"a\":1}"), std::string("{}")}) {
      ++sequence;
      const std::string number{static_cast<char>(sequence), 0, 0, 0, 0, 0, 0, 0};
      const std::string summed = number + text;
      const uLong crc = ::crc32(0, reinterpret_cast<const Bytef*>(summed.data()), static_cast<uInt>(summed.size()));
      expected += std::string{static_cast<char>(text.size()), 0, 0, 0};
      for (int i = 0; i < 4; ++i) expected += static_cast<char>(crc >> (8 * i));
      expected += summed;
    }
    QVERIFY(fileBytes(file) == expected);
  }

  void typedEventsComeBack() {
    const fs::path file = freshFile();
    auto writer = *EventWriter::open(file);
    const double before = event::unixTime();
    writer->append(event::State{event::RunState::Running, "", 0});
    writer->append(event::Metrics{{1, 0.1, 10, 0.5}, {{"train/loss", 2.5}}});
    QVERIFY(writer->flush().ok());
    const auto events = readAllEvents(file);
    QVERIFY(events.ok());
    QCOMPARE(events->size(), size_t{2});
    QVERIFY((*events)[0].time >= before && (*events)[0].time <= event::unixTime());
    QCOMPARE(std::get<event::Metrics>((*events)[1].body).values[0].second, 2.5);
  }

  void flushesByItselfWithinItsInterval() {
    const fs::path file = freshFile();
    auto writer = *EventWriter::open(file);
    const auto start = std::chrono::steady_clock::now();
    writer->appendPayload("{\"n\":1}");
    QTRY_VERIFY_WITH_TIMEOUT(readLog(file)->payloads.size() == 1, 2000);
    const auto waited = std::chrono::steady_clock::now() - start;
    QVERIFY2(waited < std::chrono::milliseconds(1500), "an event was not in the file within 200 ms and leeway for a busy machine");
    QTRY_COMPARE_WITH_TIMEOUT(writer->status().written, uint64_t{1}, 1000);
  }

  void cursorsContinue() {
    const fs::path file = freshFile();
    writeLog(file, 10);
    auto reader = *EventReader::open(file);
    std::vector<uint64_t> seen;
    const auto three = [&](const EventRecord& record) {
      seen.push_back(record.sequence);
      return seen.size() % 3 != 0;
    };
    QVERIFY(*reader.read(three) == LogTail::More);
    const EventCursor at = reader.cursor();
    QCOMPARE(at.sequence, uint64_t{3});
    auto other = *EventReader::open(file, at);  // another process, later
    while (*other.read(three) == LogTail::More) {
    }
    QCOMPARE(seen, (std::vector<uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
    QVERIFY(*other.read(three) == LogTail::Clean);
    QCOMPARE(other.cursor().offset, other.fileBytes());
    // Batches by size: at least one event each time, and all of them in the end.
    EventCursor cursor;
    size_t total = 0, batches = 0;
    for (LogTail tail = LogTail::More; tail == LogTail::More; ++batches) {
      auto small = *EventReader::open(file, cursor);
      tail = *small.read(
          [&](const EventRecord&) {
            ++total;
            return true;
          },
          60);
      cursor = small.cursor();
    }
    QVERIFY(total == 10 && batches > 3);
  }

  void payloadsLargerThanTheReadersBuffer() {
    const fs::path file = freshFile();
    {
      auto writer = *EventWriter::open(file);
      for (const size_t size :
           {size_t{300000}, size_t{5}, size_t{2000000}, limits::kEventBytes - 20, size_t{262144 - 16}})
        QVERIFY(writer->appendPayload(payload(1, size)) != 0);
      QCOMPARE(writer->appendPayload(std::string(limits::kEventBytes + 1, 'x')), uint64_t{0});
      QCOMPARE(writer->appendPayload(""), uint64_t{0});
      QCOMPARE(writer->status().refused, uint64_t{2});
    }
    const auto log = readLog(file);
    QVERIFY(log.ok() && log->tail == LogTail::Clean);
    QVERIFY(log->payloads.size() == 5 || log->payloads.size() == 6);  // the note on refused events may follow
    QCOMPARE(log->payloads[2].size(), payload(1, 2000000).size());
  }

  void reopeningContinuesTheNumbers() {
    const fs::path file = freshFile();
    writeLog(file, 5);
    writeLog(file, 4);
    const auto log = readLog(file);
    QCOMPARE(log->cursor.sequence, uint64_t{9});
    for (uint64_t i = 0; i < 9; ++i) QVERIFY(log->payloads[i].find("{\"n\":" + std::to_string(i + 1) + ",") == 0);
    auto writer = *EventWriter::open(file);
    QCOMPARE(writer->opened().lastSequence, uint64_t{9});
    QCOMPARE(writer->opened().cutBytes, uint64_t{0});
  }

  void oneWriterAtATime() {
    const fs::path file = freshFile();
    auto first = *EventWriter::open(file);
    const auto second = EventWriter::open(file);
    QVERIFY(!second.ok());
    QVERIFY(second.error().what.find("another program") != std::string::npos && !second.error().hint.empty());
    QVERIFY(first->close().ok());
    QVERIFY(EventWriter::open(file).ok());
    QCOMPARE(first->appendPayload("{}"), uint64_t{0});  // closed
  }

  void foreignFilesAreLeftAlone() {
    const fs::path file = freshFile();
    const std::string letter = "Dear diary, this is no event log.";
    setFileBytes(file, letter);
    QVERIFY(!EventWriter::open(file).ok());
    QVERIFY(!EventReader::open(file).ok());
    QVERIFY(fileBytes(file) == letter);
    QVERIFY(!EventReader::open(freshFile()).ok());
    QVERIFY(!EventReader::open(m_folder.path().toStdString()).ok());
    QVERIFY(!EventWriter::open(fs::path(m_folder.path().toStdString()) / "no" / "folder").ok());
  }

  void emptyAndBeginningFiles() {
    for (size_t length = 0; length <= 8; ++length) {
      const fs::path file = freshFile();
      setFileBytes(file, std::string("RSEVLOG1").substr(0, length));
      const auto log = readLog(file);
      QVERIFY(log.ok() && log->payloads.empty());
      QVERIFY(log->tail == (length == 0 || length == 8 ? LogTail::Clean : LogTail::Torn));
      writeLog(file, 2);
      QCOMPARE(readLog(file)->payloads.size(), size_t{2});
    }
  }

  // Several threads append while two readers follow the growing file: every event once, in order, for both.
  void readersFollowAGrowingFile() {
    const fs::path file = freshFile();
    auto writer = *EventWriter::open(file, {1, limits::kEventBacklogBytes});
    constexpr uint64_t kEach = 20000;
    constexpr int kThreads = 3;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        for (uint64_t i = 1; i <= kEach; ++i)
          writer->appendPayload("{\"t\":" + std::to_string(t) + ",\"i\":" + std::to_string(i) + ",\"x\":\"" +
                                std::string(i % 300, 'y') + "\"}");
      });
    std::atomic<int> damage = 0;
    std::array<uint64_t, 2> counts{};
    std::vector<std::thread> readers;
    for (size_t r = 0; r < counts.size(); ++r)
      readers.emplace_back([&, r] {
        auto reader = *EventReader::open(file);
        std::array<uint64_t, kThreads> last{};
        while (counts[r] < kEach * kThreads) {
          const auto tail = reader.read(
              [&](const EventRecord& record) {
                const auto document = nlohmann::json::parse(record.payload);
                const auto thread = document["t"].get<size_t>();
                if (record.sequence != ++counts[r] || document["i"].get<uint64_t>() != ++last[thread]) ++damage;
                return true;
              },
              100000);
          if (!tail || *tail == LogTail::Damaged || *tail == LogTail::Replaced) {
            ++damage;
            return;
          }
        }
      });
    for (auto& thread : threads) thread.join();
    QVERIFY(writer->flush().ok());
    for (auto& reader : readers) reader.join();
    QCOMPARE(damage.load(), 0);
    QCOMPARE(counts[0], kEach * kThreads);
    QCOMPARE(counts[1], kEach * kThreads);
  }

  // A step must not feel its log: what append() costs, and that 100,000 metric events a second get through.
  void speed() {
    const fs::path file = freshFile();
    auto writer = *EventWriter::open(file);
    event::Metrics metrics{{0, 0.5, 1000, 2.5}, {}};
    for (const char* name : {"train/loss", "train/learning_rate", "train/grad_norm", "train/tokens_per_second",
                             "train/step_seconds", "memory/resident"})
      metrics.values.emplace_back(name, 1.2345678901234567);
    constexpr int kEvents = 100000;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kEvents; ++i) {
      metrics.at.step = i;
      writer->append(event::Body(metrics));
    }
    const double appended = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    QVERIFY(writer->sync().ok());
    const double synced = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::string payload = jsonText(event::toJson({1, metrics}));
    const auto rawStart = std::chrono::steady_clock::now();
    for (int i = 0; i < kEvents; ++i) writer->appendPayload(payload);
    const double raw = std::chrono::duration<double>(std::chrono::steady_clock::now() - rawStart).count();
    QVERIFY(writer->flush().ok());
    QCOMPARE(writer->status().refused, uint64_t{0});
    const auto readStart = std::chrono::steady_clock::now();
    const auto log = readLog(file);
    const double read = std::chrono::duration<double>(std::chrono::steady_clock::now() - readStart).count();
    QCOMPARE(log->payloads.size(), size_t{2 * kEvents});
    qInfo(
        "append %.2f us/event with its JSON, %.2f us without; on disk after %.2f s for %d events (%.1f MB); checked "
        "read %.2f us/event",
        appended / kEvents * 1e6, raw / kEvents * 1e6, synced, kEvents, static_cast<double>(fs::file_size(file)) / 2e6,
        read / (2 * kEvents) * 1e6);
    QVERIFY2(raw < 1.0, "fewer than 100,000 events a second");
  }
};

QTEST_GUILESS_MAIN(RunlogEventLog)
#include "runlog_event_log.moc"
