// The library on a fake trainer: real clicks and keys; what is found, filtered, sorted, shown and handed on.
#include <QClipboard>
#include <QComboBox>
#include <QHeaderView>
#include <QScrollBar>
#include <QDesktopServices>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPushButton>
#include <QSignalSpy>
#include <QTableView>
#include <QToolButton>
#include <QTreeView>
#include <QUrl>
#include <QtTest>

#include "core/store/store.h"
#include "tests/support/ui_fixture.h"
#include "ui/library/import_dialog.h"
#include "ui/library/library_details.h"
#include "ui/library/library_view.h"
#include "ui/library/model_folders.h"
#include "ui/newrun/newrun_view.h"
#include "ui/newrun/run_draft.h"
#include "ui/shell/main_window.h"

using namespace rankscope;
using namespace rankscope::ui;
using rankscope::test::UiFixture;

class OpenedFolders : public QObject {
  Q_OBJECT

 public:
  QStringList opened;

 public Q_SLOTS:
  void open(const QUrl& url) { opened << url.toLocalFile(); }
};

class LibraryViewTest : public QObject {
  Q_OBJECT

  std::unique_ptr<UiFixture> m_fixture;
  std::unique_ptr<LibraryView> m_view;

  void choose(const QString& name) {
    auto* table = m_view->table();
    for (int row = 0; row < table->model()->rowCount(); ++row) {
      const QModelIndex index = table->model()->index(row, LibraryModel::Name);
      if (index.data().toString() == name) {
        QTest::mouseClick(table->viewport(), Qt::LeftButton, {}, table->visualRect(index).center());
        return;
      }
    }
    QFAIL(qPrintable("not in the table: " + name));
  }
  QString name(int row) const { return m_view->table()->model()->index(row, LibraryModel::Name).data().toString(); }
  QPushButton* button(const char* objectName) const { return m_view->findChild<QPushButton*>(objectName); }

