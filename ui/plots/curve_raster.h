#pragma once
// Draws curves by pixel columns. For each column, the exact vertical extent of the polyline inside it is found (minimum
// and maximum of its points, and where the line enters and leaves), and a vertical span with antialiased ends is drawn:
// the cost depends on the pixels, not on the points, and no peak can hide. Extents are kept per curve, so that panning
// computes only the columns that come into view. Strips of columns are drawn in parallel.

#include "ui/plots/curve_data.h"

#include <QImage>

namespace rankscope::ui {

// A pixel grid over the plot: column k covers [anchor + k/scale, anchor + (k+1)/scale) of the x axis in its own (linear or
// decadic) measure; pixel row = rowScale · s + rowOffset for a value s in the y axis's measure.
struct RasterGrid {
  bool logX = false, logY = false;
  double scale = 1, anchor = 0;
  qint64 firstColumn = 0;
  int columns = 0, rows = 0;
  double rowScale = -1, rowOffset = 0;
  double devicePixelRatio = 1;
  double columnEdge(qint64 column) const { return anchor + static_cast<double>(column) / scale; }
};

// Extents of one line of values in the columns [first, first + lo.size()); NaN where there is no line. In the y axis's
// measure (so that y may be panned and zoomed without computing anything).
class ColumnExtents {
 public:
  void update(const RasterGrid& grid, const std::vector<double>& x, const std::vector<double>& y, const MinMaxTree& tree,
              quint64 version);
  const std::vector<double>& lo() const { return m_lo; }
  const std::vector<double>& hi() const { return m_hi; }
  int computed() const { return m_computed; }  // columns that the last update() had to compute; for tests

 private:
  bool m_valid = false, m_logX = false, m_logY = false;
  double m_scale = 0, m_anchor = 0;
  qint64 m_first = 0;
  quint64 m_version = 0;
  int m_computed = 0;
  std::vector<double> m_lo, m_hi;
};

struct RasterLine {
  const std::vector<double>* lo = nullptr;
  const std::vector<double>* hi = nullptr;
  QRgb colour = 0;       // not premultiplied, with alpha
  double width = 1.5;    // device pixels; 0 = fill exactly from lo to hi (a band)
  int dashOn = 0, dashOff = 0, dotOn = 0;  // device pixels; dashOn 0 = solid. dotOn > 0: dash, gap, dot, gap
};

// An image of grid.columns × grid.rows device pixels, transparent where there is no line. Lines are drawn in order.
QImage rasterLines(const RasterGrid& grid, const std::vector<RasterLine>& lines);

}  // namespace rankscope::ui
