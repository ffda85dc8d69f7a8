#pragma once
// Only the options in which the compared runs differ: in one sentence, and as a table with one column per run. GUI thread.

#include "ui/compare/compare_data.h"
#include "ui/shell/view.h"

class QLabel;
class QTableWidget;

namespace rankscope::ui {

class DifferencesTab : public QWidget {
  Q_OBJECT
 public:
  DifferencesTab(ViewContext& context, QWidget* parent = nullptr);
  void setRuns(const std::vector<ComparedRun>& runs);
  void setActive(bool active);
  QString sentence() const;
  TextTable asText() const;

 Q_SIGNALS:
  void statusMessage(const QString& text);

 private:
  void load();
  void fill();
  ViewContext& m_context;
  std::vector<ComparedRun> m_runs;
  std::vector<RunDifference> m_differences;
  QLabel* m_sentence;
  QTableWidget* m_table;
  bool m_active = false;
};

}  // namespace rankscope::ui