 private Q_SLOTS:
  void init() {
    m_fixture = std::make_unique<UiFixture>();
    m_view = std::make_unique<LibraryView>(m_fixture->context);
    m_view->resize(1360, 820);
    m_view->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_view.get()));
    m_view->onActivated();
    QTRY_VERIFY(!m_view->scanning());
    QCOMPARE(m_view->model()->rowCount(), 4);
  }
  void cleanup() {
    m_view.reset();
    m_fixture.reset();
  }

  void everyControlHasAName() { QCOMPARE(rankscope::test::unnamedControls(m_view.get()), QStringList()); }

  void filtersSortsAndCounts() {
    auto* box = m_view->filterBox();
    box->setFocus();
    QTest::keyClicks(box, "apache bert");
    QCOMPARE(m_view->table()->model()->rowCount(), 1);
    QCOMPARE(name(0), QString("all-MiniLM-L6-v2"));
    QCOMPARE(m_view->findChild<QLabel*>("libraryCount")->text(), QString("1 of 4"));
    QTest::keyClicks(box, " nothing");
    QVERIFY(m_view->findChild<QLabel*>("libraryEmpty")->isVisible());
    box->clear();
    QTest::keyClicks(box, "problem");
    QCOMPARE(m_view->table()->model()->rowCount(), 1);
    QCOMPARE(name(0), QString("broken"));
    box->clear();
    auto* kind = m_view->findChild<QComboBox*>("libraryKind");
    kind->setCurrentIndex(2);
    QCOMPARE(m_view->table()->model()->rowCount(), 1);
    QCOMPARE(name(0), QString("reviews-adapter"));
    kind->setCurrentIndex(0);
    // By value, not by text: 22.7M is more than 1.89M is more than 24.6k.
    m_view->table()->sortByColumn(LibraryModel::Parameters, Qt::DescendingOrder);
    QCOMPARE(name(0), QString("all-MiniLM-L6-v2"));
    QCOMPARE(name(3), QString("reviews-adapter"));
  }

  // No column lies outside at the window's usual size: long texts give way, paths in their middle.
  void nothingScrollsAside() {
    auto* table = m_view->table();
    QTRY_COMPARE(table->horizontalScrollBar()->maximum(), 0);
    const QModelIndex where = table->model()->index(0, LibraryModel::Where);
    QVERIFY(!where.data(Qt::ToolTipRole).toString().isEmpty());
    QVERIFY(table->columnWidth(LibraryModel::Where) >= 56);
    m_view->resize(1200, 820);
    QTRY_COMPARE(table->horizontalScrollBar()->maximum(), 0);
    // A width set by hand stays.
    auto* header = table->horizontalHeader();
    const int edge = header->sectionViewportPosition(LibraryModel::Name) + header->sectionSize(LibraryModel::Name);
    QTest::mousePress(header->viewport(), Qt::LeftButton, {}, QPoint(edge - 1, 8));
    QTest::mouseMove(header->viewport(), QPoint(edge + 40, 8));
    QTest::mouseRelease(header->viewport(), Qt::LeftButton, {}, QPoint(edge + 40, 8));
    const int chosen = table->columnWidth(LibraryModel::Name);
    m_view->resize(1360, 820);
    QTest::qWait(20);
    QCOMPARE(table->columnWidth(LibraryModel::Name), chosen);
  }

  void thePageShowsWhatIsInAModel() {
    choose("starter");
    auto* page = m_view->details();
    QTRY_COMPARE(page->fact("Heads in it"), QString("language model"));
    QCOMPARE(page->fact("Can be given"), QString("classification"));
    QCOMPARE(page->fact("Parameters"), QString("1,892,352"));
    QCOMPARE(page->fact("Number types"), QString("F32"));
    QCOMPARE(page->fact("Chat template"), QString("ChatML"));
    QCOMPARE(page->fact("Licence"), QString("not said"));
    QTRY_COMPARE(page->fact("Tokenizer"), QString("sentencepiece, 2,048 tokens"));
    auto* sites = m_view->findChild<QTreeView*>("librarySites");
    // model > layers > 0 … 3, one line for the four.
    const QModelIndex model = sites->model()->index(0, 0);
    QCOMPARE(model.data().toString(), QString("model.layers"));
    QCOMPARE(sites->model()->rowCount(model), 1);
    QCOMPARE(sites->model()->index(0, 0, model).data().toString(), QString("0 … 3"));
    QCOMPARE(sites->model()->index(0, 1, model).data().toString(), QString("4 alike"));
    QVERIFY(!m_view->findChild<QLabel*>("libraryProblems")->isVisible());
  }

  void problemsAreListed() {
    choose("broken");
    auto* problems = m_view->findChild<QLabel*>("libraryProblems");
    QTRY_VERIFY(problems->text().contains("model.norm.weight [128]"));
    QVERIFY(problems->text().contains("[383, 128], not [384, 128]"));
    QVERIFY(problems->isVisible());
  }

  void handsAModelToNewRun() {
    choose("all-MiniLM-L6-v2");
    QSignalSpy go(m_view.get(), &View::showView);
    QTest::mouseClick(button("useInNewRun"), Qt::LeftButton);
    QCOMPARE(go.size(), 1);
    QCOMPARE(go[0][0].toString(), QString("newrun"));
    QCOMPARE(go[0][1].toJsonObject().value("model").toString(), QString("/models/minilm"));
    // By keyboard too.
    m_view->table()->setFocus();
    QTest::keyClick(m_view->table(), Qt::Key_Return, Qt::ControlModifier);
    QCOMPARE(go.size(), 2);
  }

  void newRunTakesItAndLeadsBack() {
    MainWindow window(m_fixture->context);
    window.resize(1440, 900);
    window.show();
    QVERIFY(QTest::qWaitForWindowExposed(&window));
    window.showView("newrun", {{"model", "/models/minilm"}});
    auto* newRun = static_cast<NewRunView*>(window.view("newrun"));
    QTRY_VERIFY(!newRun->draft()->presetName().isEmpty());
    window.showView("newrun", {{"model", "/models/minilm"}});
    QCOMPARE(QString::fromStdString(newRun->draft()->config().str("model.path")), QString("/models/minilm"));
    auto* more = newRun->findChild<QPushButton*>("openLibrary");
    QVERIFY(more->isVisible());
    QTest::mouseClick(more, Qt::LeftButton);
    QCOMPARE(window.currentViewId(), QString("library"));
    auto* library = static_cast<LibraryView*>(window.view("library"));
    QTRY_COMPARE(library->details()->details().item.path, QString("/models/minilm"));
  }

  void pathAndFolder() {
    choose("all-MiniLM-L6-v2");
    QTest::mouseClick(button("copyPath"), Qt::LeftButton);
    QCOMPARE(QGuiApplication::clipboard()->text(), QString("/models/minilm"));
    OpenedFolders folders;
    QDesktopServices::setUrlHandler("file", &folders, "open");
    QTest::mouseClick(button("showFolder"), Qt::LeftButton);
    QDesktopServices::unsetUrlHandler("file");
    QCOMPARE(folders.opened, QStringList{"/models/minilm"});
  }

  void foldersAreRememberedAndDropped() {
    addModelFolder(*m_fixture->settings, "/somewhere/models");
    QCOMPARE(modelFolders(m_fixture->places, *m_fixture->settings).last(), QString("/somewhere/models"));
    auto* menu = m_view->findChild<QToolButton*>("libraryFolders")->menu();
    Q_EMIT menu->aboutToShow();
    QAction* one = nullptr;
    for (QAction* action : menu->actions())
      if (action->text() == "/somewhere/models") one = action;
    QVERIFY(one && one->menu());
    one->menu()->actions().first()->trigger();
    QCOMPARE(addedModelFolders(*m_fixture->settings), QStringList());
    QVERIFY(m_view->scanning());
    QTRY_VERIFY(!m_view->scanning());
    QCOMPARE(m_view->model()->rowCount(), 4);  // each once
  }

  void importsAnAdapter() {
    choose("reviews-adapter");
    QVERIFY(button("importAdapterButton")->isVisible());
    QTest::mouseClick(button("importAdapterButton"), Qt::LeftButton);
    auto* dialog = m_view->findChild<ImportDialog*>();
    QVERIFY(dialog);
    auto* ok = dialog->findChild<QPushButton*>("importOk");
    QTRY_VERIFY(ok->isEnabled());
    QVERIFY(dialog->findChild<QLabel*>("importAbout")->text().contains("rank 8"));
    QCOMPARE(rankscope::test::unnamedControls(dialog), QStringList());
    // A base model that is not there is refused before it becomes a job.
    auto* base = dialog->findChild<QLineEdit*>("importBase");
    base->setFocus();
    QTest::keyClicks(base, "/absent");
    QTRY_VERIFY(dialog->findChild<QLabel*>("importAboutBase")->text().contains("no model here"));
    QVERIFY(!ok->isEnabled());
    // So is one that the adapter was not made for.
    base->clear();
    QTest::keyClicks(base, "/models/other");
    QTRY_VERIFY(dialog->findChild<QLabel*>("importAboutBase")->text().contains("made for a model of other sizes"));
    QVERIFY(!ok->isEnabled());
    base->clear();
    QTRY_VERIFY(ok->isEnabled());
    auto* runName = dialog->findChild<QLineEdit*>("importName");
    runName->setFocus();
    QTest::keyClicks(runName, "back again");
    QVERIFY(dialog->findChild<QLabel*>("importCommand")->text().contains("import /models/reviews-adapter --name 'back again'"));
    qputenv("FAKE_MS", "0");
    QTest::mouseClick(ok, Qt::LeftButton);
    bool found = false;
    const auto look = [&] {
      m_fixture->store->read(this, "runs", [](Store& s) { return s.resolveRun("back again"); },
                             [&](Result<std::string> id) { found = found || id.ok(); });
      m_fixture->store->ingestNow();
      return found;
    };
    QVERIFY(QTest::qWaitFor([&] { QTest::qWait(100); return look(); }, 15000));
  }
};

QTEST_MAIN(LibraryViewTest)
#include "library_view.moc"
