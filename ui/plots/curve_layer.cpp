#include "ui/plots/plot_scene.h"

#include "ui/theme/theme.h"

namespace rankscope::ui {

namespace {

constexpr double kBandOpacity = 0.16;
constexpr double kRawOpacity = 0.26;  // the raw curve behind a smoothed one
constexpr int kMostPoints = 3000;     // dots drawn one by one

QRgb withAlpha(const QColor& colour, double alpha) {
  QColor c = colour;
  c.setAlphaF(static_cast<float>(alpha * colour.alphaF()));
  return c.rgba();
}

void setDash(RasterLine& line, Qt::PenStyle style, double ratio) {
  const auto px = [ratio](int v) { return std::max(1, static_cast<int>(std::lround(v * ratio))); };
  switch (style) {
    case Qt::DashLine: line.dashOn = px(7), line.dashOff = px(4); break;
    case Qt::DotLine: line.dashOn = px(2), line.dashOff = px(3); break;
    case Qt::DashDotLine: line.dashOn = px(8), line.dashOff = px(3), line.dotOn = px(2); break;
    case Qt::DashDotDotLine: line.dashOn = px(12), line.dashOff = px(3), line.dotOn = px(4); break;
    default: break;
  }
}

}  // namespace

CurveLayer::CurveLayer(QCPAxis* x, QCPAxis* y, PlotCurves& curves) : QCPAbstractPlottable(x, y), m_curves(curves) {
  setSelectable(QCP::stNone);
}

double CurveLayer::selectTest(const QPointF&, bool, QVariant*) const { return -1; }

QCPRange CurveLayer::getKeyRange(bool& found, QCP::SignDomain domain) const {
  QCPRange range;
  found = false;
  for (const auto& curve : m_curves) {
    if (!curve->visible || curve->data.empty()) continue;
    const std::vector<double>& x = curve->data.x();
    double lower = x.front();
    const double upper = x.back();
    if (domain == QCP::sdPositive) {
      const auto positive = std::upper_bound(x.begin(), x.end(), 0.0);
      if (positive == x.end()) continue;
      lower = *positive;
    }
    range = found ? QCPRange(std::min(range.lower, lower), std::max(range.upper, upper)) : QCPRange(lower, upper);
    found = true;
  }
  return range;
}

QCPRange CurveLayer::getValueRange(bool& found, QCP::SignDomain domain, const QCPRange& keys) const {
  Extent extent;
  for (const auto& curve : m_curves) {
    if (!curve->visible || curve->data.empty()) continue;
    const bool all = keys.lower == keys.upper;
    const auto [begin, end] = all ? std::pair<size_t, size_t>(0, curve->data.size())
                                  : curve->data.indexRange(keys.lower, keys.upper);
    Extent e = curve->data.extent(begin, end, false);
    if (domain == QCP::sdPositive && !e.empty() && e.lo <= 0) {
      Extent positive;
      for (size_t i = begin; i < end; ++i)
        if (curve->data.y()[i] > 0) positive.add(curve->data.y()[i]);
      e = positive;
    }
    extent.add(e);
  }
  found = !extent.empty();
  return found ? QCPRange(extent.lo, extent.hi) : QCPRange();
}

// The x scale of the grid is kept while it stays the same to a twentieth of a pixel, so that panning moves by whole columns
// and what was computed for a column stays right.
RasterGrid CurveLayer::gridFor(double pixelRatio) {
  RasterGrid grid;
  const QCPAxis* kx = keyAxis();
  const QCPAxis* vy = valueAxis();
  const QRect area = kx->axisRect()->rect();
  grid.devicePixelRatio = pixelRatio;
  grid.columns = static_cast<int>(std::ceil(area.width() * pixelRatio));
  grid.rows = static_cast<int>(std::ceil(area.height() * pixelRatio));
  grid.logX = kx->scaleType() == QCPAxis::stLogarithmic;
  grid.logY = vy->scaleType() == QCPAxis::stLogarithmic;
  const auto measure = [](double v, bool log) { return log ? std::log10(std::max(v, 1e-300)) : v; };
  const double t0 = measure(kx->range().lower, grid.logX), t1 = measure(kx->range().upper, grid.logX);
  const double span = std::max(t1 - t0, 1e-300);
  const double scale = grid.columns / span;
  const double moved = std::abs(scale - m_scale) * span;
  if (grid.logX != m_logX || !(moved < 0.05) || std::abs((t0 - m_anchor) * m_scale) > 1e9) {
    m_scale = scale;
    m_anchor = t0;
    m_logX = grid.logX;
  }
  grid.scale = m_scale;
  grid.anchor = m_anchor;
  grid.firstColumn = std::llround((t0 - m_anchor) * m_scale);
  const double s0 = measure(vy->range().lower, grid.logY), s1 = measure(vy->range().upper, grid.logY);
  grid.rowScale = -grid.rows / std::max(s1 - s0, 1e-300);
  grid.rowOffset = -grid.rowScale * s1;
  return grid;
}

void CurveLayer::collect(const RasterGrid& grid, PlotCurve& curve, std::vector<RasterLine>& lines) {
  const CurveData& data = curve.data;
  const CurveStyle& style = curve.style;
  const bool dimmed = !highlighted.isEmpty() && highlighted != curve.id;
  const double strength = dimmed ? 0.28 : 1.0;
  if (data.hasBand()) {
    curve.lower.update(grid, data.x(), data.points().lower, data.lowerTree(), data.version());
    curve.upper.update(grid, data.x(), data.points().upper, data.upperTree(), data.version());
    RasterLine band;
    band.lo = &curve.lower.lo();
    band.hi = &curve.upper.hi();
    band.colour = withAlpha(style.colour, kBandOpacity * strength);
    band.width = 0;
    lines.push_back(band);
  }
  if (!style.line) return;
  const SmoothedCurve* smoothed = data.smoothed();
  curve.raw.update(grid, data.x(), data.y(), data.tree(), data.version());
  RasterLine line;
  line.lo = &curve.raw.lo();
  line.hi = &curve.raw.hi();
  line.width = (smoothed ? 1.0 : style.width) * grid.devicePixelRatio;
  line.colour = withAlpha(style.colour, strength * (smoothed ? kRawOpacity : 1.0));
  if (!smoothed) {
    setDash(line, style.dash, grid.devicePixelRatio);
    if (highlighted == curve.id) line.width *= 1.9;
  }
  lines.push_back(line);
  if (!smoothed) return;
  curve.smooth.update(grid, data.x(), smoothed->y, smoothed->tree, data.version());
  RasterLine top;
  top.lo = &curve.smooth.lo();
  top.hi = &curve.smooth.hi();
  top.width = style.width * grid.devicePixelRatio * (highlighted == curve.id ? 1.9 : 1.15);
  top.colour = withAlpha(style.colour, strength);
  setDash(top, style.dash, grid.devicePixelRatio);
  lines.push_back(top);
}

void CurveLayer::draw(QCPPainter* painter) {
  const QRect area = keyAxis()->axisRect()->rect();
  if (area.width() < 2 || area.height() < 2) return;
  if (painter->modes().testFlag(QCPPainter::pmVectorized)) {
    drawVector(painter, gridFor(4));
    m_scale = 0;  // the export's finer grid is not the screen's
  } else {
    const double ratio = painter->device()->devicePixelRatioF() * painter->transform().m11();
    const RasterGrid grid = gridFor(ratio);
    std::vector<RasterLine> lines, last;
    lines.reserve(m_curves.size() * 3);
    for (const auto& curve : m_curves)
      if (curve->visible && !curve->data.empty()) collect(grid, *curve, curve->id == highlighted ? last : lines);
    lines.insert(lines.end(), last.begin(), last.end());
    if (!lines.empty()) {
      const bool was = painter->testRenderHint(QPainter::SmoothPixmapTransform);
      painter->setRenderHint(QPainter::SmoothPixmapTransform, false);
      painter->drawImage(area.topLeft(), rasterLines(grid, lines));
      painter->setRenderHint(QPainter::SmoothPixmapTransform, was);
    }
  }
  for (const auto& curve : m_curves)
    if (curve->visible && !curve->data.empty()) drawPoints(painter, *curve);
}

// Dots where they are asked for, and for a point that has no neighbour to be joined to, which no line would show.
void CurveLayer::drawPoints(QCPPainter* painter, const PlotCurve& curve) const {
  const CurveData& data = curve.data;
  auto [begin, end] = data.indexRange(keyAxis()->range().lower, keyAxis()->range().upper);
  if (end - begin > kMostPoints) return;
  painter->save();
  painter->setRenderHint(QPainter::Antialiasing, true);
  painter->setPen(Qt::NoPen);
  painter->setBrush(curve.style.colour);
  const std::vector<double>& y = data.y();
  const double radius = curve.style.points ? 2.5 : 1.5;
  for (size_t i = begin; i < end; ++i) {
    if (!std::isfinite(y[i])) continue;
    const bool alone = (i == 0 || !std::isfinite(y[i - 1])) && (i + 1 >= y.size() || !std::isfinite(y[i + 1]));
    if (!curve.style.points && !alone) continue;
    painter->drawEllipse(QPointF(keyAxis()->coordToPixel(data.x()[i]), valueAxis()->coordToPixel(y[i]) + 1), radius, radius);
  }
  painter->restore();
}

// PDF and SVG: polylines through the columns' extents at four columns a pixel, which no printer resolves.
void CurveLayer::drawVector(QCPPainter* painter, const RasterGrid& grid) {
  const QRect area = keyAxis()->axisRect()->rect();
  const double ratio = grid.devicePixelRatio;
  painter->save();
  painter->setRenderHint(QPainter::Antialiasing, true);
  const auto strokes = [&](const ColumnExtents& extents, const QPen& pen) {
    painter->setPen(pen);
    painter->setBrush(Qt::NoBrush);
    QPolygonF line;
    const auto flush = [&] {
      if (line.size() > 1) painter->drawPolyline(line);
      line.clear();
    };
    bool up = false;
    for (size_t c = 0; c < extents.lo().size(); ++c) {
      if (std::isnan(extents.lo()[c])) {
        flush();
        continue;
      }
      const double px = area.left() + (static_cast<double>(c) + 0.5) / ratio;
      const double lo = area.top() + (grid.rowScale * extents.lo()[c] + grid.rowOffset) / ratio;
      const double hi = area.top() + (grid.rowScale * extents.hi()[c] + grid.rowOffset) / ratio;
      if (std::abs(lo - hi) < 0.05) {
        line.push_back({px, (lo + hi) / 2});
      } else {
        line.push_back({px, up ? lo : hi});
        line.push_back({px, up ? hi : lo});
      }
      up = !up;
    }
    flush();
  };
  for (const auto& curve : m_curves) {
    if (!curve->visible || curve->data.empty()) continue;
    const CurveData& data = curve->data;
    if (data.hasBand()) {
      ColumnExtents lower, upper;
      lower.update(grid, data.x(), data.points().lower, data.lowerTree(), 1);
      upper.update(grid, data.x(), data.points().upper, data.upperTree(), 1);
      QPolygonF shape;
      for (size_t c = 0; c < upper.hi().size(); ++c)
        if (!std::isnan(upper.hi()[c]))
          shape.push_back({area.left() + (static_cast<double>(c) + 0.5) / ratio,
                           area.top() + (grid.rowScale * upper.hi()[c] + grid.rowOffset) / ratio});
      for (size_t c = lower.lo().size(); c-- > 0;)
        if (!std::isnan(lower.lo()[c]))
          shape.push_back({area.left() + (static_cast<double>(c) + 0.5) / ratio,
                           area.top() + (grid.rowScale * lower.lo()[c] + grid.rowOffset) / ratio});
      painter->setPen(Qt::NoPen);
      painter->setBrush(QColor::fromRgba(withAlpha(curve->style.colour, kBandOpacity)));
      painter->drawPolygon(shape);
    }
    if (!curve->style.line) continue;
    const SmoothedCurve* smoothed = data.smoothed();
    ColumnExtents raw;
    raw.update(grid, data.x(), data.y(), data.tree(), 1);
    strokes(raw, QPen(QColor::fromRgba(withAlpha(curve->style.colour, smoothed ? kRawOpacity : 1)), smoothed ? 0.8 : 1.3,
                      smoothed ? Qt::SolidLine : curve->style.dash));
    if (!smoothed) continue;
    ColumnExtents smooth;
    smooth.update(grid, data.x(), smoothed->y, smoothed->tree, 1);
    strokes(smooth, QPen(curve->style.colour, 1.4, curve->style.dash));
  }
  painter->restore();
}

const PlotCurve* CurveLayer::curveAt(const QPointF& position, double tolerance) const {
  const QCPAxis* kx = keyAxis();
  const QCPAxis* vy = valueAxis();
  const double left = kx->pixelToCoord(position.x() - tolerance), right = kx->pixelToCoord(position.x() + tolerance);
  const PlotCurve* best = nullptr;
  double bestDistance = tolerance;
  for (const auto& curve : m_curves) {
    if (!curve->visible || curve->data.empty()) continue;
    auto [begin, end] = curve->data.indexRange(std::min(left, right), std::max(left, right));
    // With the neighbours, so that a line between far points can be met as well.
    const size_t from = begin > 0 ? begin - 1 : 0, to = std::min(end + 1, curve->data.size());
    double distance = 1e9;
    if (end > begin) {
      const Extent e = curve->data.extent(begin, end, true);
      if (!e.empty()) {
        const double top = vy->coordToPixel(e.hi), bottom = vy->coordToPixel(e.lo);
        distance = position.y() < top ? top - position.y() : position.y() > bottom ? position.y() - bottom : 0;
      }
    }
    if (distance > tolerance && to - from >= 2 && to - from < 64) {
      const std::vector<double>& y = curve->data.smoothed() ? curve->data.smoothed()->y : curve->data.y();
      for (size_t i = from; i + 1 < to; ++i) {
        if (!std::isfinite(y[i]) || !std::isfinite(y[i + 1])) continue;
        const QCPVector2D p(position), a(kx->coordToPixel(curve->data.x()[i]), vy->coordToPixel(y[i])),
            b(kx->coordToPixel(curve->data.x()[i + 1]), vy->coordToPixel(y[i + 1]));
        distance = std::min(distance, std::sqrt(p.distanceSquaredToLine(a, b)));
      }
    }
    if (distance < bestDistance || (distance <= bestDistance && !best)) {
      bestDistance = distance;
      best = curve.get();
    }
  }
  return best;
}

}  // namespace rankscope::ui
