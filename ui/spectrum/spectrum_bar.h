#pragma once
// The controls over the Spectrum view: what colours the grid, the threshold ε and the number k of leading vectors that
// decide what an intruder is, the side of the singular vectors, and of two runs which is shown. GUI thread.

#include <QJsonObject>
#include <QWidget>

#include "ui/spectrum/spectrum_figures.h"

class QComboBox;
class QDoubleSpinBox;
class QLabel;
class QSlider;
class QSpinBox;

namespace rankscope::ui {

class SpectrumBar : public QWidget {
  Q_OBJECT

 public:
  enum class Shown { This, Other, Difference };

  explicit SpectrumBar(QWidget* parent = nullptr);
  SpectrumMeasure measure() const;
  IntruderRule rule() const;
  Shown shown() const;                 // This without a second run
  void setComparing(bool on);
  void setMostVectors(int64_t count);  // that are stored
  QJsonObject saveState() const;
  void restoreState(const QJsonObject& state);

 Q_SIGNALS:
  void changed();

 private:
  QComboBox *m_measure, *m_side, *m_shown;
  QSlider *m_epsSlider, *m_kSlider;
  QDoubleSpinBox* m_eps;
  QSpinBox* m_k;
  QLabel* m_shownTitle;
  int m_wantedK;  // where fewer are stored for a while, it comes back
};

}  // namespace rankscope::ui
