// Wishes from outside, and signs of life.
#include <QtTest/QtTest>

#include <sys/wait.h>
#include <unistd.h>
#include <QTemporaryDir>
#include <atomic>
#include <csignal>
#include <fstream>
#include <set>
#include <thread>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"
#include "core/config/log.h"
#include "core/runlog/control.h"
#include "core/runlog/heartbeat.h"
#include "core/runlog/uuid.h"

using namespace rankscope;
namespace fs = std::filesystem;
using nlohmann::json;

class RunlogControl : public QObject {
  Q_OBJECT

  QTemporaryDir m_folder;
  int m_count = 0;
  fs::path freshRun() {
    const fs::path run = fs::path(m_folder.path().toStdString()) / std::to_string(++m_count);
    fs::create_directories(run);
    return run;
  }

 private Q_SLOTS:
  void initTestCase() { startLog({LogLevel::Info, false, {}}); }  // the expected warnings are many

  void uuids() {
    std::set<std::string> seen;
    for (int i = 0; i < 2000; ++i) {
      const std::string id = newUuid();
      QVERIFY(isUuid(id) && id[14] == '4' && std::string("89ab").find(id[19]) != std::string::npos);
      QVERIFY(seen.insert(id).second);
    }
    for (const char* bad : {"", "x", "123e4567-e89b-42d3-a456-42661417400", "123e4567-e89b-42d3-a456-4266141740000",
                            "123e4567ee89b-42d3-a456-426614174000", "123g4567-e89b-42d3-a456-426614174000"})
      QVERIFY2(!isUuid(bad), bad);
  }

  void wishesArriveOnceAndInOrder() {
    const fs::path run = freshRun();
    ControlReader reader(run);
    QVERIFY(reader.poll().empty());
    std::vector<std::string> sent;
    for (const Command command : {Command::Pause, Command::Continue, Command::Checkpoint})
      sent.push_back(*ControlWriter::send(run, command));
    auto got = reader.poll();
    QCOMPARE(got.size(), size_t{3});
    for (size_t i = 0; i < 3; ++i) QCOMPARE(got[i].id, sent[i]);
    QVERIFY(got[0].command == Command::Pause && got[2].command == Command::Checkpoint && got[1].at > 1.6e9);
    QVERIFY(reader.poll().empty());
    QVERIFY(ControlWriter::send(run, Command::Stop).ok());
    got = reader.poll();
    QVERIFY(got.size() == 1 && got[0].command == Command::Stop);
  }

  // Two changes within one tick of the clock must both be seen.
  void quickWishesAreNotMissed() {
    const fs::path run = freshRun();
    ControlReader reader(run);
    size_t got = 0;
    for (int i = 0; i < 300; ++i) {
      QVERIFY(ControlWriter::send(run, Command::Sample).ok());
      got += reader.poll().size();
    }
    QCOMPARE(got, size_t{300});
  }

  void aResumedRunPassesOverOldWishes() {
    const fs::path run = freshRun();
    QVERIFY(ControlWriter::send(run, Command::Stop).ok());
    ControlReader reader(run);
    reader.skipPresent();
    QVERIFY(reader.poll().empty());
    QVERIFY(ControlWriter::send(run, Command::Pause).ok());
    const auto got = reader.poll();
    QVERIFY(got.size() == 1 && got[0].command == Command::Pause);
  }

  void manySendersLoseNothing() {
    const fs::path run = freshRun();
    ControlReader reader(run);
    std::vector<std::thread> senders;
    std::atomic<int> failed = 0;
    for (int t = 0; t < 4; ++t)
      senders.emplace_back([&] {
        for (int i = 0; i < 12; ++i) failed += !ControlWriter::send(run, Command::Evaluate).ok();
      });
    for (auto& sender : senders) sender.join();
    QCOMPARE(failed.load(), 0);
    QCOMPARE(reader.poll().size(), size_t{48});
  }

  void oldWishesAreForgotten() {
    const fs::path run = freshRun();
    for (size_t i = 0; i < limits::kControlCommands + 10; ++i) QVERIFY(ControlWriter::send(run, Command::Sample).ok());
    ControlReader reader(run);
    QCOMPARE(reader.poll().size(), limits::kControlCommands);
  }

  void foreignControlFilesDoNoHarm() {
    for (const char* text : {"", "{", "[]", "{\"commands\": 5}", "{\"commands\": [5]}", "{\"commands\": [{}]}",
                             "{\"commands\": [{\"id\": \"\", \"command\": \"stop\"}]}",
                             "{\"commands\": [{\"id\": \"a\", \"command\": \"explode\"}]}", "\xff\xfe"}) {
      const fs::path run = freshRun();
      std::ofstream(run / "control.json") << text;
      ControlReader reader(run);
      QVERIFY2(reader.poll().empty(), text);
      QVERIFY2(ControlWriter::send(run, Command::Stop).ok(), text);
      QCOMPARE(reader.poll().size(), size_t{1});
    }
    QVERIFY(!ControlWriter::send(freshRun() / "absent", Command::Stop).ok());
    for (const Command command :
         {Command::Pause, Command::Continue, Command::Checkpoint, Command::Evaluate, Command::Sample, Command::Stop})
      QVERIFY(*commandFromName(commandName(command)) == command);
  }

