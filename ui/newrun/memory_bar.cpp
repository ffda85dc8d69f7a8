#include "ui/newrun/memory_bar.h"

#include <QHelpEvent>
#include <QLocale>
#include <QPainter>
#include <QToolTip>

#include "ui/shell/format.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kBarHeight = 16;
constexpr int kGaugeGap = 4;
constexpr int kGaugeHeight = 4;
constexpr int kSwatch = 8;


}  // namespace

MemoryBar::MemoryBar(QWidget* parent) : QWidget(parent) {
  setObjectName("memoryBar");
  setAccessibleName(tr("Memory estimate"));
  QSizePolicy policy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  setSizePolicy(policy);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void MemoryBar::setParts(QVector<MemoryPart> parts, double available) {
  m_parts = std::move(parts);
  m_available = available;
  QStringList words;
  for (const auto& part : m_parts) words << tr("%1 %2").arg(part.title, formatBytes(part.bytes));
  setAccessibleDescription(words.join(", ") + tr("; total %1 of %2").arg(formatBytes(total()), formatBytes(m_available)));
  updateGeometry();
  update();
}

void MemoryBar::clear() { setParts({}, 0); }

double MemoryBar::total() const {
  double sum = 0;
  for (const auto& part : m_parts) sum += part.bytes;
  return sum;
}

int MemoryBar::columns() const { return 2; }

QSize MemoryBar::sizeHint() const {
  const int rows = (static_cast<int>(m_parts.size()) + columns() - 1) / columns();
  const int line = QFontMetrics(Theme::instance().smallFont()).height() + 4;
  return {280, kBarHeight + kGaugeGap + kGaugeHeight + space::kUnit + line + rows * line};
}

QSize MemoryBar::minimumSizeHint() const { return {200, sizeHint().height()}; }

QRectF MemoryBar::barRect() const { return QRectF(0.5, 0.5, width() - 1, kBarHeight); }

QColor MemoryBar::colourOf(int part) const { return categoryColour(part); }

void MemoryBar::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  const auto& colours = ui::palette();
  const QRectF bar = barRect();
  const double sum = total();
  painter.fillRect(bar, colours.field);
  double x = bar.left();
  for (int i = 0; i < m_parts.size() && sum > 0; ++i) {
    const double w = bar.width() * m_parts[i].bytes / sum;
    painter.fillRect(QRectF(x, bar.top(), w, bar.height()), colourOf(i));
    x += w;
  }
  painter.setPen(colours.ruleStrong);
  painter.drawRect(bar);
  // Below, on the scale of what the machine can give: the line not to cross is its end.
  const QRectF gauge(bar.left(), bar.bottom() + kGaugeGap, bar.width(), kGaugeHeight);
  painter.fillRect(gauge, colours.rule);
  if (m_available > 0 && sum > 0) {
    const double share = std::min(1.0, sum / m_available);
    painter.fillRect(QRectF(gauge.left(), gauge.top(), std::max(2.0, gauge.width() * share), gauge.height()),
                     fits() ? colours.accent : colours.danger);
  }
  painter.setFont(Theme::tabular(Theme::instance().smallFont()));
  const QFontMetrics metrics(painter.font());
  const int line = metrics.height() + 4;
  int y = static_cast<int>(gauge.bottom()) + space::kHalf;
  painter.setPen(sum <= 0 ? colours.textMuted : fits() ? colours.text : colours.danger);
  QString totals = sum > 0 ? tr("%1 in all").arg(formatBytes(sum)) : tr("No estimate yet");
  if (sum > 0 && m_available > 0) {
    totals = fits() ? tr("%1 of %2 available (%3)").arg(formatBytes(sum), formatBytes(m_available), formatShare(sum / m_available))
                    : tr("%1, but only %2 available").arg(formatBytes(sum), formatBytes(m_available));
  }
  painter.drawText(QRect(0, y, width(), line), Qt::AlignLeft | Qt::AlignVCenter, totals);
  y += line;
  const int columnWidth = (width() + space::kWide) / columns();
  for (int i = 0; i < m_parts.size(); ++i) {
    const QRect cell((i % columns()) * columnWidth, y + (i / columns()) * line, columnWidth - space::kWide, line);
    painter.fillRect(QRect(cell.left(), cell.center().y() - kSwatch / 2, kSwatch, kSwatch), colourOf(i));
    painter.setPen(colours.textMuted);
    painter.drawText(cell.adjusted(kSwatch + 6, 0, 0, 0), Qt::AlignLeft | Qt::AlignVCenter, m_parts[i].title);
    painter.setPen(colours.text);
    painter.drawText(cell, Qt::AlignRight | Qt::AlignVCenter, formatBytes(m_parts[i].bytes));
  }
}

bool MemoryBar::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const double scale = total();
    double x = barRect().left();
    for (const auto& part : m_parts) {
      const double w = scale > 0 ? barRect().width() * part.bytes / scale : 0;
      if (help->pos().x() >= x && help->pos().x() < x + w && help->pos().y() <= kBarHeight) {
        QToolTip::showText(help->globalPos(),
                           tr("%1: %2, %3% of the total")
                               .arg(part.title, formatBytes(part.bytes), QLocale().toString(100 * part.bytes / total(), 'f', 1)),
                           this);
        return true;
      }
      x += w;
    }
    QToolTip::hideText();
    event->ignore();
    return true;
  }
  return QWidget::event(event);
}

}  // namespace rankscope::ui
