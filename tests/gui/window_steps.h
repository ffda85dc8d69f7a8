#pragma once
// What a person does in the main window, by mouse and keyboard: the steps that several tests of whole sessions share.

#include <QAbstractItemView>
#include <QComboBox>
#include <QLineEdit>
#include <QScrollArea>
#include <QTableView>
#include <QToolButton>
#include <QtTest>

#include "ui/compare/compare_view.h"
#include "ui/newrun/newrun_view.h"
#include "ui/newrun/step_rail.h"
#include "ui/plots/plot.h"
#include "ui/shell/main_window.h"
#include "ui/shell/run_selection.h"

namespace rankscope::test {

// The visible one among the controls of this name.
template <typename T>
T* seen(QWidget* root, const QString& name) {
  for (auto* found : root->findChildren<T*>(name)) {
    if (found->isVisible()) return found;
  }
  return nullptr;
}

inline void navigate(ui::MainWindow& window, const QString& title) {
  for (auto* button : window.findChild<QWidget*>("navigation")->findChildren<QToolButton*>()) {
    if (button->text() == title) QTest::mouseClick(button, Qt::LeftButton);
  }
}

// A page of New run.
inline void step(ui::NewRunView* view, const QString& id) {
  auto* rail = view->rail();
  for (int i = 0; i < rail->count(); ++i) {
    if (rail->item(i)->data(ui::StepRail::IdRole).toString() != id) continue;
    QTest::mouseClick(rail->viewport(), Qt::LeftButton, {}, rail->visualItemRect(rail->item(i)).center());
  }
}

inline void intoView(QWidget* target) {
  for (QWidget* up = target; up; up = up->parentWidget()) {
    if (auto* area = qobject_cast<QScrollArea*>(up)) area->ensureWidgetVisible(target);
  }
}

inline void type(QWidget* edit, const QString& text) {
  intoView(edit);
  QTest::mouseClick(edit, Qt::LeftButton);
  QTest::keyClick(edit, Qt::Key_A, Qt::ControlModifier);
  QTest::keyClick(edit, Qt::Key_Delete);
  QTest::keyClicks(edit, text);
  QTest::keyClick(edit, Qt::Key_Tab);
}

inline void choose(QComboBox* box, const QString& value) {
  intoView(box);
  QTest::mouseClick(box, Qt::LeftButton);
  const int at = box->findData(value);
  QVERIFY2(at >= 0, qPrintable(value));
  const auto index = box->model()->index(at, 0);
  box->view()->scrollTo(index);
  const QPoint place = box->view()->visualRect(index).center();
  QTest::qWait(QApplication::doubleClickInterval() + 20);  // an open list takes no second click before this
  QTest::mouseMove(box->view()->viewport(), place);
  QTest::mouseClick(box->view()->viewport(), Qt::LeftButton, {}, place);
}

// From New run or Live to the history, where `count` runs must be, and with all of them to Compare's curves.
inline void compareAllRuns(ui::MainWindow& window, const ui::RunSelection& selection, int count) {
  navigate(window, "Runs");
  QAbstractItemView* table = nullptr;
  QTRY_VERIFY([&] {
    for (auto* view : window.view("runs")->findChildren<QTableView*>()) {
      if (view->isVisible() && view->model() && view->model()->rowCount() == count) table = view;
    }
    return table != nullptr;
  }());
  table->setFocus();
  QTest::keyClick(table, Qt::Key_A, Qt::ControlModifier);
  QTRY_COMPARE(selection.ids().size(), count);
  navigate(window, "Compare");
  auto* compare = static_cast<ui::CompareView*>(window.view("compare"));
  QTRY_COMPARE(compare->runs().size(), static_cast<size_t>(count));
  QTRY_VERIFY([&] {
    for (auto* plot : compare->findChildren<ui::Plot*>()) {
      if (plot->isVisible() && plot->curveIds().size() >= count) return true;
    }
    return false;
  }());
}

}  // namespace rankscope::test