  void aPollCostsAStat() {
    const fs::path run = freshRun();
    QVERIFY(ControlWriter::send(run, Command::Pause).ok());
    ControlReader reader(run);
    reader.poll();
    QElapsedTimer timer;
    timer.start();
    for (int i = 0; i < 10000; ++i) reader.poll();
    qInfo("poll %.2f us", static_cast<double>(timer.nsecsElapsed()) / 1e7);
    QVERIFY(timer.elapsed() < 1000);
  }

  void aLiveRunIsLive() {
    const fs::path run = freshRun();
    QVERIFY(runLiveness(run) == Liveness::Absent);
    auto heartbeat = Heartbeat::start(run);
    QVERIFY(heartbeat.ok());
    QVERIFY(runLiveness(run) == Liveness::Live);
    auto record = readHeartbeat(run);
    QVERIFY(record.ok());
    QVERIFY(record->pid == ::getpid() && record->startTicks > 0 && !record->bootId.empty() &&
            record->host == hostName());
    (*heartbeat)->set(event::RunState::Paused, 17);  // a change of state shows at once, not after a second
    QTRY_VERIFY_WITH_TIMEOUT(readHeartbeat(run)->state == event::RunState::Paused && readHeartbeat(run)->step == 17,
                             500);
    const double before = readHeartbeat(run)->time;
    (*heartbeat)->set(event::RunState::Paused, 18);
    QTRY_VERIFY_WITH_TIMEOUT(readHeartbeat(run)->time > before && readHeartbeat(run)->step == 18, 2500);
    (*heartbeat)->finish(event::RunState::Finished, 20);
    QVERIFY(runLiveness(run) == Liveness::Finished);
    (*heartbeat)->set(event::RunState::Running, 21);  // has no effect any more
    heartbeat->reset();
    QCOMPARE(readHeartbeat(run)->step, int64_t{20});
    QVERIFY(readHeartbeat(run)->state == event::RunState::Finished);
  }

  void aKilledRunIsDeadEvenAsAZombie() {
    const fs::path run = freshRun();
    int pipes[2];
    QCOMPARE(::pipe(pipes), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto heartbeat = Heartbeat::start(run);
      if (heartbeat && ::write(pipes[1], "x", 1) == 1) ::pause();
      ::_exit(1);
    }
    char ready = 0;
    QVERIFY(::read(pipes[0], &ready, 1) == 1);
    QVERIFY(runLiveness(run) == Liveness::Live);
    ::kill(child, SIGKILL);
    QTRY_VERIFY_WITH_TIMEOUT(runLiveness(run) == Liveness::Dead, 2000);  // not yet waited for
    int status = 0;
    ::waitpid(child, &status, 0);
    QVERIFY(runLiveness(run) == Liveness::Dead);
  }

  void otherProcessesBootsAndHosts() {
    HeartbeatRecord record{::getpid(), 0, bootId(), hostName(), 0, event::RunState::Running, 5};
    QVERIFY(livenessOf(record) == Liveness::Dead);  // the number was given to another process
    const fs::path run = freshRun();
    auto heartbeat = *Heartbeat::start(run);
    record = *readHeartbeat(run);
    QVERIFY(livenessOf(record) == Liveness::Live);
    record.bootId = "another";
    QVERIFY(livenessOf(record) == Liveness::Dead);
    record.host = "elsewhere";
    QVERIFY(livenessOf(record) == Liveness::Unknown);
    record.state = event::RunState::Interrupted;
    QVERIFY(livenessOf(record) == Liveness::Finished);
  }

  void malformedHeartbeats() {
    const fs::path run = freshRun();
    const json sound = {{"pid", 1}, {"start_time", 2},    {"boot_id", "b"}, {"host", "h"},
                        {"t", 1.5}, {"state", "running"}, {"step", 3}};
    for (const auto& [key, value] : sound.items())
      for (const json& wrong : {json(), json(-1), json::array(), json("resting")}) {
        json broken = sound;
        broken[key] = wrong;
        if (wrong.is_string() && value.is_string() && key != "state") continue;
        if (wrong == -1 && key == "t") continue;
        std::ofstream(run / "heartbeat.json") << broken.dump();
        QVERIFY2(!readHeartbeat(run).ok(), broken.dump().c_str());
        QVERIFY(runLiveness(run) == Liveness::Dead);
      }
    std::ofstream(run / "heartbeat.json") << sound.dump();
    QVERIFY(readHeartbeat(run).ok());
    std::ofstream(run / "heartbeat.json") << std::string(100000, ' ');
    QVERIFY(!readHeartbeat(run).ok());
  }
};

QTEST_GUILESS_MAIN(RunlogControl)
#include "runlog_control.moc"
