#pragma once
// The widget inside Plot: a QCustomPlot with our layers, and what the mouse and keys do: drag pans (on an axis: only along
// it), Shift-drag zooms into a box, the wheel zooms about the cursor (with Ctrl in y), double click shows everything,
// Backspace goes back. GUI thread only.

#include "ui/plots/plot_scene.h"

#include <QTimer>

namespace rankscope::ui {

struct PlotRange {
  double x0 = 0, x1 = 1, y0 = 0, y1 = 1;
};

class PlotCanvas : public QCustomPlot {
  Q_OBJECT
 public:
  explicit PlotCanvas(Plot* owner);

  PlotCurve* find(const QString& id) const;
  void sortCurves();
  void curvesChanged();               // data or style: fits when following, queues a replot
  void applyTheme();
  QString xTitle() const;
  void applyAxes();                   // tickers, labels, scale types
  void applySmoothing();              // to every curve; long ones on worker threads
  void fit();
  void setRange(const PlotRange& range, bool remember);
  PlotRange range() const;
  void step(int direction);           // through the zoom history
  void setCursor(double x, bool shown, bool own);
  void setGroup(PlotGroup* group);
  void queueReplot() { replot(rpQueuedReplot); }
  std::vector<PlotReadout> readouts(double x) const;

  PlotCurves curves;
  CurveLayer* curveLayer = nullptr;
  MarkLayer* markLayer = nullptr;
  LabelLayer* labelLayer = nullptr;
  CursorLayer* cursorLayer = nullptr;
  QCPTextElement* titleElement = nullptr;
  QString title, unit, xLabel, workTitle;
  std::vector<double> xTicks;
  XAxis axis = XAxis::Step;
  bool logX = false, logY = false, clipOutliers = false, follow = true, following = true;
  double smoothing = 0;
  QPointer<PlotGroup> group;
  std::vector<PlotRange> history;
  size_t historyAt = 0;               // history[0, historyAt) lies behind, the rest ahead

 Q_SIGNALS:
  void historyChanged();
  void clicked(const QString& id, double x, double y);
  void menuAsked(const QPoint& at);
  void cursorMoved(double x, bool shown);

 protected:
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void contextMenuEvent(QContextMenuEvent* event) override;
  void changeEvent(QEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;

 private:
  enum class Drag { None, Pan, PanX, PanY, Box };
  void panTo(const QPointF& position);
  void zoomBy(double factorX, double factorY, const QPointF& about);
  void remember();                    // the range before a change by the user
  void announceRange();
  void fitRanges(PlotRange& fitted) const;
  void updateMargins();
  double measure(double value, bool log) const;

  Drag m_drag = Drag::None;
  QPointF m_pressed;
  PlotRange m_rangeAtPress;
  bool m_moved = false, m_hovered = false, m_silent = false;
  QTimer m_wheelPause;                // turns of the wheel in quick succession are one step of history
  int m_smoothJob = 0;
};

}  // namespace rankscope::ui
