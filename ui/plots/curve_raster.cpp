#include "ui/plots/curve_raster.h"

#include <QtConcurrent/QtConcurrentMap>

#include <cmath>

namespace rankscope::ui {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kStrip = 64;  // columns; a strip of 64 × 800 pixels stays in the second-level cache

double scaled(double value, bool log) {
  if (!log) return value;
  return value > 0 ? std::log10(value) : kNaN;
}

// The first index >= from with x[index] >= limit, found by steps that double: neighbouring columns are near.
size_t gallop(const std::vector<double>& x, size_t from, double limit) {
  const size_t n = x.size();
  size_t step = 1, low = from;
  while (low + step <= n && x[low + step - 1] < limit) {
    low += step;
    step *= 2;
  }
  const size_t high = std::min(n, low + step);
  return static_cast<size_t>(std::lower_bound(x.begin() + static_cast<qsizetype>(low),
                                              x.begin() + static_cast<qsizetype>(high), limit) -
                             x.begin());
}

struct Source {
  const std::vector<double>& x;
  const std::vector<double>& y;
  const MinMaxTree& tree;
  bool logX, logY;

  // The line between two neighbouring points, where it crosses an edge at `t` (x axis's measure).
  double crossing(size_t right, double t) const {
    if (right == 0 || right >= x.size()) return kNaN;
    const double s0 = scaled(y[right - 1], logY), s1 = scaled(y[right], logY);
    if (!std::isfinite(s0) || !std::isfinite(s1)) return kNaN;
    const double t0 = scaled(x[right - 1], logX), t1 = scaled(x[right], logX);
    if (!std::isfinite(t0) || !(t1 > t0)) return s1;
    return s0 + (s1 - s0) * std::clamp((t - t0) / (t1 - t0), 0.0, 1.0);
  }
};

// Fills lo/hi for `count` columns from `first` on.
void computeColumns(const Source& source, const RasterGrid& grid, qint64 first, int count, double* lo, double* hi) {
  const auto raw = [&](double t) { return source.logX ? std::pow(10.0, t) : t; };
  double t = grid.columnEdge(first);
  size_t i = static_cast<size_t>(std::lower_bound(source.x.begin(), source.x.end(), raw(t)) - source.x.begin());
  double left = source.crossing(i, t);
  for (int c = 0; c < count; ++c) {
    const double nextT = grid.columnEdge(first + c + 1);
    const size_t j = gallop(source.x, i, raw(nextT));
    const double right = source.crossing(j, nextT);
    double low = kNaN, high = kNaN;
    if (j > i) {
      const Extent extent = source.tree.extent(source.y, i, j);
      if (!extent.empty()) {
        high = scaled(extent.hi, source.logY);
        // On a log axis a value of zero or less lies infinitely far down: the span runs out of the plot there.
        low = extent.lo > 0 || !source.logY ? scaled(extent.lo, source.logY) : -1e9;
      }
    }
    if (std::isfinite(left) && !(left >= low)) low = left;
    if (std::isfinite(left) && !(left <= high)) high = left;
    if (std::isfinite(right) && !(right >= low)) low = right;
    if (std::isfinite(right) && !(right <= high)) high = right;
    lo[c] = std::isfinite(high) ? low : kNaN;
    hi[c] = high;
    left = right;
    i = j;
  }
}

inline quint32 scaleAlpha(quint32 premultiplied, uint alpha256) {
  const quint32 rb = ((premultiplied & 0x00ff00ff) * alpha256 >> 8) & 0x00ff00ff;
  const quint32 ag = ((premultiplied >> 8 & 0x00ff00ff) * alpha256) & 0xff00ff00;
  return rb | ag;
}

inline void blend(quint32& pixel, quint32 source) {
  const uint rest = 256 - (source >> 24) - (source >> 31);  // alpha 255 leaves nothing, alpha 0 leaves everything
  pixel = source + scaleAlpha(pixel, rest);
}

bool drawnByDash(const RasterLine& line, qint64 column) {
  if (line.dashOn <= 0) return true;
  const qint64 period = line.dashOn + line.dashOff + (line.dotOn > 0 ? line.dotOn + line.dashOff : 0);
  const qint64 at = ((column % period) + period) % period;
  if (at < line.dashOn) return true;
  return line.dotOn > 0 && at >= line.dashOn + line.dashOff && at < line.dashOn + line.dashOff + line.dotOn;
}

void drawSpan(quint32* column, int rows, double top, double bottom, quint32 colour) {
  if (!(bottom > 0) || !(top < rows)) return;
  top = std::max(top, 0.0);
  bottom = std::min(bottom, static_cast<double>(rows));
  const int first = static_cast<int>(top);
  const int last = std::min(static_cast<int>(bottom), rows - 1);
  if (first == last) {
    blend(column[first], scaleAlpha(colour, static_cast<uint>((bottom - top) * 256)));
    return;
  }
  blend(column[first], scaleAlpha(colour, static_cast<uint>((first + 1 - top) * 256)));
  if ((colour >> 24) == 255)
    std::fill(column + first + 1, column + last, colour);
  else
    for (int row = first + 1; row < last; ++row) blend(column[row], colour);
  blend(column[last], scaleAlpha(colour, static_cast<uint>((bottom - last) * 256)));
}

// Premultiplied, and pre-scaled so that the common coverage of one pixel is exact.
quint32 premultiplied(QRgb colour) { return qPremultiply(colour); }

void drawLine(const RasterGrid& grid, const RasterLine& line, int begin, int end, quint32* strip) {
  const quint32 colour = premultiplied(line.colour);
  const double half = line.width / 2;
  const bool wide = line.width > 2.2;
  const std::vector<double>&lo = *line.lo, &hi = *line.hi;
  for (int c = begin; c < end; ++c) {
    const auto at = static_cast<size_t>(c);
    double low = lo[at], high = hi[at];
    if (wide) {  // steep parts get their width sideways from the neighbours
      for (const size_t near : {at == 0 ? at : at - 1, at + 1 < lo.size() ? at + 1 : at}) {
        if (std::isnan(lo[near])) continue;
        if (!(low <= lo[near])) low = lo[near];
        if (!(high >= hi[near])) high = hi[near];
      }
    }
    if (std::isnan(low) || !drawnByDash(line, grid.firstColumn + c)) continue;
    const double top = grid.rowScale * high + grid.rowOffset - half;
    const double bottom = grid.rowScale * low + grid.rowOffset + half;
    drawSpan(strip + static_cast<size_t>(c - begin) * static_cast<size_t>(grid.rows), grid.rows, top, bottom, colour);
  }
}

// Columns back to rows, in blocks that fit the first-level cache.
void transpose(const quint32* strip, int columns, int rows, quint32* bits, qsizetype stride) {
  constexpr int kBlock = 16;
  for (int r0 = 0; r0 < rows; r0 += kBlock) {
    const int r1 = std::min(rows, r0 + kBlock);
    for (int c0 = 0; c0 < columns; c0 += kBlock) {
      const int c1 = std::min(columns, c0 + kBlock);
      for (int r = r0; r < r1; ++r)
        for (int c = c0; c < c1; ++c) bits[r * stride + c] = strip[static_cast<qsizetype>(c) * rows + r];
    }
  }
}

}  // namespace

