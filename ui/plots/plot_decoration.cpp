// Marks, labels and the cursor of a plot (plot_scene.h).
#include "ui/plots/plot_scene.h"

#include "ui/shell/format.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {

namespace {

constexpr size_t kMostDirectLabels = 8;
constexpr int kMostLabelWidth = 150;
constexpr size_t kMostReadoutLines = 14;

void drawSwatch(QCPPainter* painter, const QRectF& rect, const QColor& colour, Qt::PenStyle dash) {
  painter->setPen(QPen(colour, 2, dash));
  painter->drawLine(QLineF(rect.left(), rect.center().y(), rect.right(), rect.center().y()));
}

}  // namespace

MarkLayer::MarkLayer(QCPAxisRect* rect) : QCPLayerable(rect->parentPlot(), QStringLiteral("main")), m_rect(rect) {}

double MarkLayer::place(const PlotMark& mark, XAxis axis) {
  switch (axis) {
    case XAxis::Epoch: return mark.epoch;
    case XAxis::Tokens: return mark.tokens;
    case XAxis::Time: return mark.seconds;
    case XAxis::Step: break;
  }
  return mark.step;
}

void MarkLayer::draw(QCPPainter* painter) {
  if (marks.empty()) return;
  const QCPAxis* x = m_rect->axis(QCPAxis::atBottom);
  const QRect area = m_rect->rect();
  painter->setFont(Theme::instance().smallFont());
  const QFontMetrics metrics(painter->font());
  int freeFrom = area.left();
  for (const PlotMark& mark : marks) {
    const double px = x->coordToPixel(place(mark, axis));
    if (px < area.left() || px > area.right()) continue;
    const QColor colour = mark.colour.isValid() ? mark.colour : colours().textMuted;
    QPen pen(colour, 1, Qt::CustomDashLine);
    pen.setDashPattern({2, 3});
    painter->setPen(pen);
    painter->drawLine(QLineF(px, area.top(), px, area.bottom()));
    const int left = static_cast<int>(px) + 4;
    if (mark.text.isEmpty() || left < freeFrom) continue;
    const QString text = metrics.elidedText(mark.text, Qt::ElideRight, 130);
    const int width = metrics.horizontalAdvance(text);
    if (left + width > area.right()) continue;
    painter->setPen(colour);
    painter->drawText(QPointF(left, area.top() + metrics.ascent() + 2), text);
    freeFrom = left + width + 8;
  }
}

LabelLayer::LabelLayer(QCPAxisRect* rect, PlotCurves& curves)
    : QCPLayerable(rect->parentPlot(), QStringLiteral("axes")), m_rect(rect), m_curves(curves) {}

std::vector<const PlotCurve*> LabelLayer::labelled() const {
  std::vector<const PlotCurve*> list;
  if (!enabled) return list;
  for (const auto& curve : m_curves)
    if (curve->visible && !curve->label.isEmpty() && !curve->data.empty()) list.push_back(curve.get());
  if (list.size() > kMostDirectLabels) list.clear();
  return list;
}

int LabelLayer::wantedMargin() const {
  const auto list = labelled();
  if (list.size() < 2) return 0;  // one curve is named by the title
  const QFontMetrics metrics(Theme::instance().smallFont());
  int widest = 0;
  for (const PlotCurve* curve : list) widest = std::max(widest, metrics.horizontalAdvance(curve->label));
  const int width = std::min(widest, kMostLabelWidth) + 10;
  return width * 4 > m_rect->outerRect().width() ? 0 : width;
}

bool LabelLayer::curveRunsThrough(const QRect& place) const {
  const QCPAxis* x = m_rect->axis(QCPAxis::atBottom);
  const QCPAxis* y = m_rect->axis(QCPAxis::atLeft);
  return std::any_of(m_curves.begin(), m_curves.end(), [&](const auto& curve) {
    if (!curve->visible) return false;
    auto [begin, end] = curve->data.indexRange(x->pixelToCoord(place.left()), x->pixelToCoord(place.right()));
    if (begin > 0) --begin;  // the line comes from there
    if (end < curve->data.size()) ++end;
    if (begin == end) return false;
    const Extent extent = curve->data.extent(begin, end, false);
    return y->coordToPixel(extent.hi) <= place.bottom() && y->coordToPixel(extent.lo) >= place.top();
  });
}

