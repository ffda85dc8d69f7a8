#pragma once
// What a plot draws inside its axes: all curves in one layerable (one raster for all of them), marks, direct labels or key,
// and the cursor on a buffered layer of its own, so that moving it does not redraw the curves. Owned by PlotCanvas.

#include "ui/plots/curve_raster.h"
#include "ui/plots/plot.h"
#include "ui/plots/qcp.h"

#include <list>

namespace rankscope::ui {

struct PlotCurve {
  QString id, label;
  CurveStyle style;
  bool visible = true;
  CurveData data;
  ColumnExtents raw, smooth, lower, upper;
};
using PlotCurves = std::list<std::unique_ptr<PlotCurve>>;  // in order of drawing

class CurveLayer : public QCPAbstractPlottable {
 public:
  CurveLayer(QCPAxis* x, QCPAxis* y, PlotCurves& curves);

  QString highlighted;
  bool smoothing = false;

  double selectTest(const QPointF& position, bool onlySelectable, QVariant* details = nullptr) const override;
  QCPRange getKeyRange(bool& found, QCP::SignDomain domain = QCP::sdBoth) const override;
  QCPRange getValueRange(bool& found, QCP::SignDomain domain = QCP::sdBoth,
                         const QCPRange& keys = QCPRange()) const override;
  // The curve whose line passes within `tolerance` pixels of a position; none if there is none.
  const PlotCurve* curveAt(const QPointF& position, double tolerance) const;

 protected:
  void draw(QCPPainter* painter) override;
  void drawLegendIcon(QCPPainter*, const QRectF&) const override {}

 private:
  RasterGrid gridFor(double pixelRatio);
  void drawVector(QCPPainter* painter, const RasterGrid& grid);
  void drawPoints(QCPPainter* painter, const PlotCurve& curve) const;
  void collect(const RasterGrid& grid, PlotCurve& curve, std::vector<RasterLine>& lines);
  PlotCurves& m_curves;
  double m_scale = 0, m_anchor = 0;
  bool m_logX = false;
};

// Vertical lines at moments worth knowing.
class MarkLayer : public QCPLayerable {
 public:
  explicit MarkLayer(QCPAxisRect* rect);
  std::vector<PlotMark> marks;
  XAxis axis = XAxis::Step;
  static double place(const PlotMark& mark, XAxis axis);

 protected:
  void applyDefaultAntialiasingHint(QCPPainter*) const override {}
  QRect clipRect() const override { return m_rect->rect(); }
  void draw(QCPPainter* painter) override;

 private:
  QCPAxisRect* m_rect;
};

// Names at the right ends of the curves, or a key in the corner when they do not fit; and the text of an empty plot.
class LabelLayer : public QCPLayerable {
 public:
  LabelLayer(QCPAxisRect* rect, PlotCurves& curves);
  bool enabled = true;
  QString emptyText, note;  // note: points left out by clipping
  // Room that direct labels need right of the axes; 0 when there are none or too many.
  int wantedMargin() const;

 protected:
  void applyDefaultAntialiasingHint(QCPPainter*) const override {}
  void draw(QCPPainter* painter) override;

 private:
  std::vector<const PlotCurve*> labelled() const;
  bool curveRunsThrough(const QRect& place) const;  // in pixels
  QCPAxisRect* m_rect;
  PlotCurves& m_curves;
};

class CursorLayer : public QCPLayerable {
 public:
  explicit CursorLayer(QCPAxisRect* rect);
  bool shown = false, withReadout = false;
  double x = 0;
  QString heading;
  std::vector<PlotReadout> lines;
  QPointF mouse;
  QRectF box;  // being drawn for zooming

 protected:
  void applyDefaultAntialiasingHint(QCPPainter*) const override {}
  void draw(QCPPainter* painter) override;

 private:
  void drawReadout(QCPPainter* painter, const QRect& area, double atX) const;
  QCPAxisRect* m_rect;
};

}  // namespace rankscope::ui
