#pragma once
// Token lengths of the rows as a small histogram, with the cut-off as a line and what it costs in words. Reads out under
// the cursor. GUI thread.

#include <QVector>
#include <QWidget>

namespace rankscope::ui {

class LengthHistogram : public QWidget {
  Q_OBJECT

 public:
  explicit LengthHistogram(QWidget* parent = nullptr);
  // edges has one more entry than counts.
  void setData(QVector<double> edges, QVector<double> counts, double cutOff, double rowsOver, double tokensLostShare);
  void clear();
  QString verdict() const;  // "12 of 1,200 rows are cut at 256 tokens; 0.8% of the tokens are lost."

  QSize sizeHint() const override { return {280, 104}; }
  QSize minimumSizeHint() const override { return {160, 84}; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool event(QEvent* event) override;

 private:
  QRectF plotRect() const;
  double xEnd() const;

  QVector<double> m_edges, m_counts;
  double m_cutOff = 0, m_rowsOver = 0, m_lost = 0;
};

}  // namespace rankscope::ui
