#pragma once
// A line plot for runs: any number of curves with gaps and bands, linear or logarithmic axes, x as step, epoch, tokens or
// time, smoothing over all points with the raw curve behind it, one cursor through a group of plots, zoom history, marks,
// and export. The rest of the program knows only this interface, not the plotting library.
//
// A curve is drawn from the minimum and maximum of every pixel column (CurveData holds the pyramid), so that no curve lies
// by sampling and 50 curves of 100,000 points pan smoothly with the software renderer. A value that is not finite is a gap.
// GUI thread only; preparing long curves (pyramid, smoothing) happens on worker threads.

#include <QColor>
#include <QJsonObject>
#include <QPen>
#include <QPointer>
#include <QWidget>

#include <functional>
#include <memory>
#include <span>
#include <vector>

class QMenu;

namespace rankscope::ui {

class PlotCanvas;
class CurveData;

enum class XAxis { Step, Epoch, Tokens, Time };

// The columns of one curve; x columns that are missing are empty (the plot then falls back on step). All as long as y.
struct CurvePoints {
  std::vector<double> step, epoch, tokens, seconds;
  std::vector<double> y;
  std::vector<double> lower, upper;  // a band around y (quantiles, ± sd), or empty
};

struct CurveStyle {
  QColor colour;
  Qt::PenStyle dash = Qt::SolidLine;
  double width = 1.5;
  bool points = false;     // a dot at every point (for evaluations)
  bool line = true;        // false: only the dots
  bool smoothable = true;  // the learning rate is never smoothed
  int order = 0;           // drawn later = on top
};

// A moment worth knowing on every plot: a change by hand, a checkpoint, a resume.
struct PlotMark {
  double step = 0, epoch = 0, tokens = 0, seconds = 0;
  QString text;
  QColor colour;
};

// What the cursor reads out: one line per curve.
struct PlotReadout {
  QString id, label;
  QColor colour;
  double x = 0, y = 0;
  bool valid = false;
};

// Plots that share the cursor's place, and the range in x while linked.
class PlotGroup : public QObject {
  Q_OBJECT
 public:
  using QObject::QObject;
  bool linked() const { return m_linked; }
  void setLinked(bool linked) { m_linked = linked; }
  void moveCursor(QObject* from, double x, bool visible) { Q_EMIT cursorMoved(from, x, visible); }
  void changeRange(QObject* from, double lower, double upper) { if (m_linked) Q_EMIT rangeChanged(from, lower, upper); }

 Q_SIGNALS:
  void cursorMoved(QObject* from, double x, bool visible);
  void rangeChanged(QObject* from, double lower, double upper);

 private:
  bool m_linked = true;
};

class Plot : public QWidget {
  Q_OBJECT
 public:
  explicit Plot(QWidget* parent = nullptr);
  ~Plot() override;

  // The title is shown above the plot and is its accessible name; the unit goes to the y axis.
  void setTitle(const QString& title, const QString& unit = {});
  QString title() const;
  // What the axis of tokens is called where a run counts something else; empty: tokens.
  void setWorkTitle(const QString& title);
  // What is written in the middle while there is nothing to draw.
  void setEmptyText(const QString& text);

  // Curves, by an id of the caller's. setCurve replaces; appendCurve adds points at the end (x columns as in setCurve).
  void setCurve(const QString& id, const QString& label, const CurveStyle& style, CurvePoints points);
  void appendCurve(const QString& id, const CurvePoints& more);
  void setCurveStyle(const QString& id, const CurveStyle& style);
  void setCurveVisible(const QString& id, bool visible);
  void removeCurve(const QString& id);
  void clearCurves();
  bool hasCurve(const QString& id) const;
  QStringList curveIds() const;
  void setHighlighted(const QString& id);  // drawn on top and wider; empty = none

  void setMarks(std::vector<PlotMark> marks);

  void setXAxis(XAxis axis);
  XAxis xAxis() const;
  void setXLabel(const QString& label);           // for plots whose x is none of the four (put x into `step`)
  void setXTicks(std::vector<double> ticks);      // only there (ranks); empty = by the range
  void setLogX(bool on);
  void setLogY(bool on);
  bool logX() const;
  bool logY() const;
  // 0 = off … 0.999: exponential moving average with bias correction, over all points; the raw curve stays behind, faint.
  void setSmoothing(double weight);
  double smoothing() const;
  void setClipOutliers(bool on);                  // y range by the 1 %…99 % quantiles; the count of points left out is shown
  void setShowLegend(bool on);                    // direct labels at the curves' ends where there is room, else a key
  void setGroup(PlotGroup* group);

  void fit();                                     // show everything; forget nothing of the zoom history
  void setXRange(double lower, double upper);
  void setFollow(bool on);                        // keep showing everything as points arrive, until the user zooms
  void zoomBack();
  void zoomForward();
  bool canZoomBack() const;
  bool canZoomForward() const;

  std::vector<PlotReadout> readoutAt(double x) const;

  // .png .svg .pdf by suffix; the .csv holds every point of every curve, with all its x columns.
  bool exportTo(const QString& file, QString* problem = nullptr);
  QByteArray toCsv() const;
  void copyImage();
  void copyData();
  // Fills a menu with this plot's commands (log axes, fit, zoom back, copy, export); shown on right click.
  void fillMenu(QMenu* menu);

  QJsonObject saveState() const;                  // axes, smoothing, range
  void restoreState(const QJsonObject& state);

  // Draws now instead of at the next turn of the event loop; for tests and measurements. Returns milliseconds.
  double renderNow();
  QSize sizeHint() const override;
  QSize minimumSizeHint() const override;

 Q_SIGNALS:
  void curveClicked(const QString& id, double x, double y);
  void cursorMoved(double x, bool visible);
  void zoomHistoryChanged();
  void optionsChanged();                          // log axes or smoothing changed from the plot's own menu

 private:
  friend class PlotCanvas;
  PlotCanvas* m_canvas;
};

QString xAxisTitle(XAxis axis);                   // "Step", "Epoch", "Tokens", "Time"

}  // namespace rankscope::ui
