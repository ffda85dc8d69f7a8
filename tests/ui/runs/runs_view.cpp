// The table of runs: pages, filter with its mistakes, selection, edits and their undo, groups, columns, copies.
#include <QtTest/QtTest>

#include <QClipboard>
#include <QPlainTextEdit>
#include <QScrollBar>
#include <QTableView>
#include <QToolButton>

#include "core/store/store.h"
#include "tests/support/keyboard_walk.h"
#include "tests/support/synthetic_store.h"
#include "tests/support/ui_fixture.h"
#include "ui/runs/filter_box.h"
#include "ui/runs/run_table.h"
#include "ui/runs/runs_model.h"
#include "ui/runs/runs_view.h"
#include "ui/shell/plurals.h"

using namespace rankscope;
using namespace rankscope::ui;
using namespace rankscope::test;

class RunsViewTest : public QObject {
  Q_OBJECT

  std::unique_ptr<UiFixture> fx;
  std::unique_ptr<RunsView> view;

  void fill(int runs) {
    for (int i = 0; i < runs; ++i) {
      SyntheticRun run;
      run.method = i % 3 == 0 ? "lora" : i % 3 == 1 ? "reflora" : "full";
      run.rank = 4 << (i % 2);
      run.seed = i;
      run.steps = 60;
      run.data = i % 2 ? "cola" : "mrpc";
      run.name = "run " + std::to_string(i);
      writeRun(fx->places, run);
    }
    fx->store->ingestNow();
  }
  void openView(int expected) {
    view = std::make_unique<RunsView>(fx->context);
    view->resize(1300, 800);
    view->show();
    view->onActivated();
    QTRY_COMPARE_WITH_TIMEOUT(view->model()->total(), expected, 20000);
    QVERIFY(fx->store->waitForIdle());
  }
  RunRow rowNamed(const std::string& name) {
    RunRow found;
    bool done = false;
    fx->store->read(this, "row", [name](Store& s) -> Result<RunRow> {
      auto id = s.resolveRun(name);
      if (!id.ok()) return id.error();
      return s.run(*id);
    }, [&](Result<RunRow> row) {
      if (row.ok()) found = *row;
      done = true;
    });
    if (!QTest::qWaitFor([&] { return done; }, 5000)) qFatal("the store does not answer");
    return found;
  }
  QAction* action(const QString& text) const {
    for (QAction* a : view->viewActions())
      if (a && a->text() == text) return a;
    return nullptr;
  }
  void selectNamed(const char* name) {
    for (int row = 0; row < view->model()->rowCount(); ++row)
      if (const RunRow* r = view->model()->rowAt(row); r && r->name == name) view->table()->view()->selectRow(row);
  }

 private Q_SLOTS:
  void initTestCase() {
    Theme::instance().install(*qApp);
    installPlurals(*qApp);
  }
  void init() { fx = std::make_unique<UiFixture>(); }
  void cleanup() {
    view.reset();
    fx.reset();
  }

  void tabVisitsEverythingInReadingOrder() {
    fill(3);
    openView(3);
    view->activateWindow();
    QVERIFY(QTest::qWaitForWindowActive(view.get()));
    view->table()->view()->selectRow(0);
    view->findChild<FilterBox*>()->input()->setFocus();
    const QList<QWidget*> stops = tabStops();
    QVERIFY2(stops.size() > 4, "the walk by Tab does not come back");
    QCOMPARE(leftOut(view.get(), stops), QStringList());
    QCOMPARE(outOfOrder(view.get(), stops), QStringList());
  }

  void emptyStoreTeachesTheNextStep() {
    openView(0);
    QTRY_VERIFY(accessible(view.get(), QAccessible::Button, "New run"));
    QSignalSpy go(view.get(), &View::showView);
    auto* button = accessible(view.get(), QAccessible::Button, "New run");
    button->actionInterface()->doAction(QAccessibleActionInterface::pressAction());
    QCOMPARE(go.size(), 1);
    QCOMPARE(go[0][0].toString(), QString("newrun"));
  }

