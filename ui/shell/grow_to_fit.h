#pragma once
// A dialog whose text wraps opens as high as that text needs at its width, and grows when lines come. GUI thread.

#include <QLayout>
#include <QWidget>

namespace rankscope::ui {

inline void growToFit(QWidget* dialog) {
  QLayout* layout = dialog->layout();
  layout->activate();
  const int width = qMax(dialog->width(), dialog->minimumWidth());
  const int needed = layout->hasHeightForWidth() ? layout->totalHeightForWidth(width) : layout->totalSizeHint().height();
  dialog->setMinimumHeight(needed);  // a window that is lower grows
  if (!dialog->isVisible()) dialog->resize(width, needed);
}

}  // namespace rankscope::ui
