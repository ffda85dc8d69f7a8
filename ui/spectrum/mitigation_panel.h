#pragma once
// Intruder mitigation of a run: a slider for λ, which scales the intruders' share of the weights, over the curves of the task's
// metric and of a text's loss along it. What is shown was measured; a job measures more, and writes the mitigated
// adapter. GUI thread.

#include <QWidget>
#include <memory>
#include <optional>

#include "core/runlog/mitigation_file.h"

class QComboBox;
class QLabel;
class QLineEdit;
class QProgressBar;
class QPushButton;
class QSlider;

namespace rankscope::ui {

class Plot;
class RunJob;
class StoreService;
class TrainerClient;

class MitigationPanel : public QWidget {
  Q_OBJECT

 public:
  MitigationPanel(StoreService* store, TrainerClient* trainer, QWidget* parent = nullptr);
  void setRun(const QString& id);
  QSlider* slider() const { return m_slider; }
  QPushButton* measureButton() const { return m_measure; }
  Plot* plot() const { return m_taskPlot; }
  const std::optional<MitigationCurve>& curve() const { return m_curve; }

 protected:
  void showEvent(QShowEvent* event) override;

 private:
  void load();
  void showCurve();
  void showLambda();
  void showState();
  void measure();
  void exportAdapter();
  double lambda() const;

  StoreService* m_store;
  RunJob* m_job;
  QString m_run, m_problem, m_said;
  std::optional<MitigationCurve> m_curve;
  QSlider* m_slider;
  QLabel *m_value, *m_facts, *m_state;
  QComboBox* m_metric;
  QLineEdit* m_text;
  QProgressBar* m_progress;
  QPushButton *m_measure, *m_export;
  Plot *m_taskPlot, *m_textPlot;
};

}  // namespace rankscope::ui
