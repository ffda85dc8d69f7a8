#pragma once
// One matrix of a run: how its leading left singular vectors after training look at those before (|cos| as a heatmap),
// both spectra, the largest similarity of each leading vector, and the intruder count against ε and against k. GUI thread.

#include <QWidget>

#include "core/runlog/spectrum_file.h"

class QLabel;

namespace rankscope::ui {

class Heatmap;
class Plot;

class MatrixPanel : public QWidget {
  Q_OBJECT

 public:
  explicit MatrixPanel(QWidget* parent = nullptr);
  void setSite(const SiteSpectrum& site, double eps, int64_t k);
  void setThreshold(double eps, int64_t k);
  void clear(const QString& message);
  Heatmap* heatmap() const { return m_cos; }
  Plot* spectra() const { return m_spectra; }
  Plot* similarity() const { return m_similarity; }
  Plot* overEps() const { return m_overEps; }

 private:
  void showSite();
  void showThreshold();

  SiteSpectrum m_site;
  bool m_any = false;
  double m_eps = 0.5;
  int64_t m_k = 10;
  QLabel *m_title, *m_figures, *m_readout;
  Heatmap* m_cos;
  Plot *m_spectra, *m_similarity, *m_overEps, *m_overK;
};

}  // namespace rankscope::ui
