#pragma once
// One series of many runs on one plot: over steps, epochs, tokens or time, smoothed over all points with the raw curve
// behind, or as group means with bands. Long curves arrive one by one; live ones grow. GUI thread; group means of long curves
// are computed on a worker thread.

#include "ui/compare/compare_data.h"
#include "ui/shell/view.h"

#include <QFutureWatcher>
#include <QHash>

class QComboBox;
class QLabel;
class QSlider;
class QToolButton;

namespace rankscope::ui {

class Plot;

class CurvesTab : public QWidget {
  Q_OBJECT
 public:
  CurvesTab(ViewContext& context, QWidget* parent = nullptr);
  void setRuns(const std::vector<ComparedRun>& runs);
  void setActive(bool active);          // reads nothing while it is not seen
  void highlight(const QString& runId);
  QString series() const;
  void chooseSeries(const QString& name);
  void chooseGrouping(Grouping grouping);
  Plot* plot() const { return m_plot; }
  QJsonObject saveState() const;
  void restoreState(const QJsonObject& state);

 Q_SIGNALS:
  void runClicked(const QString& runId);

 private:
  void loadNames();
  void loadCurves();
  void request(const ComparedRun& run);
  void redraw();
  void drawGroups();
  const ComparedRun* find(const QString& id) const;

  ViewContext& m_context;
  Plot* m_plot;
  QComboBox *m_series, *m_axis, *m_grouping;
  QSlider* m_smoothing;
  QLabel *m_smoothingText, *m_state;
  QToolButton *m_logX, *m_logY, *m_clip;
  std::vector<ComparedRun> m_runs;
  QHash<QString, std::shared_ptr<const CurvePoints>> m_points;
  QString m_wanted = QStringLiteral("train/loss");  // also while the list of names is being read
  int m_waiting = 0;
  int m_generation = 0, m_groupJob = 0;
  bool m_active = false, m_seedsDiffer = false;
};

}  // namespace rankscope::ui
