#pragma once
// A metric against the rank on a logarithmic axis, as the papers draw it: one line per method through the means of each rank,
// a band of one standard deviation, the single runs as dots; full fine-tuning as a level line. GUI thread.

#include "ui/compare/compare_data.h"

#include <QJsonObject>
#include <QWidget>

class QComboBox;
class QLabel;

namespace rankscope::ui {

class Plot;

class RankTab : public QWidget {
  Q_OBJECT
 public:
  explicit RankTab(QWidget* parent = nullptr);
  void setRuns(const std::vector<ComparedRun>& runs);
  Plot* plot() const { return m_plot; }
  QJsonObject saveState() const;
  void restoreState(const QJsonObject& state);

 private:
  void draw();
  Plot* m_plot;
  QComboBox* m_metric;
  QLabel* m_note;
  QString m_wanted = QStringLiteral("best");
  std::vector<ComparedRun> m_runs;
};

// Choices of a score over these runs: "best", then each metric's best and last. Text and value.
std::vector<std::pair<QString, QString>> scoreChoices(const std::vector<ComparedRun>& runs);

}  // namespace rankscope::ui
