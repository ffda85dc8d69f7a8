#pragma once
// The table of a paper from the compared runs, to copy as CSV, Markdown or LaTeX. GUI thread.

#include "ui/compare/compare_data.h"

#include <QJsonObject>
#include <QWidget>

class QCheckBox;
class QComboBox;
class QLabel;
class QTableWidget;

namespace rankscope::ui {

class PaperTab : public QWidget {
  Q_OBJECT
 public:
  explicit PaperTab(QWidget* parent = nullptr);
  void setRuns(const std::vector<ComparedRun>& runs);
  const PaperTable& table() const { return m_paper; }
  QJsonObject saveState() const;
  void restoreState(const QJsonObject& state);

 Q_SIGNALS:
  void statusMessage(const QString& text);

 private:
  void build();
  std::vector<ComparedRun> m_runs;
  PaperTable m_paper;
  QComboBox *m_rows, *m_columns, *m_score;
  QCheckBox* m_percent;
  QLabel *m_note, *m_empty;
  QTableWidget* m_view;
  QString m_wantedScore = QStringLiteral("best");
};

}  // namespace rankscope::ui