  void modelKeepsTheRulesOfModelsWhilePaging() {
    fill(300);
    view.reset();
    RunsModel model(*fx->store);
    std::vector<RunColumn> columns;
    for (const RunColumn& column : fixedRunColumns()) columns.push_back(column);
    model.setColumns(columns);
    QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::QtTest);
    connect(fx->store.get(), &StoreService::runsChanged, &model, &RunsModel::refresh);  // as ingest gets on
    RunQuery query;
    query.sort = {{"seed", false}};
    model.setQuery(query);
    QTRY_COMPARE_WITH_TIMEOUT(model.rowCount(), 300, 30000);
    QTRY_VERIFY(model.rowAt(290));
    QCOMPARE(model.rowAt(290)->seed, 290);
    QCOMPARE(model.data(model.index(290, model.columnOf("name")), Qt::DisplayRole).toString(), QString("run 290"));
    query.filter = "method = full";
    model.setQuery(query);
    QTRY_COMPARE(model.rowCount(), 100);
    query.filter = "seed < 3";
    model.setQuery(query);
    QTRY_COMPARE(model.rowCount(), 3);
    query.filter = "";
    model.setQuery(query);
    QTRY_COMPARE(model.rowCount(), 300);
  }

  void filterIsTypedAndItsMistakesAreSaid() {
    fill(12);
    openView(12);
    auto* input = view->filterBox()->input();
    input->setFocus();
    QTest::keyClicks(input, "method = reflora and data ~ cola");
    QTRY_COMPARE(view->model()->total(), 2);
    input->clear();
    QTRY_COMPARE(view->model()->total(), 12);
    QTest::keyClicks(input, "rank >= ");
    QTRY_VERIFY(!view->filterBox()->problem().isEmpty());
    QCOMPARE(view->model()->total(), 12);  // the last good filter stays
    QVERIFY(input->property("invalid").toBool());
    input->clear();
    QTRY_VERIFY(view->filterBox()->problem().isEmpty());
    view->filterBox()->setText("nothing-like-this");
    QTRY_COMPARE(view->model()->total(), 0);
    QTRY_VERIFY(accessible(view.get(), QAccessible::Button, "Clear the filter"));
    accessible(view.get(), QAccessible::Button, "Clear the filter")->actionInterface()->doAction(QAccessibleActionInterface::pressAction());
    QTRY_COMPARE(view->model()->total(), 12);
  }

  void selectingDrivesTheOtherViews() {
    fill(6);
    openView(6);
    auto* table = view->table()->view();
    table->setFocus();
    table->selectRow(1);
    QTRY_COMPARE(fx->selection.ids().size(), 1);
    QTest::keyClick(table, Qt::Key_A, Qt::ControlModifier);
    QTRY_COMPARE(fx->selection.ids().size(), 6);
    QSignalSpy go(view.get(), &View::showView);
    action("Compare")->trigger();
    QCOMPARE(go.last()[0].toString(), QString("compare"));
    QCOMPARE(go.last()[1].toJsonObject().value("runs").toArray().size(), 6);
  }

  void editsAreUndone() {
    fill(3);
    openView(3);
    selectNamed("run 1");
    action("Star or unstar")->trigger();
    QTRY_VERIFY(rowNamed("run 1").starred);
    fx->undo.undo();
    QTRY_VERIFY(!rowNamed("run 1").starred);
    fx->undo.redo();
    QTRY_VERIFY(rowNamed("run 1").starred);

    const EditContext edits{fx->store.get(), &fx->undo, {}};
    const QString id = QString::fromStdString(rowNamed("run 1").id), other = QString::fromStdString(rowNamed("run 2").id);
    editTags(edits, {other}, {"old"}, {});
    editTags(edits, {id, other}, {"keep", "paper"}, {"old"});
    QTRY_COMPARE(rowNamed("run 2").tags, (std::vector<std::string>{"keep", "paper"}));
    fx->undo.undo();
    QTRY_COMPARE(rowNamed("run 2").tags, (std::vector<std::string>{"old"}));
    QVERIFY(rowNamed("run 1").tags.empty());
    editNote(edits, id, "# Seen\nIt *works*.");
    QTRY_COMPARE(rowNamed("run 1").note, std::string("# Seen\nIt *works*."));

    action("Archive or bring back")->trigger();
    QTRY_COMPARE(view->model()->total(), 2);
    fx->undo.undo();
    QTRY_COMPARE(view->model()->total(), 3);
    selectNamed("run 1");
    QTRY_COMPARE(fx->selection.current(), id);
    action("Delete")->trigger();
    QTRY_COMPARE(view->model()->total(), 2);
    QVERIFY(!std::filesystem::exists(fx->places.runs / id.toStdString()));
    fx->undo.undo();
    QTRY_COMPARE(view->model()->total(), 3);
    QVERIFY(std::filesystem::exists(fx->places.runs / id.toStdString() / "events.log"));
  }

  void columnsAreHiddenPinnedAndRemembered() {
    fill(3);
    openView(3);
    RunTable* table = view->table();
    table->setColumnShown("model", false);
    table->setColumnShown("metric:eval/loss", true);
    table->setPinned("name", true);
    const QJsonObject state = view->saveState();
    RunsView second(fx->context);
    second.restoreState(state);
    QVERIFY(!second.table()->shownColumns().contains("model"));
    QVERIFY(second.table()->shownColumns().contains("metric:eval/loss"));
    QCOMPARE(second.table()->shownColumns().first(), QString("name"));
    QVERIFY(second.table()->isPinned("name"));
  }

  // As wide as the table stands in a window of 1440 pixels, no default column hides a figure.
  void defaultColumnsFitTheWindow() {
    fill(11);
    SyntheticRun longNamed;
    longNamed.name = "reviews-reflora_s-r16-s12";
    writeRun(fx->places, longNamed);
    openView(12);
    view->resize(1364, 800);
    auto* table = view->table()->view();
    QTRY_COMPARE(table->horizontalScrollBar()->maximum(), 0);
    const QFontMetrics metrics(Theme::tabular(table->font()));
    for (int column = 0; column < view->model()->columnCount(); ++column) {
      const QString id = view->model()->columns()[static_cast<size_t>(column)].id;
      if (id == "star" || id == "loss_curve" || runColumnById(id).least > 0) continue;  // texts may be cut short
      for (int row = 0; row < 12; ++row) {
        const QModelIndex cell = view->model()->index(row, column);
        const int needed = metrics.horizontalAdvance(cell.data().toString()) + 18;
        QVERIFY2(table->columnWidth(column) >= needed, qPrintable(id + ": " + cell.data().toString()));
      }
      QVERIFY2(table->columnWidth(column) >= metrics.horizontalAdvance(view->model()->headerData(column, Qt::Horizontal, Qt::DisplayRole).toString()) + 18, qPrintable(id));
    }
    // A narrow window shortens names before it hides figures; a width set by hand stays.
    const int name = view->model()->columnOf("name"), best = view->model()->columnOf("best");
    const int wide = table->columnWidth(name), figures = table->columnWidth(best);
    view->table()->setColumnShown("created", true);
    view->table()->setColumnShown("tokens", true);
    view->resize(1030, 700);
    QTRY_VERIFY(table->columnWidth(view->model()->columnOf("name")) < wide);
    QCOMPARE(table->columnWidth(view->model()->columnOf("best")), figures);
    table->setColumnWidth(view->model()->columnOf("name"), 222);
    RunsView second(fx->context);
    second.restoreState(view->saveState());
    QCOMPARE(second.table()->view()->columnWidth(second.model()->columnOf("name")), 222);
  }

  // What is typed into a note is in the store soon after the typing pauses, without a press on Save.
  void notesAreKeptWhileTyping() {
    fill(2);
    openView(2);
    selectNamed("run 1");
    action("Write a note")->trigger();
    auto* text = view->findChild<QPlainTextEdit*>();
    QTRY_VERIFY(text->isVisible());
    QTest::keyClicks(text, "seen twice");
    QTRY_COMPARE_WITH_TIMEOUT(rowNamed("run 1").note, std::string("seen twice"), 5000);
    QTest::keyClicks(text, ", at 8");  // and typing goes on where it was
    QTRY_COMPARE_WITH_TIMEOUT(rowNamed("run 1").note, std::string("seen twice, at 8"), 5000);
  }

  void tableIsCopied() {
    fill(4);
    openView(4);
    action("Copy table as CSV")->trigger();
    QTRY_VERIFY(QApplication::clipboard()->text().contains("run 3"));
    QCOMPARE(QApplication::clipboard()->text().count('\n'), 5);
    action("Copy table as LaTeX")->trigger();
    QTRY_VERIFY(QApplication::clipboard()->text().contains("\\toprule"));
    action("Copy table as Markdown")->trigger();
    QTRY_VERIFY(QApplication::clipboard()->text().startsWith("| Status"));
  }

  void everyControlHasAName() {
    fill(2);
    openView(2);
    view->table()->view()->selectRow(0);
    QVERIFY(fx->store->waitForIdle());
    const QStringList unnamed = unnamedControls(view.get());
    QVERIFY2(unnamed.isEmpty(), qPrintable(unnamed.join(", ")));
    QVERIFY(accessible(view.get(), QAccessible::Table, "Runs"));
  }
};

QTEST_MAIN(RunsViewTest)
#include "runs_view.moc"
