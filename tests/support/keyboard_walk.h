#pragma once
// A walk through a window by Tab, as somebody without a mouse does it: which controls it visits, whether it leaves one out,
// and whether their order is the one in which they are read.

#include <QApplication>
#include <QFormLayout>
#include <QLabel>
#include <QRadioButton>
#include <QtTest>

namespace rankscope::test {

inline QString shownName(const QWidget* widget) {
  return QString::fromLatin1(widget->metaObject()->className()) + QLatin1Char('#') + widget->objectName();
}

// From the control that has the focus until one is reached for the second time, which is the first where the walk is closed.
inline QList<QWidget*> tabStops() {
  QList<QWidget*> stops;
  QWidget* now = QApplication::focusWidget();
  while (now && !stops.contains(now)) {
    stops << now;
    QTest::keyClick(now, Qt::Key_Tab);
    now = QApplication::focusWidget();
  }
  return now == stops.value(0) ? stops : QList<QWidget*>{};
}

// Controls that could take the focus and are not among the stops. One of a group of radio buttons stands for all: the arrow
// keys lead on.
inline QStringList leftOut(const QWidget* window, const QList<QWidget*>& stops) {
  QStringList names;
  for (const QWidget* each : window->findChildren<QWidget*>()) {
    if (!each->isVisibleTo(window) || !each->isEnabled() || each->focusProxy() || !(each->focusPolicy() & Qt::TabFocus)) continue;
    if (const auto* radio = qobject_cast<const QRadioButton*>(each); radio && !radio->isChecked()) continue;
    if (!stops.contains(const_cast<QWidget*>(each))) names << shownName(each);
  }
  return names;
}

// Stops that are neither below their predecessor nor to its right beside it.
inline QStringList outOfOrder(const QWidget* window, const QList<QWidget*>& stops) {
  const auto place = [window](const QWidget* widget) { return QRect(widget->mapTo(window, QPoint()), widget->size()); };
  QStringList names;
  for (int i = 1; i < stops.size(); ++i) {
    const QRect before = place(stops[i - 1]), now = place(stops[i]);
    if (now.top() > before.center().y() || (now.left() > before.center().x() && now.bottom() > before.top())) continue;
    names << shownName(stops[i - 1]) + " before " + shownName(stops[i]);
  }
  return names;
}

// Captions of forms that lead to no control.
inline QStringList captionsWithoutControl(const QWidget* window) {
  QStringList texts;
  for (const QFormLayout* form : window->findChildren<QFormLayout*>())
    for (int row = 0; row < form->rowCount(); ++row) {
      const QLayoutItem* item = form->itemAt(row, QFormLayout::LabelRole);
      const auto* caption = item ? qobject_cast<const QLabel*>(item->widget()) : nullptr;
      const QLayoutItem* value = form->itemAt(row, QFormLayout::FieldRole);
      if (!caption || caption->text().isEmpty() || !caption->isVisibleTo(window)) continue;
      if (value && qobject_cast<const QLabel*>(value->widget())) continue;  // told, not asked
      const QWidget* buddy = caption->buddy();
      if (!buddy || !buddy->isVisibleTo(window) || !(buddy->focusPolicy() & Qt::TabFocus)) texts << caption->text();
    }
  return texts;
}

}  // namespace rankscope::test