void LabelLayer::draw(QCPPainter* painter) {
  const QRect area = m_rect->rect();
  painter->setFont(Theme::instance().smallFont());
  const QFontMetrics metrics(painter->font());
  const bool nothing = std::none_of(m_curves.begin(), m_curves.end(),
                                    [](const auto& curve) { return curve->visible && !curve->data.empty(); });
  if (nothing) {
    painter->setPen(colours().textMuted);
    painter->drawText(area.adjusted(8, 0, -8, 0), Qt::AlignCenter | Qt::TextWordWrap, emptyText);
    return;
  }
  if (!note.isEmpty()) {
    // At the right above, or the next corner where no curve runs behind it.
    const QRect inside = area.adjusted(4, 2, -4, -2);
    Qt::Alignment corner = Qt::AlignRight | Qt::AlignTop;
    for (const Qt::Alignment each : {corner, Qt::AlignRight | Qt::AlignBottom, Qt::AlignLeft | Qt::AlignBottom}) {
      if (curveRunsThrough(metrics.boundingRect(inside, static_cast<int>(each), note))) continue;
      corner = each;
      break;
    }
    painter->setPen(colours().textMuted);
    painter->drawText(inside, static_cast<int>(corner), note);
  }
  const auto list = labelled();
  if (list.size() < 2) return;

  const QCPAxis* x = m_rect->axis(QCPAxis::atBottom);
  const QCPAxis* y = m_rect->axis(QCPAxis::atLeft);
  const int height = metrics.height();
  if (wantedMargin() == 0) {  // no room at the side: a key inside, at the top left
    int left = area.left() + 6;
    for (const PlotCurve* curve : list) {
      const QString text = metrics.elidedText(curve->label, Qt::ElideMiddle, kMostLabelWidth);
      const int width = metrics.horizontalAdvance(text);
      if (left + 18 + width > area.right()) break;
      drawSwatch(painter, QRectF(left, area.top() + 3, 14, height), curve->style.colour, curve->style.dash);
      painter->setPen(colours().textMuted);
      painter->drawText(QPointF(left + 18, area.top() + 3 + metrics.ascent()), text);
      left += 18 + width + 14;
    }
    return;
  }
  // Each label stands where its curve leaves the picture; neighbours push each other apart.
  struct Place { const PlotCurve* curve; double y; };
  std::vector<Place> places;
  for (const PlotCurve* curve : list) {
    const auto [begin, end] = curve->data.indexRange(x->range().lower, x->range().upper);
    const std::vector<double>& values = curve->data.smoothed() ? curve->data.smoothed()->y : curve->data.y();
    double value = std::numeric_limits<double>::quiet_NaN();
    for (size_t i = end; i > begin && !std::isfinite(value); --i) value = values[i - 1];
    if (!std::isfinite(value)) continue;
    places.push_back({curve, std::clamp(y->coordToPixel(value), static_cast<double>(area.top()),
                                        static_cast<double>(area.bottom()))});
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.y < b.y; });
  for (int pass = 0; pass < 40; ++pass) {
    bool moved = false;
    for (size_t i = 0; i + 1 < places.size(); ++i) {
      const double overlap = places[i].y + height - places[i + 1].y;
      if (overlap <= 0.5) continue;
      places[i].y -= overlap / 2;
      places[i + 1].y += overlap / 2;
      moved = true;
    }
    for (Place& place : places)
      place.y = std::clamp(place.y, area.top() + height / 2.0, area.bottom() - height / 2.0 + 1);
    if (!moved) break;
  }
  for (const Place& place : places) {
    painter->setPen(mixed(place.curve->style.colour, colours().text, 0.25));
    painter->drawText(QPointF(area.right() + 7, place.y - height / 2.0 + metrics.ascent()),
                      metrics.elidedText(place.curve->label, Qt::ElideMiddle, kMostLabelWidth));
  }
}

CursorLayer::CursorLayer(QCPAxisRect* rect) : QCPLayerable(rect->parentPlot(), QStringLiteral("cursor")), m_rect(rect) {}

void CursorLayer::draw(QCPPainter* painter) {
  if (!box.isEmpty()) {
    QColor fill = colours().accent;
    fill.setAlphaF(0.12f);
    painter->setPen(QPen(colours().accent, 1));
    painter->setBrush(fill);
    painter->drawRect(box);
    painter->setBrush(Qt::NoBrush);
  }
  if (!shown) return;
  const QCPAxis* xAxis = m_rect->axis(QCPAxis::atBottom);
  const QCPAxis* yAxis = m_rect->axis(QCPAxis::atLeft);
  const QRect area = m_rect->rect();
  const double px = xAxis->coordToPixel(x);
  if (px < area.left() - 1 || px > area.right() + 1) return;
  painter->setPen(QPen(colours().textMuted, 1));
  painter->drawLine(QLineF(px, area.top(), px, area.bottom()));
  painter->setRenderHint(QPainter::Antialiasing, true);
  for (const PlotReadout& line : lines) {
    if (!line.valid) continue;
    const QPointF at(xAxis->coordToPixel(line.x), yAxis->coordToPixel(line.y));
    if (!area.contains(at.toPoint())) continue;
    painter->setPen(QPen(colours().field, 1.5));
    painter->setBrush(line.colour);
    painter->drawEllipse(at, 3.5, 3.5);
  }
  drawReadout(painter, area, px);
}

