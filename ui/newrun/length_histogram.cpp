#include "ui/newrun/length_histogram.h"

#include <QHelpEvent>
#include <QLocale>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <numeric>

#include "ui/theme/theme.h"

namespace rankscope::ui {

LengthHistogram::LengthHistogram(QWidget* parent) : QWidget(parent) {
  setObjectName("lengthHistogram");
  setAccessibleName(tr("Row lengths in tokens"));
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void LengthHistogram::setData(QVector<double> edges, QVector<double> counts, double cutOff, double rowsOver,
                              double tokensLostShare) {
  m_edges = std::move(edges);
  m_counts = std::move(counts);
  if (m_edges.size() != m_counts.size() + 1) {
    m_edges.clear();
    m_counts.clear();
  }
  m_cutOff = cutOff;
  m_rowsOver = rowsOver;
  m_lost = tokensLostShare;
  setAccessibleDescription(verdict());
  update();
}

void LengthHistogram::clear() { setData({}, {}, 0, 0, 0); }

QString LengthHistogram::verdict() const {
  if (m_counts.isEmpty()) return {};
  const QLocale locale;
  const double rows = std::accumulate(m_counts.begin(), m_counts.end(), 0.0);
  if (m_rowsOver < 1) return tr("No row is longer than the cut-off of %1 tokens.").arg(locale.toString(qlonglong(m_cutOff)));
  return tr("%1 of %2 rows are cut at %3 tokens; %4% of the tokens are lost.")
      .arg(locale.toString(qlonglong(m_rowsOver)), locale.toString(qlonglong(rows)), locale.toString(qlonglong(m_cutOff)),
           locale.toString(100 * m_lost, 'f', m_lost < 0.01 ? 2 : 1));
}

QRectF LengthHistogram::plotRect() const {
  const int label = QFontMetrics(Theme::instance().smallFont()).height();
  return QRectF(0.5, label + 4, width() - 1, height() - 2 * label - 8);
}

double LengthHistogram::xEnd() const {
  return m_edges.isEmpty() ? 1 : std::max(m_edges.back(), m_cutOff * 1.08);
}

void LengthHistogram::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  const auto& colours = ui::palette();
  painter.setFont(Theme::tabular(Theme::instance().smallFont()));
  const QRectF plot = plotRect();
  if (m_counts.isEmpty()) {
    painter.setPen(colours.textMuted);
    painter.drawText(rect(), Qt::AlignCenter | Qt::TextWordWrap, tr("Row lengths appear with a model and a data file."));
    return;
  }
  const double most = std::max(1.0, *std::max_element(m_counts.begin(), m_counts.end()));
  const auto x = [&](double length) { return plot.left() + plot.width() * length / xEnd(); };
  for (int i = 0; i < m_counts.size(); ++i) {
    if (m_counts[i] <= 0) continue;
    const double h = std::max(1.0, plot.height() * m_counts[i] / most);
    const double left = x(m_edges[i]), right = x(m_edges[i + 1]);
    const bool over = m_cutOff > 0 && m_edges[i] >= m_cutOff;
    painter.fillRect(QRectF(left, plot.bottom() - h, std::max(1.0, right - left - 1), h),
                     over ? colours.warning : mixed(colours.accent, colours.field, 0.25));
  }
  painter.setPen(colours.rule);
  painter.drawLine(plot.bottomLeft(), plot.bottomRight());
  const QLocale locale;
  if (m_cutOff > 0) {
    const double at = x(m_cutOff);
    painter.setPen(QPen(m_rowsOver > 0 ? colours.warning : colours.textMuted, 1.5, Qt::DashLine));
    painter.drawLine(QPointF(at, plot.top() - 2), QPointF(at, plot.bottom()));
    painter.setPen(colours.textMuted);
    const QString label = tr("cut at %1").arg(locale.toString(qlonglong(m_cutOff)));
    const int w = QFontMetrics(painter.font()).horizontalAdvance(label);
    painter.drawText(QPointF(std::clamp(at - w / 2.0, 0.0, double(width() - w)), plot.top() - 5), label);
  }
  painter.setPen(colours.textMuted);
  const QRectF axis(0, plot.bottom() + 2, width(), height() - plot.bottom() - 2);
  painter.drawText(axis, Qt::AlignLeft | Qt::AlignTop, "0");
  painter.drawText(axis, Qt::AlignHCenter | Qt::AlignTop, tr("tokens per row"));
  painter.drawText(axis, Qt::AlignRight | Qt::AlignTop, locale.toString(qlonglong(xEnd())));
}

bool LengthHistogram::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip && !m_counts.isEmpty()) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const double length = (help->pos().x() - plotRect().left()) / plotRect().width() * xEnd();
    for (int i = 0; i < m_counts.size(); ++i) {
      if (length < m_edges[i] || length >= m_edges[i + 1]) continue;
      const QLocale locale;
      QToolTip::showText(help->globalPos(),
                         tr("%1 to %2 tokens: %3 rows")
                             .arg(locale.toString(qlonglong(m_edges[i])), locale.toString(qlonglong(m_edges[i + 1])),
                                  locale.toString(qlonglong(m_counts[i]))),
                         this);
      return true;
    }
  }
  return QWidget::event(event);
}

}  // namespace rankscope::ui
