// The new-run view on a fake trainer: real clicks and keys, controls found by role and name.
#include <QComboBox>
#include <QDialog>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QMenu>
#include <QPushButton>
#include <QSignalSpy>
#include <QTableView>
#include <QToolButton>
#include <QtTest>

#include "core/store/store.h"
#include "tests/support/ui_fixture.h"
#include "core/config/method_parts.h"
#include "ui/newrun/consequences_panel.h"
#include "ui/newrun/newrun_view.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/step_rail.h"
#include "ui/shell/error_text.h"

using namespace rankscope;
using namespace rankscope::ui;
using rankscope::test::UiFixture;

class NewRunViewTest : public QObject {
  Q_OBJECT

  std::unique_ptr<UiFixture> m_fixture;
  std::unique_ptr<NewRunView> m_view;

  template <typename T>
  T* child(const char* name) {
    // The same option may stand on several pages: the one that is seen is meant.
    const auto all = m_view->findChildren<T*>(name);
    for (auto* found : all) {
      if (found->isVisible()) return found;
    }
    if (all.isEmpty()) qWarning("no child %s", name);
    return all.value(0);
  }
  void choosePage(const QString& id) {
    auto* rail = m_view->rail();
    for (int i = 0; i < rail->count(); ++i) {
      if (rail->item(i)->data(StepRail::IdRole).toString() == id) {
        QTest::mouseClick(rail->viewport(), Qt::LeftButton, {}, rail->visualItemRect(rail->item(i)).center());
      }
    }
    QCOMPARE(rail->current(), id);
  }

