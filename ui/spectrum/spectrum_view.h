#pragma once
// Spectrum: "what did the update do to the weights?" A grid of layers × matrices coloured by a measure for the chosen run
// and step, and the chosen matrix beside it; a second run beside the first, and their difference. One slider over the steps drives
// everything. Spectra come from the run's folder, where the trainer leaves them while it trains or a job of the queue
// puts them. GUI thread.

#include <memory>

#include "core/runlog/spectrum_file.h"
#include "ui/shell/view.h"
#include "ui/spectrum/spectrum_figures.h"

class QBoxLayout;
class QComboBox;
class QLabel;
class QProgressBar;
class QPushButton;
class QSlider;
class QSplitter;
class QToolButton;

namespace rankscope::ui {

class Heatmap;
class MatrixPanel;
class MitigationPanel;
class RunChooser;
class RunJob;
class RunSpectra;
class SpectrumBar;

class SpectrumView : public View {
  Q_OBJECT

 public:
  explicit SpectrumView(ViewContext& context, QWidget* parent = nullptr);

  void onActivated() override;
  void onDeactivated() override;
  void open(const QJsonObject& request) override;  // {"run": id}, {"run": id, "against": id}
  QJsonObject saveState() const override;
  void restoreState(const QJsonObject& state) override;

  Heatmap* grid() const { return m_grid; }
  MatrixPanel* matrix() const { return m_matrix; }
  MatrixPanel* otherMatrix() const { return m_otherMatrix; }
  MitigationPanel* mitigation() const { return m_mitigation; }
  QPushButton* computeButton() const { return m_compute; }

 private:
  void buildRuns(QBoxLayout* column);
  void buildBody(QBoxLayout* column);
  void setRun(const QString& id);
  void compareWith(const QString& id);  // "" for none
  void takeSpectra();
  void showStep(int index);
  void showGrid();
  void showMatrix();
  void chooseSite(int cell);
  void chooseDefaultSite();
  void showState();
  void compute();
  void offerToClear();
  QString jobText() const;
  const RunSpectrum* current() const;
  const RunSpectrum* other() const;  // of the second run, at the step next to the first's

  int m_index = -1;  // of the first run's spectra
  bool m_atEnd = true;
  SpectrumGrid m_figures;
  QString m_site, m_problem;
  RunSpectra *m_spectra, *m_otherSpectra;
  RunJob* m_job;
  RunChooser *m_runs, *m_others;
  QToolButton *m_compare, *m_mitigate;
  QComboBox* m_steps;
  QSlider* m_scrubber;
  SpectrumBar* m_bar;
  QPushButton* m_compute;
  QProgressBar* m_progress;
  QLabel *m_state, *m_readout, *m_total;
  QSplitter* m_split;
  Heatmap* m_grid;
  MatrixPanel *m_matrix, *m_otherMatrix;
  MitigationPanel* m_mitigation;
};

}  // namespace rankscope::ui
