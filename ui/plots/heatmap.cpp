#include "ui/plots/heatmap.h"

#include "ui/shell/format.h"
#include "ui/theme/theme.h"

#include <QLocale>
#include <QPainter>

#include <cmath>

namespace rankscope::ui {

namespace {

constexpr int kScaleWidth = 12;
constexpr int kGap = 6;

}  // namespace

Heatmap::Heatmap(QWidget* parent) : QWidget(parent) {
  setMouseTracking(true);
  setFocusPolicy(Qt::StrongFocus);
  m_emptyText = tr("Nothing to draw yet");
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    m_cache = {};
    update();
  });
}

void Heatmap::setValues(int rows, int columns, std::vector<float> values) {
  Q_ASSERT(values.size() == static_cast<size_t>(rows) * static_cast<size_t>(columns));
  m_rows = rows;
  m_columns = columns;
  m_values = std::move(values);
  if (m_selected && (m_selected->x() >= columns || m_selected->y() >= rows)) m_selected.reset();
  m_hovered.reset();
  m_cache = {};
  updateRange();
  update();
}

void Heatmap::clear() { setValues(0, 0, {}); }

float Heatmap::value(int row, int column) const {
  return m_values[static_cast<size_t>(row) * static_cast<size_t>(m_columns) + static_cast<size_t>(column)];
}

void Heatmap::setTitle(const QString& title) {
  m_title = title;
  setAccessibleName(title);
  setAccessibleDescription(tr("Heatmap. Arrow keys choose a cell, Return opens it."));
  update();
}
void Heatmap::setAxisTitles(const QString& columns, const QString& rows) {
  m_columnsTitle = columns;
  m_rowsTitle = rows;
  update();
}
void Heatmap::setRowLabels(const QStringList& labels) {
  m_rowLabels = labels;
  m_cache = {};
  update();
}
void Heatmap::setColumnLabels(const QStringList& labels) {
  m_columnLabels = labels;
  m_cache = {};
  update();
}
void Heatmap::setValueTitle(const QString& title) {
  m_valueTitle = title;
  update();
}
void Heatmap::setColourMap(ColourMap map) {
  m_map = map;
  m_cache = {};
  updateRange();
  update();
}
void Heatmap::setRange(double lower, double upper) {
  m_autoRange = false;
  m_lower = lower;
  m_upper = upper > lower ? upper : lower + 1;
  m_cache = {};
  update();
}
void Heatmap::setAutoRange() {
  m_autoRange = true;
  m_cache = {};
  updateRange();
  update();
}
void Heatmap::setEmptyText(const QString& text) {
  m_emptyText = text;
  update();
}
void Heatmap::setSquareCells(bool on) {
  m_square = on;
  m_cache = {};
  update();
}
void Heatmap::setDecimals(int decimals) {
  m_decimals = decimals;
  update();
}
void Heatmap::setMarkedColumns(std::vector<int> columns) {
  m_marked = std::move(columns);
  update();
}
void Heatmap::setSelected(int row, int column) {
  if (row < 0 || column < 0 || row >= m_rows || column >= m_columns)
    m_selected.reset();
  else
    m_selected = QPoint(column, row);
  update();
}

void Heatmap::updateRange() {
  if (!m_autoRange) return;
  double lower = std::numeric_limits<double>::infinity(), upper = -lower;
  for (const float v : m_values) {
    if (!std::isfinite(v)) continue;
    lower = std::min(lower, static_cast<double>(v));
    upper = std::max(upper, static_cast<double>(v));
  }
  if (lower > upper) lower = 0, upper = 1;
  if (m_map == ColourMap::Diverging) {
    upper = std::max(std::abs(lower), std::abs(upper));
    lower = -upper;
  }
  if (!(upper > lower)) upper = lower + (lower == 0 ? 1 : std::abs(lower) * 0.1);
  m_lower = lower;
  m_upper = upper;
}

QString Heatmap::rowLabel(int row) const { return row < m_rowLabels.size() ? m_rowLabels[row] : QString::number(row + 1); }
QString Heatmap::columnLabel(int column) const {
  return column < m_columnLabels.size() ? m_columnLabels[column] : QString::number(column + 1);
}

