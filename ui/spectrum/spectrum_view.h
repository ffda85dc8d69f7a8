#pragma once
// Spectrum: "what did the update do to the weights?" A grid of layers × matrices coloured by a measure for the chosen run
// and step, and the chosen matrix beside it. Spectra are computed by a job of the queue and read from the run's folder on a reader
// thread. GUI thread.

#include <memory>

#include "core/runlog/spectrum_file.h"
#include "ui/shell/view.h"
#include "ui/spectrum/spectrum_figures.h"

class QBoxLayout;
class QComboBox;
class QDoubleSpinBox;
class QLabel;
class QProgressBar;
class QPushButton;
class QSlider;
class QSpinBox;
class QSplitter;

namespace rankscope::ui {

class Heatmap;
class MatrixPanel;
class RunChooser;
class SpectrumJob;

class SpectrumView : public View {
  Q_OBJECT

 public:
  explicit SpectrumView(ViewContext& context, QWidget* parent = nullptr);

  void onActivated() override;
  void open(const QJsonObject& request) override;
  QJsonObject saveState() const override;
  void restoreState(const QJsonObject& state) override;

  Heatmap* grid() const { return m_grid; }
  MatrixPanel* matrix() const { return m_matrix; }
  QPushButton* computeButton() const { return m_compute; }

 private:
  void buildBar(QBoxLayout* column);
  void setRun(const QString& id);
  void listSteps();
  void loadStep();
  void showGrid();
  void chooseSite(int index);
  void showState();
  void compute();
  QString jobText() const;

  QString m_run;
  std::vector<std::filesystem::path> m_files;
  std::shared_ptr<const RunSpectrum> m_spectrum;
  SpectrumGrid m_figures;
  QString m_site;
  QString m_wantedFile, m_problem;
  SpectrumJob* m_job;
  RunChooser* m_runs;
  QComboBox *m_steps, *m_measure;
  QSlider* m_epsSlider;
  QDoubleSpinBox* m_eps;
  QSpinBox* m_k;
  QPushButton* m_compute;
  QProgressBar* m_progress;
  QLabel *m_state, *m_readout;
  QSplitter* m_split;
  Heatmap* m_grid;
  MatrixPanel* m_matrix;
};

}  // namespace rankscope::ui
