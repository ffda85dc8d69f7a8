#include "ui/newrun/token_view.h"

#include <QHelpEvent>
#include <QLocale>
#include <QPainter>
#include <QScrollBar>
#include <QToolTip>

#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kMargin = 8;
constexpr int kGutter = 48;  // row number, and length below it
constexpr int kPad = 3;
constexpr int kRowGap = 10;

}  // namespace

QString visibleToken(const QString& text) {
  QString shown = text;
  shown.replace(QChar(0x2581), QChar(' '));  // sentencepiece's mark of a space
  shown.replace('\n', QStringLiteral("⏎")).replace('\t', QStringLiteral("⇥")).replace('\r', QStringLiteral("␍"));
  if (shown.startsWith(' ')) shown.replace(0, 1, QStringLiteral("·"));
  if (shown.endsWith(' ')) shown.replace(shown.size() - 1, 1, QStringLiteral("·"));
  return shown.isEmpty() ? QStringLiteral("∅") : shown;
}

TokenView::TokenView(QWidget* parent) : QAbstractScrollArea(parent) {
  setObjectName("tokenView");
  setAccessibleName(tr("First rows as tokens"));
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setFocusPolicy(Qt::StrongFocus);
  setFrameShape(QFrame::NoFrame);
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    layOut();
    viewport()->update();
  });
}

void TokenView::setRows(std::vector<PreviewRow> rows) {
  m_rows = std::move(rows);
  m_message.clear();
  QStringList texts;
  for (const auto& row : m_rows) {
    QString text;
    for (const auto& token : row.tokens) text += token.text;
    texts << text.replace(QChar(0x2581), ' ');
  }
  setAccessibleDescription(texts.mid(0, 3).join('\n'));
  layOut();
  viewport()->update();
}

void TokenView::setMessage(const QString& message) {
  m_rows.clear();
  m_message = message;
  setAccessibleDescription(message);
  layOut();
  viewport()->update();
}

void TokenView::layOut() {
  m_chips.clear();
  m_rowTops.clear();
  const QFontMetrics metrics(Theme::instance().monoFont());
  const int chip = metrics.height() + 2;
  const int right = std::max(kGutter + 80, viewport()->width() - kMargin);
  int y = kMargin;
  for (size_t r = 0; r < m_rows.size(); ++r) {
    m_rowTops.push_back(y);
    int x = kGutter;
    const auto& tokens = m_rows[r].tokens;
    for (size_t t = 0; t < tokens.size(); ++t) {
      const int w = metrics.horizontalAdvance(visibleToken(tokens[t].text)) + 2 * kPad;
      if (x + w > right && x > kGutter) {
        x = kGutter;
        y += chip + 2;
      }
      m_chips.push_back({QRect(x, y, w, chip), static_cast<int>(r), static_cast<int>(t)});
      x += w + 1;
    }
    const int least = m_rowTops.back() + 2 * QFontMetrics(Theme::instance().smallFont()).height();
    y = std::max(y + chip, least) + kRowGap;
  }
  m_rowTops.push_back(y);
  verticalScrollBar()->setPageStep(viewport()->height());
  verticalScrollBar()->setSingleStep(chip);
  verticalScrollBar()->setRange(0, std::max(0, y - viewport()->height()));
}

void TokenView::resizeEvent(QResizeEvent*) { layOut(); }

void TokenView::paintEvent(QPaintEvent*) {
  QPainter painter(viewport());
  const auto& colours = ui::palette();
  painter.fillRect(viewport()->rect(), colours.field);
  if (m_rows.empty()) {
    painter.setPen(colours.textMuted);
    painter.drawText(viewport()->rect().adjusted(16, 16, -16, -16), Qt::AlignCenter | Qt::TextWordWrap, m_message);
    return;
  }
  const int top = verticalScrollBar()->value();
  const QRect visible(0, top, viewport()->width(), viewport()->height());
  painter.translate(0, -top);
  painter.setFont(Theme::tabular(Theme::instance().smallFont()));
  const QFontMetrics small(painter.font());
  for (size_t r = 0; r < m_rows.size(); ++r) {
    if (m_rowTops[r + 1] < visible.top() || m_rowTops[r] > visible.bottom()) continue;
    painter.setPen(colours.textMuted);
    const QRect gutter(0, m_rowTops[r], kGutter - 8, small.height());
    painter.drawText(gutter, Qt::AlignRight, QLocale().toString(qlonglong(r + 1)));
    painter.setPen(m_rows[r].truncated ? colours.warning : colours.textMuted);
    painter.drawText(gutter.translated(0, small.height()), Qt::AlignRight,
                     (m_rows[r].truncated ? QStringLiteral("✂ ") : QString()) + tr("%1 t").arg(m_rows[r].length));
    if (r > 0) {
      painter.setPen(colours.rule);
      painter.drawLine(0, m_rowTops[r] - kRowGap / 2, viewport()->width(), m_rowTops[r] - kRowGap / 2);
    }
  }
  painter.setFont(Theme::instance().monoFont());
  const QColor inLoss = mixed(colours.field, colours.accent, 0.28);
  const QColor outside = mixed(colours.field, colours.text, 0.07);
  for (const auto& chip : m_chips) {
    if (!chip.box.intersects(visible)) continue;
    const auto& token = m_rows[static_cast<size_t>(chip.row)].tokens[static_cast<size_t>(chip.token)];
    painter.fillRect(chip.box, token.inLoss ? inLoss : outside);
    painter.setPen(token.inLoss ? colours.text : colours.textMuted);
    painter.drawText(chip.box.adjusted(kPad, 0, -kPad, 0), Qt::AlignLeft | Qt::AlignVCenter, visibleToken(token.text));
  }
}

bool TokenView::viewportEvent(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const QPoint at = help->pos() + QPoint(0, verticalScrollBar()->value());
    for (const auto& chip : m_chips) {
      if (!chip.box.contains(at)) continue;
      const auto& token = m_rows[static_cast<size_t>(chip.row)].tokens[static_cast<size_t>(chip.token)];
      QToolTip::showText(help->globalPos(),
                         tr("“%1”  id %2, place %3\n%4")
                             .arg(visibleToken(token.text), QLocale().toString(token.id))
                             .arg(chip.token)
                             .arg(token.inLoss ? tr("its prediction enters the loss") : tr("context only, not in the loss")),
                         viewport());
      return true;
    }
    QToolTip::hideText();
    return true;
  }
  return QAbstractScrollArea::viewportEvent(event);
}

}  // namespace rankscope::ui