QString Heatmap::format(double value) const {
  if (!std::isfinite(value)) return tr("not measured");
  const double magnitude = std::abs(value);
  if (magnitude != 0 && (magnitude < 1e-3 || magnitude >= 1e6)) return formatNumber(value, std::max(2, m_decimals));
  return QLocale().toString(value, 'f', m_decimals);
}

Heatmap::Layout Heatmap::layoutFor(const QSizeF& size) const {
  const QFontMetricsF metrics(Theme::instance().smallFont());
  double left = metrics.height() * (m_rowsTitle.isEmpty() ? 0 : 1) + kGap * 2;
  double widest = metrics.horizontalAdvance(QString::number(m_rows));
  for (const QString& label : m_rowLabels) widest = std::max(widest, metrics.horizontalAdvance(label));
  left += std::min(widest, 140.0);
  const double top = (m_title.isEmpty() ? 0 : QFontMetricsF(Theme::instance().uiFont()).height() + kGap) + kGap;
  double labelHeight = metrics.height();
  if (!m_columnLabels.isEmpty()) {  // slanted when they do not fit side by side
    double longest = 0;
    for (const QString& label : m_columnLabels) longest = std::max(longest, metrics.horizontalAdvance(label));
    const double each = (size.width() - left - 90) / std::max(1, m_columns);
    if (longest + 4 > each) labelHeight = std::min(longest, 110.0) * 0.75 + metrics.height() * 0.5;
  }
  const double bottom = labelHeight + (m_columnsTitle.isEmpty() ? 0 : metrics.height()) + kGap * 2;
  const double scaleRoom = kGap * 2 + kScaleWidth + 6 +
                           std::max(metrics.horizontalAdvance(format(m_upper)), metrics.horizontalAdvance(format(m_lower))) +
                           (m_valueTitle.isEmpty() ? 0 : metrics.height() + 2) + kGap;
  Layout layout;
  layout.cells = QRectF(left, top, std::max(1.0, size.width() - left - scaleRoom), std::max(1.0, size.height() - top - bottom));
  layout.cellWidth = layout.cells.width() / std::max(1, m_columns);
  layout.cellHeight = layout.cells.height() / std::max(1, m_rows);
  if (m_square) {
    const double side = std::min(layout.cellWidth, layout.cellHeight);
    layout.cellWidth = layout.cellHeight = side;
    layout.cells.setSize({side * m_columns, side * m_rows});
  }
  layout.scale = QRectF(layout.cells.right() + kGap * 2, top, kScaleWidth, layout.cells.height());
  return layout;
}

// One image pixel per device pixel. Where several cells share a pixel, the strongest one shows.
QImage Heatmap::cellImage(const QSize& pixels) const {
  QImage image(pixels, QImage::Format_RGB32);
  const QRgb missing = mixed(colours().field, colours().textMuted, 0.25).rgb();
  const QRgb missingLine = mixed(colours().field, colours().textMuted, 0.5).rgb();
  std::vector<QRgb> table(1024);
  for (size_t i = 0; i < table.size(); ++i) table[i] = mapColour(m_map, static_cast<double>(i) / 1023.0).rgb();
  const auto colourOf = [&](float v) {
    const double share = (static_cast<double>(v) - m_lower) / (m_upper - m_lower);
    return table[static_cast<size_t>(std::clamp(share, 0.0, 1.0) * 1023.0)];
  };
  const auto stronger = [&](float a, float b) {
    if (!std::isfinite(a)) return b;
    if (!std::isfinite(b)) return a;
    return (m_map == ColourMap::Diverging ? std::abs(b) > std::abs(a) : b > a) ? b : a;
  };
  for (int py = 0; py < pixels.height(); ++py) {
    const int r0 = std::min(m_rows - 1, py * m_rows / pixels.height());
    const int r1 = std::clamp((py + 1) * m_rows / pixels.height(), r0 + 1, m_rows);
    auto* line = reinterpret_cast<QRgb*>(image.scanLine(py));
    for (int px = 0; px < pixels.width(); ++px) {
      const int c0 = std::min(m_columns - 1, static_cast<int>(static_cast<qint64>(px) * m_columns / pixels.width()));
      const int c1 = std::clamp(static_cast<int>((static_cast<qint64>(px) + 1) * m_columns / pixels.width()), c0 + 1, m_columns);
      float v = value(r0, c0);
      for (int r = r0; r < r1; ++r)
        for (int c = c0; c < c1; ++c) v = stronger(v, value(r, c));
      line[px] = std::isfinite(v) ? colourOf(v) : ((px + py) % 6 == 0 ? missingLine : missing);
    }
  }
  return image;
}

