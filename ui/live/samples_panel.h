#pragma once
// Generated samples along a timeline: a slider over the steps at which the run sampled, and each prompt with what the
// model said then and, to compare, at the first sampling. GUI thread.

#include <QWidget>

#include "ui/live/run_history.h"

class QLabel;
class QSlider;
class QTextBrowser;

namespace rankscope::ui {

class SamplesPanel : public QWidget {
  Q_OBJECT

 public:
  explicit SamplesPanel(QWidget* parent = nullptr);
  void sync(const RunHistory* history);
  int count() const { return static_cast<int>(m_steps.size()); }
  QSlider* slider() const { return m_slider; }
  QTextBrowser* text() const { return m_text; }

 private:
  void showStep(int at);

  std::vector<SampleText> m_samples;
  std::vector<int64_t> m_steps;
  QSlider* m_slider;
  QLabel* m_step;
  QTextBrowser* m_text;
};

}  // namespace rankscope::ui
