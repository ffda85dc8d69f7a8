#pragma once
// The list of methods that can be chosen, under headings of what they are, and a line that searches it by name, author or
// what a method does. Arrows and clicks choose; Return in the search takes the first that is left, Return in the list
// goes on. Typing in the list searches. GUI thread.

#include <QWidget>

class QLabel;
class QLineEdit;
class QListWidget;
class QListWidgetItem;

namespace rankscope::ui {

class MethodPicker : public QWidget {
  Q_OBJECT

 public:
  explicit MethodPicker(QWidget* parent = nullptr);
  void setCurrent(const QString& method);  // without a signal
  // Above what it chooses instead of beside it: as wide as there is room, a few rows high.
  void setStacked(bool stacked);
  QListWidget* list() const { return m_list; }
  QLineEdit* search() const { return m_search; }

 Q_SIGNALS:
  void chosen(const QString& method);
  void goOn();  // Return in the list

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void fill();
  void filter();
  QListWidgetItem* firstShown() const;

  QLineEdit* m_search;
  QListWidget* m_list;
  QLabel* m_none;
};

}  // namespace rankscope::ui
