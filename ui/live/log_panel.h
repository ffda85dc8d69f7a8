#pragma once
// The run's log as a table: time, step, level, text; a level to start from, a search, and following the newest line
// until one scrolls up. Holds at most RunHistory::kMaxLogLines lines. GUI thread.

#include <QAbstractTableModel>
#include <QSortFilterProxyModel>
#include <QWidget>
#include <vector>

#include "ui/live/run_history.h"

class QComboBox;
class QLabel;
class QLineEdit;
class QTableView;

namespace rankscope::ui {

class LogModel : public QAbstractTableModel {
  Q_OBJECT

 public:
  enum Column { Time, Step, Level, Text, ColumnCount };
  enum Roles { SeverityRole = Qt::UserRole + 1 };  // 0 debug … 3 error

  using QAbstractTableModel::QAbstractTableModel;
  void sync(const RunHistory* history);  // takes what is new; null empties it
  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  std::deque<HistoryLine> m_lines;
  uint64_t m_seen = 0;
};

class LogFilter : public QSortFilterProxyModel {
  Q_OBJECT

 public:
  using QSortFilterProxyModel::QSortFilterProxyModel;
  void setLevel(int severity);
  void setWords(const QString& text);

 protected:
  bool filterAcceptsRow(int row, const QModelIndex& parent) const override;

 private:
  int m_severity = 1;
  QStringList m_words;
};

class LogPanel : public QWidget {
  Q_OBJECT

 public:
  explicit LogPanel(QWidget* parent = nullptr);
  void sync(const RunHistory* history);
  QTableView* table() const { return m_table; }
  QLineEdit* search() const { return m_search; }
  QComboBox* level() const { return m_level; }

 private:
  void copySelected();

  LogModel m_model;
  LogFilter m_filter;
  QTableView* m_table;
  QComboBox* m_level;
  QLineEdit* m_search;
  QLabel* m_count;
};

}  // namespace rankscope::ui