void ColumnExtents::update(const RasterGrid& grid, const std::vector<double>& x, const std::vector<double>& y,
                           const MinMaxTree& tree, quint64 version) {
  const auto count = static_cast<size_t>(grid.columns);
  const bool same = m_valid && m_logX == grid.logX && m_logY == grid.logY && m_scale == grid.scale &&
                    m_anchor == grid.anchor && m_version == version;
  const qint64 shift = grid.firstColumn - m_first;  // columns that left on the left
  m_computed = 0;
  const Source source{x, y, tree, grid.logX, grid.logY};
  if (same && m_lo.size() == count && std::abs(shift) < grid.columns) {
    const auto moved = static_cast<size_t>(std::abs(shift));
    if (shift > 0) {
      std::move(m_lo.begin() + static_cast<qsizetype>(moved), m_lo.end(), m_lo.begin());
      std::move(m_hi.begin() + static_cast<qsizetype>(moved), m_hi.end(), m_hi.begin());
      computeColumns(source, grid, grid.firstColumn + static_cast<qint64>(count - moved), static_cast<int>(moved),
                     m_lo.data() + (count - moved), m_hi.data() + (count - moved));
    } else if (shift < 0) {
      std::move_backward(m_lo.begin(), m_lo.end() - static_cast<qsizetype>(moved), m_lo.end());
      std::move_backward(m_hi.begin(), m_hi.end() - static_cast<qsizetype>(moved), m_hi.end());
      computeColumns(source, grid, grid.firstColumn, static_cast<int>(moved), m_lo.data(), m_hi.data());
    }
    m_computed = static_cast<int>(moved);
  } else {
    m_lo.assign(count, kNaN);
    m_hi.assign(count, kNaN);
    computeColumns(source, grid, grid.firstColumn, grid.columns, m_lo.data(), m_hi.data());
    m_computed = grid.columns;
  }
  m_valid = true;
  m_logX = grid.logX;
  m_logY = grid.logY;
  m_scale = grid.scale;
  m_anchor = grid.anchor;
  m_first = grid.firstColumn;
  m_version = version;
}

QImage rasterLines(const RasterGrid& grid, const std::vector<RasterLine>& lines) {
  QImage image(std::max(1, grid.columns), std::max(1, grid.rows), QImage::Format_ARGB32_Premultiplied);
  if (grid.columns <= 0 || grid.rows <= 0) {
    image.fill(Qt::transparent);
    return image;
  }
  QList<int> strips;
  for (int c = 0; c < grid.columns; c += kStrip) strips.push_back(c);
  auto* bits = reinterpret_cast<quint32*>(image.bits());  // asked for once: bits() itself is not for several threads
  const qsizetype stride = image.bytesPerLine() / 4;
  const auto draw = [&](int begin) {
    const int end = std::min(grid.columns, begin + kStrip);
    thread_local std::vector<quint32> strip;
    strip.assign(static_cast<size_t>(end - begin) * static_cast<size_t>(grid.rows), 0);
    for (const RasterLine& line : lines) drawLine(grid, line, begin, end, strip.data());
    transpose(strip.data(), end - begin, grid.rows, bits + begin, stride);
  };
  if (lines.size() > 4)
    QtConcurrent::blockingMap(strips, draw);
  else
    for (const int strip : strips) draw(strip);
  image.setDevicePixelRatio(grid.devicePixelRatio);
  return image;
}

}  // namespace rankscope::ui
