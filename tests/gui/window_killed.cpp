// The window is killed (SIGKILL) while a run trains that was started in it. The run goes on to its end; a new window shows
// it live, then complete; the note, the columns, the filter, the draft and the queue are as they were left; the next
// start knows that the last one did not end well. The window that dies is this program again, as a process of its own.
#include <QLineEdit>
#include <QListWidget>
#include <QPlainTextEdit>
#include <QProcess>
#include <QPushButton>
#include <QTableView>
#include <QToolButton>
#include <QtTest>

#include <csignal>
#include <cstdio>

#include "app/workbench/crash_marker.h"
#include "core/runlog/event_log.h"
#include "core/runlog/heartbeat.h"
#include "core/runlog/run_folder.h"
#include "core/store/store.h"
#include "tests/gui/window_steps.h"
#include "tests/support/ui_fixture.h"
#include "ui/live/live_view.h"
#include "ui/newrun/consequences_panel.h"
#include "ui/newrun/newrun_view.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/step_rail.h"
#include "ui/runs/filter_box.h"
#include "ui/runs/run_table.h"
#include "ui/runs/runs_view.h"
#include "ui/shell/main_window.h"

using namespace rankscope;
using namespace rankscope::ui;
namespace fs = std::filesystem;

namespace {

// The services and the window of one session on a home that stays.
struct Session {
  Session(const fs::path& home, const QString& program)
      : places([&] {
          qputenv("RANKSCOPE_RESOURCES", RANKSCOPE_SOURCE_DIR "/resources");
          auto found = Places::find(home);
          if (!found.ok() || !found->ensure().ok()) qFatal("no home");
          return *found;
        }()),
        marker(home), store(places.store, places.runs), trainer(program, home), settings(home / "workbench.json"),
        window({&places, &store, &trainer, &settings, &selection, nullptr}) {
    window.resize(1440, 900);
    window.show();
  }
  template <typename T>
  T* view(const char* id) {
    return static_cast<T*>(window.view(QLatin1String(id)));
  }
  void navigate(const QString& title) { rankscope::test::navigate(window, title); }

  Places places;
  CrashMarker marker;
  StoreService store;
  TrainerClient trainer;
  Settings settings;
  RunSelection selection;
  MainWindow window;
};

bool waitFor(const std::function<bool()>& what, int milliseconds, const char* name) {
  if (QTest::qWaitFor(what, milliseconds)) return true;
  std::fprintf(stdout, "gave up: %s\n", name);
  std::fflush(stdout);
  return false;
}

template <typename Work>
auto readNow(StoreService& service, Work work) {
  std::optional<decltype(work(std::declval<Store&>()))> answer;
  service.read(qApp, "now", work, [&answer](auto result) { answer = std::move(result); });
  if (!QTest::qWaitFor([&] { return answer.has_value(); }, 10000)) qFatal("the store does not answer");
  return std::move(*answer);
}

// The session that will be killed: prints "ready <run>" when everything has been done, and goes on.
int doomedSession(const fs::path& home, const QString& program) {
  installPlurals(*qApp);
  Theme::instance().install(*qApp);
  Session session(home, program);
  session.navigate("New run");
  auto* newRun = session.view<NewRunView>("newrun");
  if (!waitFor([&] { return !newRun->draft()->presetName().isEmpty(); }, 20000, "preset")) return 1;
  newRun->draft()->set("train.epochs", 3);  // long enough to outlive the window on a fast machine
  auto* start = newRun->consequences()->startButton();
  if (!waitFor([&] { return start->isEnabled(); }, 20000, "start")) return 1;
  QTest::mouseClick(start, Qt::LeftButton);
  auto* live = session.view<LiveView>("live");
  if (!waitFor([&] { return live->history().step() >= 5; }, 60000, "first steps")) return 1;
  const QString run = live->runId();

  // What the user does meanwhile: a draft, a note, columns, a filter, a job that waits.
  session.navigate("New run");
  newRun->rail()->choose("run");
  QLineEdit* seed = nullptr;
  for (auto* edit : newRun->findChildren<QLineEdit*>())
    if (edit->isVisible() && edit->objectName().endsWith("seed")) seed = edit;
  if (seed) {
    seed->setFocus();
    seed->selectAll();
    QTest::keyClicks(seed, "77");
    QTest::keyClick(seed, Qt::Key_Tab);
  } else {
    newRun->draft()->set("seed", 77);
  }
  session.navigate("Runs");
  auto* runs = session.view<RunsView>("runs");
  if (!waitFor([&] { return runs->model()->total() == 1; }, 10000, "row")) return 1;
  runs->table()->view()->selectRow(0);
  QTest::keyClick(runs->table()->view(), Qt::Key_N);
  auto* note = runs->findChild<QPlainTextEdit*>();
  if (!waitFor([&] { return note->isVisible(); }, 10000, "note")) return 1;
  QTest::keyClicks(note, "typed while it trained");
  runs->table()->setColumnShown("memory", false);
  QTest::keyClicks(runs->filterBox()->input(), "reviews");
  bool queued = false;
  session.store.write(qApp, {}, [](Store& store) {
    JobSpec spec;
    spec.name = "for the night";
    spec.config = RunConfig().toJson();
    spec.held = true;
    return store.addJob(spec);
  }, [&queued](Result<Job> job) { queued = job.ok(); });
  const auto kept = [&] {
    return queued && readNow(session.store, [&](Store& store) { return store.run(run.toStdString()); })->note == "typed while it trained";
  };
  if (!waitFor(kept, 10000, "note kept")) return 1;
  QTest::qWait(4500);  // the layout is noted every three seconds
  std::fprintf(stdout, "ready %s\n", qPrintable(run));
  std::fflush(stdout);
  return QApplication::exec();
}

}  // namespace

class WindowKilledTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    installPlurals(*qApp);
    Theme::instance().install(*qApp);
  }

  void nothingIsLost_data() {
    QTest::addColumn<QString>("program");
    QTest::addRow("fake trainer") << rankscope::test::fakeTrainer();
    const auto real = QStringLiteral(RANKSCOPE_BIN_DIR "/rankscope-train");
    if (QFile::exists(real)) QTest::addRow("real trainer") << real;
  }

  void nothingIsLost() {
    QFETCH(QString, program);
    QTemporaryDir home;
    const fs::path root(home.path().toStdString());
    QProcess window;
    window.setProcessEnvironment([] {
      auto environment = QProcessEnvironment::systemEnvironment();
      environment.insert("FAKE_MS", "50");
      environment.insert("FAKE_STEPS", "320");
      return environment;
    }());
    window.setProcessChannelMode(QProcess::ForwardedErrorChannel);
    window.start(QCoreApplication::applicationFilePath(), {"--doomed", home.path(), program});
    QString run;
    QByteArray said;
    QTRY_VERIFY2_WITH_TIMEOUT((said += window.readAllStandardOutput(), said.contains('\n')), "the window says nothing", 90000);
    QVERIFY2(said.startsWith("ready "), said.constData());
    run = QString::fromLatin1(said.mid(6)).trimmed();
    const fs::path folder = root / "runs" / run.toStdString();
    const bool stillTrains = runLiveness(folder) == Liveness::Live;

    ::kill(static_cast<pid_t>(window.processId()), SIGKILL);
    QVERIFY(window.waitForFinished(10000));
    QCOMPARE(window.exitStatus(), QProcess::CrashExit);

    // The trainer has not noticed.
    const int64_t stepThen = readHeartbeat(folder)->step;
    if (stillTrains) QTRY_VERIFY_WITH_TIMEOUT(readHeartbeat(folder)->step > stepThen, 20000);

    Session again(root, program);
    QVERIFY(again.marker.lastSessionCrashed());
    QVERIFY(QTest::qWaitForWindowExposed(&again.window));
    QCOMPARE(again.window.currentViewId(), QString("runs"));
    auto* runs = again.view<RunsView>("runs");
    QTRY_COMPARE(runs->model()->total(), 1);
    QVERIFY(!runs->table()->shownColumns().contains("memory"));
    QCOMPARE(runs->filterBox()->filter(), QString("reviews"));
    const auto row = readNow(again.store, [&](Store& store) { return store.run(run.toStdString()); });
    QCOMPARE(row->note, std::string("typed while it trained"));
    const auto jobs = readNow(again.store, [](Store& store) { return store.listJobs(true); });
    QCOMPARE(jobs->size(), size_t{1});
    QVERIFY((*jobs)[0].spec.name == "for the night" && (*jobs)[0].state == JobState::Held);
    again.navigate("New run");
    QTRY_COMPARE(again.view<NewRunView>("newrun")->draft()->config().integer("seed"), 77);

    again.navigate("Live");
    auto* live = again.view<LiveView>("live");
    QTRY_COMPARE(live->runId(), run);
    if (stillTrains) QTRY_VERIFY(live->history().state() == "running" || live->history().state() == "evaluating" || live->history().step() > stepThen);
    QTRY_COMPARE_WITH_TIMEOUT(live->history().state(), std::string("finished"), 150000);
    // Every step is there once, from the first to the last.
    QTRY_COMPARE(QString::fromStdString(readNow(again.store, [&](Store& store) { return store.run(run.toStdString()); })->status), QString("finished"));
    const auto loss = readNow(again.store, [&](Store& store) { return store.readSeries(run.toStdString(), "train/loss"); });
    QVERIFY(loss.ok());
    const auto steps = loss->axis(Axis::Step);
    QVERIFY(!steps.empty());
    for (size_t i = 0; i < steps.size(); ++i) QCOMPARE(steps[i], static_cast<double>(i + 1));
    QCOMPARE(static_cast<int64_t>(steps.size()), readNow(again.store, [&](Store& store) { return store.run(run.toStdString()); })->totalSteps);
    QVERIFY2(stillTrains, "the run had ended before the window was killed: make it longer");
  }
};

int main(int argc, char** argv) {
  QApplication app(argc, argv);
  if (argc == 4 && qstrcmp(argv[1], "--doomed") == 0)
    return doomedSession(fs::path(argv[2]), QString::fromLocal8Bit(argv[3]));
  WindowKilledTest test;
  return QTest::qExec(&test, argc, argv);
}
#include "window_killed.moc"
