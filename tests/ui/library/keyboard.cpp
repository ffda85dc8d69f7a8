// The library and the dialogs around runs without a mouse: Tab visits every control in reading order and comes back, Enter
// does what the main button does, Escape leaves, and every control and caption says what it is for.
#include <QComboBox>
#include <QLineEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QTabWidget>
#include <QTableView>
#include <QtTest>

#include "tests/support/keyboard_walk.h"
#include "tests/support/ui_fixture.h"
#include "ui/library/evaluate_dialog.h"
#include "ui/library/import_dialog.h"
#include "ui/library/library_details.h"
#include "ui/library/library_view.h"
#include "ui/library/output_dialog.h"

using namespace rankscope;
using namespace rankscope::ui;
using namespace rankscope::test;

class LibraryKeyboardTest : public QObject {
  Q_OBJECT

  std::unique_ptr<UiFixture> m_fixture;
  std::unique_ptr<QDialog> m_dialog;

  template <typename Dialog>
  Dialog* open(Dialog* dialog) {
    m_dialog.reset(dialog);
    dialog->show();
    dialog->activateWindow();
    return QTest::qWaitForWindowActive(dialog) ? dialog : nullptr;
  }
  QPushButton* button(const char* name) const { return m_dialog->findChild<QPushButton*>(name); }

  // The walk from the control in focus, by the names of its stops.
  static QStringList walk(QWidget* window) {
    const QList<QWidget*> stops = tabStops();
    [&] { QCOMPARE(leftOut(window, stops), QStringList()); }();
    [&] { QCOMPARE(outOfOrder(window, stops), QStringList()); }();
    [&] { QCOMPARE(captionsWithoutControl(window), QStringList()); }();
    [&] { QCOMPARE(unnamedControls(window), QStringList()); }();
    QStringList names;
    for (const QWidget* stop : stops) names << stop->objectName();
    return names;
  }
  void enterAndEscape(QWidget* field, QPushButton* ok) {
    QVERIFY(ok->isDefault());
    QTRY_VERIFY(ok->isEnabled());
    QSignalSpy finished(m_dialog.get(), &QDialog::finished);
    field->setFocus();
    QTest::keyClick(field, Qt::Key_Return);
    QCOMPARE(finished.size(), 1);
    QCOMPARE(finished[0][0].toInt(), int{QDialog::Accepted});
    m_dialog->show();
    QVERIFY(QTest::qWaitForWindowActive(m_dialog.get()));
    field->setFocus();
    QTest::keyClick(field, Qt::Key_Escape);
    QCOMPARE(finished.size(), 2);
    QCOMPARE(finished[1][0].toInt(), int{QDialog::Rejected});
    QVERIFY(!m_dialog->isVisible());
  }

  EvaluateSubject evaluated(const char* task) {
    EvaluateSubject subject{"6a1c", "reviews r8", {}, {{40, false}, {80, true}}};
    for (const std::string& each : {std::string("data.task=") + task, std::string("data.train=starter:data/reviews_train.jsonl")})
      if (!subject.config.assign({each}).empty()) qFatal("%s", each.c_str());
    return subject;
  }

 private Q_SLOTS:
  void init() { m_fixture = std::make_unique<UiFixture>(); }
  void cleanup() {
    m_dialog.reset();
    m_fixture.reset();
  }

  void evaluate() {
    auto* dialog = open(new EvaluateDialog(evaluated("classification"), *m_fixture->trainer, nullptr));
    QVERIFY(dialog);
    auto* own = dialog->findChild<QWidget*>("evaluateOwn");
    QCOMPARE(dialog->focusWidget(), own);
    QCOMPARE(walk(dialog).mid(0, 2), (QStringList{"evaluateOwn", "evaluateCheckpoint"}));
    // The arrow leads to the other data, and its field is the next stop.
    auto *other = dialog->findChild<QWidget*>("evaluateOther"), *data = dialog->findChild<QWidget*>("evaluateData");
    own->setFocus();
    QTest::keyClick(own, Qt::Key_Down);
    QTRY_VERIFY(other->hasFocus() && data->isVisible());
    QTest::keyClick(other, Qt::Key_Tab);
    QVERIFY(data->hasFocus());
    QTest::keyClicks(data, "/data/reviews.jsonl");
    QTRY_VERIFY(button("evaluateOk")->isEnabled());
    other->setFocus();
    const QStringList names = walk(dialog);
    for (const char* stop : {"evaluateOther", "evaluateData", "evaluateTask", "evaluateClasses", "evaluateOptions", "evaluateCheckpoint", "evaluateOk"})
      QVERIFY2(names.contains(stop), stop);
    enterAndEscape(data, button("evaluateOk"));
  }