void CursorLayer::drawReadout(QCPPainter* painter, const QRect& area, double atX) const {
  painter->setFont(Theme::instance().smallFont());
  const QFontMetrics metrics(painter->font());
  std::vector<const PlotReadout*> shownLines;
  for (const PlotReadout& line : lines)
    if (line.valid) shownLines.push_back(&line);
  if (shownLines.empty()) return;
  size_t hidden = 0;
  if (shownLines.size() > kMostReadoutLines) {  // those nearest to the mouse
    const QCPAxis* yAxis = m_rect->axis(QCPAxis::atLeft);
    std::stable_sort(shownLines.begin(), shownLines.end(), [&](const PlotReadout* a, const PlotReadout* b) {
      return std::abs(yAxis->coordToPixel(a->y) - mouse.y()) < std::abs(yAxis->coordToPixel(b->y) - mouse.y());
    });
    hidden = shownLines.size() - kMostReadoutLines;
    shownLines.resize(kMostReadoutLines);
  }
  std::stable_sort(shownLines.begin(), shownLines.end(),
                   [](const PlotReadout* a, const PlotReadout* b) { return a->y > b->y; });
  QStringList names, values;
  int nameWidth = 0, valueWidth = 0;
  for (const PlotReadout* line : shownLines) {
    names << metrics.elidedText(line->label, Qt::ElideMiddle, 190);
    values << formatNumber(line->y, 4);
    nameWidth = std::max(nameWidth, metrics.horizontalAdvance(names.back()));
    valueWidth = std::max(valueWidth, metrics.horizontalAdvance(values.back()));
  }
  const QString more = hidden > 0 ? Plot::tr("and %n more", nullptr, static_cast<int>(hidden)) : QString();
  const int lineHeight = metrics.height() + 1;
  const int count = static_cast<int>(shownLines.size()) + 1 + (hidden > 0 ? 1 : 0);
  const int width = std::max({18 + nameWidth + 12 + valueWidth, metrics.horizontalAdvance(heading),
                              metrics.horizontalAdvance(more)}) + 16;
  const int height = count * lineHeight + 8;
  // Beside the cursor, on the side with more room, without leaving the plot's widget.
  const QRect view = m_rect->parentPlot()->viewport();
  double left = atX + 12;
  if (left + width > area.right() && atX - 12 - width > view.left()) left = atX - 12 - width;
  left = std::clamp(left, static_cast<double>(view.left() + 2), std::max<double>(view.left() + 2, view.right() - width - 2));
  double top = withReadout ? mouse.y() - height / 2.0 : area.top() + 4;
  top = std::clamp(top, static_cast<double>(view.top() + 2), std::max<double>(view.top() + 2, view.bottom() - height - 2));
  const QRectF frame(left, top, width, height);
  painter->setPen(QPen(colours().ruleStrong, 1));
  QColor ground = colours().panel;
  ground.setAlphaF(0.95f);
  painter->setBrush(ground);
  painter->drawRoundedRect(frame, 3, 3);
  double y = top + 4 + metrics.ascent();
  painter->setPen(colours().textMuted);
  painter->drawText(QPointF(left + 8, y), heading);
  for (size_t i = 0; i < shownLines.size(); ++i) {
    y += lineHeight;
    const auto at = static_cast<qsizetype>(i);
    painter->setPen(QPen(shownLines[i]->colour, 2));
    painter->drawLine(QLineF(left + 8, y - metrics.ascent() / 2.6, left + 20, y - metrics.ascent() / 2.6));
    painter->setPen(colours().text);
    painter->drawText(QPointF(left + 26, y), names[at]);
    painter->drawText(QPointF(left + width - 8 - metrics.horizontalAdvance(values[at]), y), values[at]);
  }
  if (hidden > 0) {
    painter->setPen(colours().textMuted);
    painter->drawText(QPointF(left + 26, y + lineHeight), more);
  }
}

}  // namespace rankscope::ui