 private Q_SLOTS:
  void init() {
    m_fixture = std::make_unique<UiFixture>();
    m_view = std::make_unique<NewRunView>(m_fixture->context);
    m_view->resize(1280, 820);
    m_view->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_view.get()));
    m_view->onActivated();
    // First launch: a preset is on the page by itself.
    QTRY_COMPARE(m_view->draft()->presetName(), QString("starter-reviews"));
  }
  void cleanup() {
    m_view.reset();
    m_fixture.reset();
  }

  void aPresetIsReadyToStart() {
    QTRY_VERIFY2(m_view->draft()->valid(), qPrintable(m_view->draft()->issues().empty() ? QString()
                                                       : errorText(m_view->draft()->issues().front().error)));
    QTRY_VERIFY(m_view->consequences()->startButton()->isEnabled());
    QTRY_VERIFY(child<QLabel>("trainable")->text().contains('%'));
    QTRY_COMPARE(child<QTableView>("modelTable")->model()->rowCount(), 3);
    QVERIFY(child<QLabel>("commandLine")->text().startsWith("rankscope-train train --preset starter-reviews"));
  }

  void everyControlHasAName() {
    for (const auto* id : {"model", "data", "method", "training", "run", "changed"}) {
      choosePage(id);
      QCOMPARE(rankscope::test::unnamedControls(m_view.get()), QStringList());
    }
  }

  void choosingAMethodAndRankFollowsThrough() {
    choosePage("method");
    auto* list = child<QListWidget>("methodList");
    for (int i = 0; i < list->count(); ++i) {
      if (list->item(i)->text() != "RefLoRA") continue;
      list->scrollToItem(list->item(i));
      QTest::mouseClick(list->viewport(), Qt::LeftButton, {}, list->visualItemRect(list->item(i)).center());
    }
    QCOMPARE(QString::fromStdString(m_view->draft()->config().str("method.name")), QString("reflora"));
    auto* rank = child<QLineEdit>("rankEdit");
    rank->setFocus();
    rank->selectAll();
    QTest::keyClicks(rank, "32");
    QTest::keyClick(rank, Qt::Key_Return);
    QCOMPARE(m_view->draft()->config().integer("method.rank"), int64_t{32});
    QVERIFY(child<QLabel>("effectiveScale")->text().contains("0.5"));
    QVERIFY(m_view->consequences()->commandLine().contains("method.name=reflora"));
    QVERIFY(m_view->consequences()->commandLine().contains("method.rank=32"));
    // Marked as changed, listed, and back with one click.
    QVERIFY(child<QToolButton>("revert:method.rank")->isVisible());
    QTest::mouseClick(child<QToolButton>("revert:method.rank"), Qt::LeftButton);
    QCOMPARE(m_view->draft()->config().integer("method.rank"), int64_t{8});
    m_fixture->undo.undo();
    QCOMPARE(m_view->draft()->config().integer("method.rank"), int64_t{32});
  }

  void sitesAreTickedInTheGrid() {
    choosePage("method");
    auto* table = child<QTableView>("siteTable");
    QTRY_COMPARE(table->model()->rowCount(), 5);
    QTRY_VERIFY(table->isVisible());
    // Space on the sum of layer 0 takes its matrices out.
    table->setFocus();
    table->setCurrentIndex(table->model()->index(1, 0));
    QTest::keyClick(table, Qt::Key_Space);
    const auto targets = m_view->draft()->config().list("method.target_modules");
    const auto layers = m_view->draft()->config().list("method.layers");
    QCOMPARE(layers.size(), size_t{3});
    QCOMPARE(targets.size(), size_t{7});
    // A typed number is the matrix's own rank.
    table->setCurrentIndex(table->model()->index(2, 1));
    QTest::keyClicks(table, "4");
    QTest::keyClick(QApplication::focusWidget(), Qt::Key_Return);
    QTRY_COMPARE(m_view->draft()->config().map("method.rank_pattern").size(), size_t{1});
    // Nothing ticked is a mistake at the field, not a silent default.
    table->setCurrentIndex(table->model()->index(0, 0));
    QTest::keyClick(table, Qt::Key_Space);
    if (table->model()->index(0, 0).data(Qt::CheckStateRole).toInt() != Qt::Unchecked) QTest::keyClick(table, Qt::Key_Space);
    QVERIFY(child<QLabel>("error:sites")->isVisible());
    QVERIFY(!m_view->consequences()->startButton()->isEnabled());
  }

  void mistakesAreAtTheFieldAndListed() {
    choosePage("training");
    m_view->draft()->setText("optim.learning_rate", "fast");
    QVERIFY(!m_view->consequences()->startButton()->isEnabled());
    auto* issues = child<QListWidget>("issues");
    QCOMPARE(issues->count(), 1);
    choosePage("run");
    QTest::mouseClick(issues->viewport(), Qt::LeftButton, {}, issues->visualItemRect(issues->item(0)).center());
    QCOMPARE(m_view->rail()->current(), QString("training"));
    QVERIFY(QApplication::focusWidget());
    QCOMPARE(QApplication::focusWidget()->objectName(), QString("edit:optim.learning_rate"));
  }

  void absentFilesAreSaidAtTheirField() {
    m_view->draft()->set("data.train", "/absent.jsonl");
    QTRY_VERIFY(!m_view->draft()->issuesOf("data.train").empty());
    QVERIFY(!m_view->consequences()->startButton()->isEnabled());
    m_fixture->undo.undo();
    QTRY_VERIFY(m_view->draft()->issuesOf("data.train").empty());
  }

  void columnsAreMappedToRoles() {
    choosePage("data");
    auto* answer = child<QComboBox>("role:answer");
    QTRY_VERIFY(answer->findData("topic") >= 0);
    const int at = answer->findData("topic");
    answer->setFocus();
    answer->setCurrentIndex(at);
    Q_EMIT answer->activated(at);
    QCOMPARE(QString::fromStdString(m_view->draft()->config().str("data.columns.answer")), QString("topic"));
  }

  // Image data is shown as pictures over their classes; what only text has is not there.
  void imagesAreSeen() {
    choosePage("data");
    QTRY_VERIFY(child<QComboBox>("role:answer")->isVisible());
    m_view->draft()->set("data.task", "image_classification");
    QTRY_COMPARE(child<QListWidget>("imageGrid")->count(), 12);
    auto* grid = child<QListWidget>("imageGrid");
    QTRY_VERIFY(grid->isVisible());
    QCOMPARE(grid->item(0)->text(), QString("iris"));
    QCOMPARE(grid->item(0)->icon().pixmap(96, 96).toImage().pixelColor(48, 48), QColor(0, 0, 255));
    QVERIFY(!child<QComboBox>("role:answer")->isVisible() && !child<QLineEdit>("edit:data.max_length")->isVisible());
    QVERIFY(child<QLineEdit>("edit:data.augment.crop_padding")->isVisible());
    m_view->draft()->set("data.task", "causal_lm");
    QTRY_VERIFY(!grid->isVisible());
  }

  void searchFindsAnyOption() {
    QTest::keyClick(m_view.get(), Qt::Key_F, Qt::ControlModifier);
    auto* search = child<QLineEdit>("optionSearch");
    QTest::keyClicks(search, "gradient norm");
    auto* field = m_view->findChildren<QLineEdit*>("edit:train.max_grad_norm").isEmpty()
                      ? m_view->findChild<QLineEdit*>("edit:optim.max_grad_norm")
                      : m_view->findChild<QLineEdit*>("edit:train.max_grad_norm");
    QVERIFY(field);
    search->clear();
    QCOMPARE(m_view->rail()->current(), QString("model"));
  }

  void checkMeasuresOneBatch() {
    QTRY_VERIFY(m_view->draft()->valid());
    QTRY_VERIFY(child<QLabel>("steps")->text() != QString::fromUtf8("–"));
    QTest::mouseClick(m_view->consequences()->checkButton(), Qt::LeftButton);
    QTRY_VERIFY(child<QLabel>("checkResult")->text().contains("finite"));
    QVERIFY(child<QLabel>("time")->text().contains("about"));
    m_view->draft()->set("seed", 9);  // what was measured belongs to another run now
    QVERIFY(!child<QLabel>("checkResult")->isVisible());
  }

  void startMakesARunThatIsShown() {
    QTRY_VERIFY(m_view->consequences()->startButton()->isEnabled());
    QSignalSpy shown(m_view.get(), &View::showView);
    auto* start = rankscope::test::accessible(m_view.get(), QAccessible::Button, "Start");
    QVERIFY(start);
    start->actionInterface()->doAction(QAccessibleActionInterface::pressAction());
    QTRY_COMPARE(shown.count(), 1);
    QCOMPARE(shown.first().at(0).toString(), QString("live"));
    const auto id = shown.first().at(1).toJsonObject().value("run").toString();
    const auto folder = m_fixture->store->runFolder(id);
    QTRY_VERIFY(std::filesystem::exists(folder / "config.json"));
    QTRY_VERIFY_WITH_TIMEOUT(std::filesystem::exists(folder / "events.log"), 5000);
    QCOMPARE(m_fixture->selection.current(), id);
  }

  void queueAndTwinsFillTheQueue() {
    QTRY_VERIFY(m_view->consequences()->queueButton()->isEnabled());
    QSignalSpy queued(m_fixture->store.get(), &StoreService::queueChanged);
    QTest::mouseClick(m_view->consequences()->queueButton(), Qt::LeftButton);
    QTRY_VERIFY(queued.count() >= 1);
    QTRY_VERIFY(m_view->consequences()->twinButton()->isEnabled());
    QTest::mouseClick(m_view->consequences()->twinButton(), Qt::LeftButton);
    auto* dialog = m_view->findChild<QDialog*>("twinDialog");
    QVERIFY(dialog && dialog->isVisible());
    QTest::keyClick(dialog, Qt::Key_Return);
    QTRY_VERIFY(m_view->consequences()->twinButton()->isEnabled());
    QVERIFY(m_fixture->store->waitForIdle());
    int jobs = -1;
    m_fixture->store->read(this, {}, [](Store& s) { return s.listJobs(); }, [&](Result<std::vector<Job>> list) {
      QVERIFY(list.ok());
      jobs = static_cast<int>(list->size());
      QSet<QString> methods;
      for (const auto& job : *list) methods << QString::fromStdString(job.spec.config["method"]["name"].get<std::string>());
      QCOMPARE(methods.size(), static_cast<qsizetype>(usualTwins().size()));
    });
    QTRY_COMPARE(jobs, 1 + static_cast<int>(usualTwins().size()));
  }

  void theDraftSurvivesACrash() {
    m_view->draft()->set("method.rank", 12);
    m_view->draft()->setText("seed", "x");
    m_fixture->settings->flush();  // what a crash would find on disk
    auto settings = std::make_unique<Settings>(std::filesystem::path(m_fixture->home.path().toStdString()) / "workbench.json");
    ViewContext context = m_fixture->context;
    context.settings = settings.get();
    NewRunView again(context);
    QCOMPARE(again.draft()->config().integer("method.rank"), int64_t{12});
    QCOMPARE(again.draft()->text("seed"), QString("x"));
    QCOMPARE(again.draft()->presetName(), QString("starter-reviews"));
  }

  void keyboardAloneReachesStart() {
    QTRY_VERIFY(m_view->consequences()->startButton()->isEnabled());
    QSignalSpy shown(m_view.get(), &View::showView);
    QTest::keyClick(m_view->rail(), Qt::Key_Return, Qt::ControlModifier);
    QTRY_COMPARE(shown.count(), 1);
  }
};

QTEST_MAIN(NewRunViewTest)
#include "newrun_view.moc"
