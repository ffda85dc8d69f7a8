#pragma once
// How cells of the table of runs are painted where text is not enough: state with the run's colour, star, loss curve, tags.
// One delegate for the whole table, by column id. GUI thread.

#include "core/store/run_types.h"

#include <QStyledItemDelegate>

namespace rankscope::ui {

class RunDelegate : public QStyledItemDelegate {
  Q_OBJECT
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override;
  QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;

 private:
  void paintState(QPainter* painter, const QStyleOptionViewItem& option, const RunRow& row) const;
  void paintStar(QPainter* painter, const QStyleOptionViewItem& option, const RunRow& row) const;
  void paintCurve(QPainter* painter, const QStyleOptionViewItem& option, const RunRow& row) const;
  void paintTags(QPainter* painter, const QStyleOptionViewItem& option, const RunRow& row) const;
};

// The run's colour: the user's own, else by method and rank.
QColor colourOfRun(const RunRow& row);
// Rounded labels of tags in a row, as far as there is room; also used by the details.
void paintTagChips(QPainter* painter, const QRect& area, const QStringList& tags, const QFont& font);

}  // namespace rankscope::ui
