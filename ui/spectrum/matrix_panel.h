#pragma once
// One matrix of a run: how its leading singular vectors after training look at those before (|cos| as a heatmap), both
// spectra, the largest similarity of each leading vector now and over training, their singular values over training, and
// the intruder count against ε and against k. GUI thread.

#include <QWidget>
#include <memory>
#include <vector>

#include "ui/spectrum/spectrum_figures.h"

class QGridLayout;
class QLabel;

namespace rankscope::ui {

class Heatmap;
class Plot;

class MatrixPanel : public QWidget {
  Q_OBJECT

 public:
  using Course = std::vector<std::shared_ptr<const RunSpectrum>>;

  explicit MatrixPanel(QWidget* parent = nullptr);
  // A matrix of `course[at]`; the whole course for what is drawn over training.
  void setSite(const SiteSpectrum& site, const Course& course, int64_t step, const IntruderRule& rule);
  void setRule(const IntruderRule& rule);
  void setHeading(const QString& run);  // the run's name, where two stand side by side
  void clear(const QString& message);
  Heatmap* heatmap() const { return m_cos; }
  Plot* spectra() const { return m_spectra; }
  Plot* similarity() const { return m_similarity; }
  Plot* overEps() const { return m_overEps; }
  Plot* overTraining() const { return m_overTraining; }

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void showSite();
  void showSide();
  void showRule();
  void showCourse();
  void arrange();
  std::vector<Plot*> plots() const { return {m_spectra, m_similarity, m_overEps, m_overK, m_overTraining, m_sigmas, m_inside}; }

  SiteSpectrum m_site;
  Course m_course;
  int64_t m_step = 0;
  bool m_any = false;
  IntruderRule m_rule;
  int m_columns = 0;
  QGridLayout* m_grid;
  QLabel *m_run, *m_title, *m_figures, *m_readout;
  Heatmap* m_cos;
  Plot *m_spectra, *m_similarity, *m_overEps, *m_overK, *m_overTraining, *m_sigmas, *m_inside;
};

}  // namespace rankscope::ui