  void import() {
    auto* dialog = open(new ImportDialog(*m_fixture->trainer, {}, nullptr));
    QVERIFY(dialog);
    auto* adapter = dialog->findChild<QLineEdit*>("importAdapter");
    QVERIFY(adapter->hasFocus());
    QVERIFY(!button("importOk")->isEnabled());
    QVERIFY(walk(dialog).contains("importTask"));
    QTest::keyClicks(adapter, "/models/reviews-adapter");
    QTRY_VERIFY(button("importOk")->isEnabled());
    adapter->setFocus();
    QVERIFY(walk(dialog).contains("importOk"));
    enterAndEscape(adapter, button("importOk"));
  }

  void output() {
    const OutputSubject subject{"6a1c", "reviews r8", "lora", 2e6, 3e4, {{40, false}, {80, true}}};
    auto* dialog = open(new OutputDialog(subject, OutputKind::Merged, m_fixture->places, *m_fixture->settings, nullptr));
    QVERIFY(dialog);
    auto* destination = dialog->findChild<QLineEdit*>("destination");
    QVERIFY(destination->hasFocus());
    QTRY_VERIFY(button("outputOk")->isEnabled());
    auto* kind = dialog->findChild<QWidget*>("outputKind:0");
    kind->setFocus();
    QVERIFY(walk(dialog).contains("outputShard"));
    // The other kinds by arrow, each with its own fields.
    kind->setFocus();
    QTest::keyClick(kind, Qt::Key_Right);
    QTRY_COMPARE(button("outputOk")->text(), QString("Export"));
    QTRY_VERIFY(button("outputOk")->isEnabled());
    const QStringList names = walk(dialog);
    QCOMPARE(names.value(0), QString("outputKind:1"));
    QVERIFY(names.contains("outputBase") && !names.contains("outputShard"));
    enterAndEscape(destination, button("outputOk"));
  }

  void library() {
    LibraryView view(m_fixture->context);
    view.resize(1360, 820);
    view.show();
    view.activateWindow();
    QVERIFY(QTest::qWaitForWindowActive(&view));
    view.onActivated();
    QTRY_VERIFY(!view.scanning());
    QVERIFY(view.table()->hasFocus());
    QTRY_COMPARE(view.details()->fact("Family"), QString("LLaMA"));
    auto* tabs = view.details()->findChild<QTabWidget*>();
    for (int page = 0; page < tabs->count(); ++page) {
      tabs->setCurrentIndex(page);
      view.filterBox()->setFocus();
      const QStringList names = walk(&view);
      QCOMPARE(names.mid(0, 4), (QStringList{"libraryFilter", "libraryKind", "libraryFolders", "libraryTable"}));
    }
    // What the page tells of is what is marked, also where focus alone has made a row the current one.
    view.filterBox()->setFocus();
    view.table()->selectionModel()->clear();
    view.table()->setFocus(Qt::TabFocusReason);
    QVERIFY(view.table()->selectionModel()->isRowSelected(view.table()->currentIndex().row()));
    QTRY_COMPARE(view.details()->details().item.name, view.table()->currentIndex().siblingAtColumn(LibraryModel::Name).data().toString());
    view.filterBox()->setFocus();
    // From the filter into the list and through it; what was typed goes by Escape.
    QTest::keyClicks(view.filterBox(), "broken");
    QTest::keyClick(view.filterBox(), Qt::Key_Down);
    QVERIFY(view.table()->hasFocus());
    view.filterBox()->setFocus();
    QTest::keyClick(view.filterBox(), Qt::Key_Escape);
    QCOMPARE(view.filterBox()->text(), QString());
    QTest::keyClick(view.filterBox(), Qt::Key_Return);
    QVERIFY(view.table()->hasFocus());
    const QModelIndex before = view.table()->currentIndex();
    QTest::keyClick(view.table(), before.row() > 0 ? Qt::Key_Up : Qt::Key_Down);
    QVERIFY(view.table()->currentIndex().row() != before.row());
  }
};

QTEST_MAIN(LibraryKeyboardTest)
#include "keyboard.moc"
