#pragma once
// Tags of one or many runs: every known tag with its state (on all, on some, on none), and a line for new ones. GUI thread.

#include <QDialog>
#include <QStringList>

class QLineEdit;
class QListWidget;

namespace rankscope::ui {

class TagDialog : public QDialog {
  Q_OBJECT
 public:
  // `known` with how often each is used over all runs; `counts` how many of the `runs` chosen ones have a tag.
  TagDialog(const QStringList& known, const QHash<QString, int>& counts, int runs, QWidget* parent);
  QStringList toAdd() const;
  QStringList toRemove() const;

 private:
  void addTyped();
  QLineEdit* m_input;
  QListWidget* m_list;
  QHash<QString, int> m_counts;
  int m_runs;
};

}  // namespace rankscope::ui
