#pragma once
// The table of runs as two views over one model and one selection: pinned columns at the left, which stay, and the others,
// which scroll. Columns are moved, resized, hidden and pinned by their headers; the arrangement is one JSON value. A column
// that nobody has resized is as wide as what it shows, and texts give way where the window is narrow. GUI thread.

#include "ui/runs/runs_model.h"

#include <QJsonObject>
#include <QWidget>

class QItemSelectionModel;
class QMenu;
class QTableView;

namespace rankscope::ui {

class RunTable : public QWidget {
  Q_OBJECT
 public:
  RunTable(RunsModel& model, QWidget* parent = nullptr);

  QTableView* view() const { return m_main; }
  QItemSelectionModel* selection() const;
  void setMetricNames(const QStringList& metrics) { m_metrics = metrics; }  // what may be added as columns

  QStringList shownColumns() const;
  void setColumnShown(const QString& id, bool shown);
  bool isPinned(const QString& id) const { return m_pinned.contains(id); }
  void setPinned(const QString& id, bool pinned);
  void showSort(const QString& key, bool descending);  // the arrow in the header
  void fillColumnsMenu(QMenu* menu);

  QJsonObject saveState() const;
  void restoreState(const QJsonObject& state);
  void scrollToRow(int row);

 Q_SIGNALS:
  void starClicked(int row);
  void rowActivated(int row);             // double click or Return
  void contextMenuAsked(const QPoint& globalPosition);
  void arrangementChanged();

 protected:
  bool eventFilter(QObject* object, QEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;

 private:
  void setUp(QTableView* view, const QString& name);
  void rebuild(const QStringList& ids);
  void layoutPinned();
  void measure();     // what the rows in view need
  void fitColumns();  // widths from that, and from the room there is
  int widthWanted(const RunColumn& column) const;
  void headerMenu(QTableView* view, const QPoint& at);

  RunsModel& m_model;
  QTableView* m_pinnedView;
  QTableView* m_main;
  QStringList m_pinned;
  QHash<QString, int> m_widths;   // set by hand
  QHash<QString, int> m_content;  // of the widest text seen so far; only grows, so that columns do not jump while typing
  QStringList m_metrics;
  bool m_rebuilding = false, m_scrolls = false;
};

}  // namespace rankscope::ui
