#pragma once
// The widths of the library's columns: each as wide as its texts, less where there is no room, and as they were set by hand
// where they were. Keeps its table's columns fitted while the table changes its size, and remembers widths and order.
// Belongs to the table, whose model has the columns of library_model.h. GUI thread.

#include <QObject>
#include <QSet>

class QJsonObject;
class QTableView;

namespace rankscope::ui {

class LibraryColumns : public QObject {
  Q_OBJECT

 public:
  explicit LibraryColumns(QTableView* table);
  void fit();
  void saveTo(QJsonObject* state) const;
  void restoreFrom(const QJsonObject& state);

 protected:
  bool eventFilter(QObject* object, QEvent* event) override;

 private:
  QTableView* m_table;
  QSet<int> m_ownWidths;   // columns whose width was set by hand
  bool m_fitting = false;  // widths change by themselves
};

}  // namespace rankscope::ui