void Heatmap::paintAll(QPainter& painter, const QSizeF& size, bool forExport) const {
  painter.fillRect(QRectF(QPointF(0, 0), size), colours().field);
  painter.setFont(Theme::instance().uiFont());
  if (!m_title.isEmpty()) {
    QFont bold = Theme::instance().uiFont();
    bold.setWeight(QFont::DemiBold);
    painter.setFont(bold);
    painter.setPen(colours().text);
    painter.drawText(QRectF(8, 4, size.width() - 16, QFontMetricsF(bold).height()), Qt::AlignLeft | Qt::AlignVCenter,
                     QFontMetricsF(bold).elidedText(m_title, Qt::ElideRight, size.width() - 16));
  }
  painter.setFont(Theme::instance().smallFont());
  if (m_values.empty()) {
    painter.setPen(colours().textMuted);
    painter.drawText(QRectF(QPointF(16, 16), size - QSizeF(32, 32)), Qt::AlignCenter | Qt::TextWordWrap, m_emptyText);
    return;
  }
  const Layout layout = layoutFor(size);
  const double ratio = forExport ? 3.0 : painter.device()->devicePixelRatioF();
  const QSize pixels(std::max(1, qRound(layout.cells.width() * ratio)), std::max(1, qRound(layout.cells.height() * ratio)));
  if (forExport) {
    painter.drawImage(layout.cells, cellImage(pixels));
  } else {
    if (m_cache.size() != pixels) m_cache = cellImage(pixels);
    painter.drawImage(layout.cells, m_cache);
  }
  paintAxes(painter, layout);
  paintScale(painter, layout);
  const auto frame = [&](const QPoint& cell, const QColor& colour, double width) {
    const QRectF r(layout.cells.left() + cell.x() * layout.cellWidth, layout.cells.top() + cell.y() * layout.cellHeight,
                   layout.cellWidth, layout.cellHeight);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(colours().field, width + 2));
    painter.drawRect(r);
    painter.setPen(QPen(colour, width));
    painter.drawRect(r);
  };
  if (m_selected) frame(*m_selected, hasFocus() ? colours().accent : colours().text, 2);
  if (m_hovered && !forExport && (!m_selected || *m_hovered != *m_selected)) frame(*m_hovered, colours().text, 1);
}

