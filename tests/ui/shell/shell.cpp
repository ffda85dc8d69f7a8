// The shell: window with all views, palette, theme, settings; the store's and the trainer's fronts; tables as text.
#include <QtTest/QtTest>

#include <QFrame>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QTableView>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/config/files.h"
#include "core/store/ingest.h"
#include "core/store/store.h"
#include "tests/support/synthetic_store.h"
#include "tests/support/ui_fixture.h"
#include "ui/runs/runs_model.h"
#include "ui/runs/runs_view.h"
#include "ui/shell/command_palette.h"
#include "ui/shell/format.h"
#include "ui/shell/main_window.h"
#include "ui/shell/plurals.h"
#include "ui/shell/queue_panel.h"
#include "ui/shell/table_text.h"
#include "ui/shell/views.h"

using namespace rankscope;
using namespace rankscope::ui;
using namespace rankscope::test;

class ShellTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    Theme::instance().install(*qApp);
    installPlurals(*qApp);
    QLocale::setDefault(QLocale::c());
  }

  void everyViewOpensByItsKeyAndItsHelpIsThere() {
    UiFixture fx;
    MainWindow window(fx.context);
    window.show();
    QVERIFY(QTest::qWaitForWindowExposed(&window));
    window.activateWindow();
    int number = 0;
    for (const ViewInfo& info : viewTable()) {
      window.showView(viewTable()[number == 0 ? 1 : 0].id);
      QAction* go = nullptr;
      for (QAction* action : window.allActions())
        if (action->shortcut() == QKeySequence(QString("Ctrl+%1").arg(number + 1))) go = action;
      QVERIFY(go);
      go->trigger();
      QCOMPARE(window.currentViewId(), QString(info.id));
      QVERIFY(QFile::exists(QString(":/rankscope/help/%1.md").arg(info.help)));
      QVERIFY(QFile::exists(QString(":/rankscope/icons/%1.svg").arg(info.icon)));
      ++number;
    }
    QVERIFY(fx.store->waitForIdle());
  }

  void noTwoActionsOfAViewShareAKey() {
    UiFixture fx;
    MainWindow window(fx.context);
    for (const ViewInfo& info : viewTable()) {
      window.showView(info.id);
      QHash<QString, QString> keys;
      for (const QAction* action : window.allActions())
        for (const QKeySequence& key : action->shortcuts()) {
          QVERIFY2(!keys.contains(key.toString()), qPrintable(QString("%1: %2 and %3").arg(key.toString(), keys.value(key.toString()), action->text())));
          keys.insert(key.toString(), action->text());
        }
    }
  }

  void paletteFindsActionsAndRuns() {
    QVERIFY(CommandPalette::score("comp", "Go to Compare") > 0);
    QVERIFY(CommandPalette::score("gtc", "Go to Compare") > 0);
    QCOMPARE(CommandPalette::score("xyz", "Go to Compare"), 0);
    QVERIFY(CommandPalette::score("theme dark", "Theme: Dark") > CommandPalette::score("theme dark", "Switch between light and dark theme colours"));
    UiFixture fx;
    SyntheticRun run;
    run.steps = 20;
    run.name = "needle in the stack";
    const QString id = QString::fromStdString(writeRun(fx.places, run));
    MainWindow window(fx.context);
    window.show();
    QVERIFY(QTest::qWaitForWindowExposed(&window));
    QTRY_VERIFY_WITH_TIMEOUT(fx.store->isOpen(), 5000);
    fx.store->ingestNow();
    auto* palette = window.findChild<CommandPalette*>();
    auto* input = palette->findChild<QLineEdit*>();
    palette->popUp(window.allActions());
    QVERIFY(palette->isVisible());
    QTest::keyClicks(input, "go to compare");
    QTest::keyClick(input, Qt::Key_Return);
    QCOMPARE(window.currentViewId(), QString("compare"));
    QVERIFY(!palette->isVisible());
    QTest::qWait(300);
    palette->popUp(window.allActions());
    QTest::keyClicks(input, "needle");
    QVERIFY(fx.store->waitForIdle());
    QTest::keyClick(input, Qt::Key_Return);
    QTRY_COMPARE(fx.selection.current(), id);
    palette->popUp(window.allActions());
    QTest::keyClick(input, Qt::Key_Escape);
    QVERIFY(!palette->isVisible());
  }

  void themesKeepContrast() {
    for (const ThemeMode mode : {ThemeMode::Light, ThemeMode::Dark}) {
      Theme::instance().setMode(mode);
      const ui::Palette& p = ui::colours();
      for (const QColor& ground : {p.window, p.panel, p.field, p.hover, p.selection}) QVERIFY(contrastRatio(p.text, ground) >= 7);
      for (const QColor& ground : {p.window, p.panel, p.field}) {
        QVERIFY(contrastRatio(p.textMuted, ground) >= 4.5);
        for (const QColor& ink : {p.ok, p.warning, p.danger, p.info}) QVERIFY(contrastRatio(ink, ground) >= 4.0);
      }
      QVERIFY(contrastRatio(p.accentText, p.accent) >= 4.5);
      for (const char* method : {"lora", "rora", "reflora", "reflora_s", "full", "another"}) {
        QVERIFY(contrastRatio(methodColour(method), p.field) >= 2.95);
        QVERIFY(runColour(method, 4) != runColour(method, 64));
      }
    }
    Theme::instance().setMode(ThemeMode::System);
  }

  // A store that is no database: the window says what, where and what to do, and its button makes the history again.
  void aDamagedStoreIsSaidAndRebuilt() {
    QTemporaryDir home;
    const std::filesystem::path root(home.path().toStdString());
    QVERIFY(std::filesystem::create_directories(root / "runs"));
    QVERIFY(writeFileAtomically(root / "store.sqlite", std::string(30000, 'x')).ok());
    StoreService store(root / "store.sqlite", root / "runs");
    TrainerClient trainer(fakeTrainer(), root);
    Settings settings(root / "workbench.json");
    RunSelection selection;
    Places places = *Places::find(root);
    MainWindow window({&places, &store, &trainer, &settings, &selection, nullptr});
    window.show();
    auto* banner = window.findChild<QFrame*>("banner");
    QTRY_VERIFY(banner->isVisible());
    QString said;
    for (auto* label : banner->findChildren<QLabel*>()) said += label->text();
    QVERIFY2(said.contains("damaged") && said.contains("store.sqlite") && said.contains("rebuild"), qPrintable(said));
    QTRY_VERIFY(accessible(&window, QAccessible::StaticText, "The history cannot be read"));
    auto* rebuild = window.findChild<QPushButton*>("rebuildStore");
    QVERIFY(rebuild->isVisible());
    QTest::mouseClick(rebuild, Qt::LeftButton);
    QVERIFY(!rebuild->isVisible());
    QTRY_VERIFY_WITH_TIMEOUT(!banner->isVisible(), 15000);
    QTRY_VERIFY(accessible(&window, QAccessible::StaticText, "No runs yet"));
  }

  // Another program holds the lock for longer than anybody waits: said, still readable, and over when the lock is.
  void aLockedStoreIsSaidAndCanBeRead() {
    QTemporaryDir home;
    const std::filesystem::path root(home.path().toStdString());
    Places places = *Places::find(root);
    QVERIFY(places.ensure().ok());
    SyntheticRun run;
    run.steps = 20;
    writeRun(places, run);
    {
      auto made = Store::open(places.store, Store::Mode::ReadWrite);
      QVERIFY(made.ok());
      ingestRuns(**made, places.runs);
    }
    const int lock = ::open((root / "store.lock").c_str(), O_RDWR | O_CREAT, 0600);
    QVERIFY(lock >= 0 && ::flock(lock, LOCK_EX) == 0);
    // Something has to be written, or nobody would notice: a second run.
    writeRun(places, run);
    StoreService store(places.store, places.runs);
    TrainerClient trainer(fakeTrainer(), root);
    Settings settings(root / "workbench.json");
    RunSelection selection;
    MainWindow window({&places, &store, &trainer, &settings, &selection, nullptr});
    window.show();
    auto* banner = window.findChild<QFrame*>("banner");
    QTRY_VERIFY_WITH_TIMEOUT(banner->isVisible(), 20000);
    QString said;
    for (auto* label : banner->findChildren<QLabel*>()) said += label->text();
    QVERIFY2(said.contains("store.lock") && said.contains("Wait"), qPrintable(said));
    auto* runs = static_cast<RunsView*>(window.view("runs"));
    QTRY_COMPARE_WITH_TIMEOUT(runs->model()->total(), 1, 10000);
    ::close(lock);
    QTRY_VERIFY_WITH_TIMEOUT(!banner->isVisible(), 20000);
    QTRY_COMPARE_WITH_TIMEOUT(runs->model()->total(), 2, 10000);
  }

  void settingsSurviveAndDamageIsSetAside() {
    QTemporaryDir folder;
    const std::filesystem::path file = folder.filePath("workbench.json").toStdString();
    {
      Settings settings(file);
      settings.setValue("view.runs", QJsonObject{{"filter", "rank > 4"}});
      settings.setValue("theme", 2);
    }
    {
      Settings settings(file);
      QCOMPARE(settings.integer("theme"), 2);
      QCOMPARE(settings.value("view.runs").toObject().value("filter").toString(), QString("rank > 4"));
    }
    QFile out(folder.filePath("workbench.json"));
    QVERIFY(out.open(QIODevice::WriteOnly));
    out.write("{ not json");
    out.close();
    Settings settings(file);
    QCOMPARE(settings.integer("theme", 7), 7);
    QVERIFY(QFile::exists(folder.filePath("workbench.json.bad")));
  }

  void newestQuestionWinsAndDeadReceiversAreSpared() {
    UiFixture fx;
    QTRY_VERIFY_WITH_TIMEOUT(fx.store->isOpen(), 5000);
    QStringList answers;
    for (int i = 0; i < 50; ++i)
      fx.store->read(this, "slot", [i](Store&) { return QString::number(i); }, [&](Result<QString> value) { answers << *value; });
    QVERIFY(fx.store->waitForIdle());
    QCOMPARE(answers.last(), QString("49"));
    QVERIFY(answers.size() < 50);
    auto receiver = std::make_unique<QObject>();
    fx.store->read(receiver.get(), {}, [](Store&) { return QString("dead"); }, [&](Result<QString>) { answers << "dead"; });
    receiver.reset();
    QVERIFY(fx.store->waitForIdle());
    QVERIFY(!answers.contains("dead"));
    bool failed = false;
    fx.store->read(this, {}, [](Store& s) { return s.run("00000000-0000-0000-0000-000000000000"); }, [&](Result<RunRow> row) { failed = !row.ok(); });
    QVERIFY(fx.store->waitForIdle());
    QVERIFY(failed);
  }

  void helperAnswersAndSlotsSupersede() {
    UiFixture fx;
    int pings = 0, kept = 0;
    fx.trainer->request(this, "ping", nlohmann::json::object(), [&](Result<nlohmann::json> r) { pings += r.ok(); });
    for (int i = 0; i < 5; ++i)
      fx.trainer->request(this, "ping", nlohmann::json::object(), [&](Result<nlohmann::json>) { ++kept; }, "same");
    QTRY_COMPARE_WITH_TIMEOUT(pings, 1, 5000);
    QTRY_COMPARE(kept, 1);
    QVERIFY(!fx.trainer->busy());
  }

  void anAbsentHelperIsAnErrorWithAHint() {
    UiFixture fx("/nowhere/rankscope-train");
    std::optional<Error> error;
    fx.trainer->request(this, "ping", nlohmann::json::object(), [&](Result<nlohmann::json> r) { if (!r.ok()) error = r.error(); });
    QTRY_VERIFY_WITH_TIMEOUT(error.has_value(), 5000);
    QVERIFY(!error->hint.empty());
    const auto started = fx.trainer->startQueueRunner();
    QVERIFY(!started.ok());
    QVERIFY(!started.error().hint.empty());
  }

  void queueIsReorderedHeldAndCancelled() {
    UiFixture fx;
    QTRY_VERIFY_WITH_TIMEOUT(fx.store->isOpen(), 5000);
    QueuePanel panel(fx.context, nullptr);
    panel.show();
    for (const char* name : {"first", "second", "third"})
      fx.store->write(this, {}, [name](Store& s) { JobSpec spec; spec.name = name; spec.config = nlohmann::json::object(); return s.addJob(spec); }, [](Result<Job>) {});
    QTRY_COMPARE(panel.model()->rowCount(), 3);
    QAbstractItemModelTester tester(panel.model(), QAbstractItemModelTester::FailureReportingMode::QtTest);
    auto* table = panel.findChild<QTableView*>();
    table->selectRow(2);
    const auto press = [&](const char* text) {
      for (QAction* action : table->actions())
        if (action->text() == text && action->isEnabled()) return action->trigger(), true;
      return false;
    };
    QVERIFY(press("Move up"));
    QTRY_COMPARE(QString::fromStdString(panel.model()->jobAt(1)->spec.name), QString("third"));
    QTRY_VERIFY(press("Hold"));
    QTRY_COMPARE(panel.summary().held, 1);
    QTRY_VERIFY(press("Cancel"));
    QTRY_COMPARE(panel.summary().held, 0);
    const QStringList unnamed = unnamedControls(&panel);
    QVERIFY2(unnamed.isEmpty(), qPrintable(unnamed.join(", ")));
  }

  void textsAreQuotedForTheirReaders() {
    TextTable table;
    table.columns = {{"a,b", false}, {"x_1 %", true}};
    table.rows = {{TextCell("say \"hi\""), TextCell("1 ± 2", true)}};
    QCOMPARE(table.toCsv(), QString("\"a,b\",x_1 %\n\"say \"\"hi\"\"\",1 ± 2\n"));
    QVERIFY(table.toLatex().contains("x\\_1 \\%"));
    QVERIFY(table.toLatex().contains("\\textbf{1 $\\pm$ 2}"));
    QVERIFY(table.toMarkdown().contains("| **1 ± 2** |"));
  }

  void numbersAreWrittenForPeople() {
    QCOMPARE(formatNumber(0), QString("0"));
    QCOMPARE(formatNumber(0.00012345), QString("1.234e-4"));
    QCOMPARE(formatNumber(0.0123456, 3), QString("0.0123"));
    QCOMPARE(formatNumber(0.001, 3), QString("0.001"));
    QCOMPARE(formatNumber(0.05), QString("0.05"));
    QCOMPARE(formatNumber(12.3456), QString("12.35"));
    QCOMPARE(formatNumber(std::nan("")), QString::fromUtf8(kDash));
    QCOMPARE(formatCompact(12300), QString("12.3k"));
    QCOMPARE(formatCompact(999), QString("999"));
    QCOMPARE(formatDuration(252), QString("4 min 12 s"));
    QCOMPARE(formatDuration(11100), QString("3 h 05 min"));
    QCOMPARE(formatBytes(1.5e9), QString::fromUtf8("1.50\u00a0GB"));
    QCOMPARE(formatPath(QDir::homePath() + "/models/x"), QString("~/models/x"));
    QCOMPARE(formatPath(QDir::homePath() + "-other/x"), QDir::homePath() + "-other/x");
    QCOMPARE(QCoreApplication::translate("Any", "%n run(s)", nullptr, 1), QString("1 run"));
    QCOMPARE(QCoreApplication::translate("Any", "%n run(s)", nullptr, 3), QString("3 runs"));
  }
};

QTEST_MAIN(ShellTest)
#include "shell.moc"