void Heatmap::paintAxes(QPainter& painter, const Layout& layout) const {
  const QFontMetricsF metrics(painter.font());
  const double lineHeight = metrics.height();
  const auto isMarked = [&](int column) { return std::find(m_marked.begin(), m_marked.end(), column) != m_marked.end(); };
  // Rows: every label that has the room for a line of text.
  const int rowStep = std::max(1, static_cast<int>(std::ceil(lineHeight / layout.cellHeight)));
  painter.setPen(colours().textMuted);
  for (int row = 0; row < m_rows; row += rowStep) {
    const double y = layout.cells.top() + (row + 0.5) * layout.cellHeight;
    const double width = std::min(140.0, layout.cells.left() - 8);
    painter.drawText(QRectF(layout.cells.left() - width - kGap, y - lineHeight / 2, width, lineHeight),
                     Qt::AlignRight | Qt::AlignVCenter, metrics.elidedText(rowLabel(row), Qt::ElideLeft, width));
  }
  double longest = metrics.horizontalAdvance(QString::number(m_columns));
  for (const QString& label : m_columnLabels) longest = std::max(longest, metrics.horizontalAdvance(label));
  const bool slanted = !m_columnLabels.isEmpty() && longest + 4 > layout.cellWidth;
  const double perLabel = slanted ? lineHeight : longest + 6;
  const int columnStep = std::max(1, static_cast<int>(std::ceil(perLabel / layout.cellWidth)));
  double below = layout.cells.bottom() + 3;
  for (int column = 0; column < m_columns; ++column) {
    if (column % columnStep != 0 && !isMarked(column)) continue;
    painter.setPen(isMarked(column) ? colours().danger : colours().textMuted);
    const double x = layout.cells.left() + (column + 0.5) * layout.cellWidth;
    if (isMarked(column)) {
      painter.drawLine(QLineF(x, layout.cells.bottom() + 1, x, layout.cells.bottom() + 4));
      if (column % columnStep != 0) continue;
    }
    if (slanted) {
      painter.save();
      painter.translate(x + lineHeight * 0.2, below + lineHeight * 0.3);
      painter.rotate(-48);
      const QString text = metrics.elidedText(columnLabel(column), Qt::ElideRight, 110);
      painter.drawText(QPointF(-metrics.horizontalAdvance(text), metrics.ascent() / 2), text);
      painter.restore();
    } else {
      painter.drawText(QRectF(x - perLabel, below, perLabel * 2, lineHeight), Qt::AlignHCenter | Qt::AlignTop, columnLabel(column));
    }
  }
  below += slanted ? std::min(longest, 110.0) * 0.75 + lineHeight * 0.5 : lineHeight;
  painter.setPen(colours().textMuted);
  if (!m_columnsTitle.isEmpty())
    painter.drawText(QRectF(layout.cells.left() - 40, below, layout.cells.width() + 80, lineHeight), Qt::AlignCenter, m_columnsTitle);
  if (!m_rowsTitle.isEmpty()) {
    painter.save();
    painter.translate(kGap / 2.0, layout.cells.center().y());
    painter.rotate(-90);
    painter.drawText(QRectF(-layout.cells.height() / 2 - 40, 0, layout.cells.height() + 80, lineHeight), Qt::AlignCenter, m_rowsTitle);
    painter.restore();
  }
}

void Heatmap::paintScale(QPainter& painter, const Layout& layout) const {
  const QFontMetricsF metrics(painter.font());
  QImage ramp(1, 256, QImage::Format_RGB32);
  for (int i = 0; i < 256; ++i) ramp.setPixel(0, i, mapColour(m_map, 1 - i / 255.0).rgb());
  painter.setRenderHint(QPainter::SmoothPixmapTransform, true);
  painter.drawImage(layout.scale, ramp);
  painter.setPen(colours().textMuted);
  const double lineHeight = metrics.height();
  const int steps = layout.scale.height() > lineHeight * 8 ? 4 : layout.scale.height() > lineHeight * 4 ? 2 : 1;
  for (int i = 0; i <= steps; ++i) {
    const double share = static_cast<double>(i) / steps;
    const double y = layout.scale.bottom() - share * layout.scale.height();
    const double centre = std::clamp(y, layout.scale.top() + lineHeight / 2, layout.scale.bottom() - lineHeight / 2);
    painter.drawText(QPointF(layout.scale.right() + 5, centre - lineHeight / 2 + metrics.ascent()),
                     format(m_lower + share * (m_upper - m_lower)));
  }
  if (m_hovered) {
    const double v = static_cast<double>(value(m_hovered->y(), m_hovered->x()));
    if (std::isfinite(v)) {
      const double y = layout.scale.bottom() - std::clamp((v - m_lower) / (m_upper - m_lower), 0.0, 1.0) * layout.scale.height();
      painter.setPen(QPen(colours().text, 2));
      painter.drawLine(QLineF(layout.scale.left() - 3, y, layout.scale.right() + 3, y));
    }
  }
  if (m_valueTitle.isEmpty()) return;
  painter.setPen(colours().textMuted);
  painter.save();
  const double widest = std::max(metrics.horizontalAdvance(format(m_upper)), metrics.horizontalAdvance(format(m_lower)));
  painter.translate(layout.scale.right() + 8 + widest, layout.scale.center().y());
  painter.rotate(-90);
  painter.drawText(QRectF(-layout.scale.height() / 2 - 40, 0, layout.scale.height() + 80, lineHeight), Qt::AlignCenter, m_valueTitle);
  painter.restore();
}

}  // namespace rankscope::ui
