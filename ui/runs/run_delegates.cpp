#include "ui/runs/run_delegates.h"

#include "ui/runs/runs_model.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QPainter>
#include <QPainterPath>

#include <cmath>

namespace rankscope::ui {

QColor colourOfRun(const RunRow& row) {
  if (!row.colour.empty()) {
    const QColor own(QString::fromStdString(row.colour));
    if (own.isValid()) return own;
  }
  return runColour(QString::fromStdString(row.method), row.rank.value_or(0));
}

void paintTagChips(QPainter* painter, const QRect& area, const QStringList& tags, const QFont& font) {
  painter->save();
  painter->setRenderHint(QPainter::Antialiasing);
  painter->setFont(font);
  const QFontMetrics metrics(font);
  int x = area.left();
  for (qsizetype i = 0; i < tags.size(); ++i) {
    const int room = area.right() - x;
    const bool last = i + 1 == tags.size();
    const QString text = metrics.elidedText(tags[i], Qt::ElideRight, 110);
    const int width = metrics.horizontalAdvance(text) + 12;
    if (width > room - (last ? 0 : 22)) {
      painter->setPen(colours().textMuted);
      painter->drawText(QRect(x, area.top(), room, area.height()), Qt::AlignLeft | Qt::AlignVCenter,
                        QStringLiteral("+%1").arg(tags.size() - i));
      break;
    }
    const QRectF chip(x, area.center().y() - (metrics.height() + 3) / 2.0 + 0.5, width, metrics.height() + 3);
    painter->setPen(Qt::NoPen);
    painter->setBrush(mixed(colours().field, colours().textMuted, 0.16));
    painter->drawRoundedRect(chip, 3, 3);
    painter->setPen(colours().text);
    painter->drawText(chip, Qt::AlignCenter, text);
    x += width + 4;
  }
  painter->restore();
}

QSize RunDelegate::sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const {
  QSize size = QStyledItemDelegate::sizeHint(option, index);
  size.setHeight(space::rowHeight());
  return size;
}

void RunDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const {
  const QString id = index.data(RunsModel::ColumnIdRole).toString();
  const auto* row = static_cast<const RunRow*>(index.data(RunsModel::RowRole).value<const void*>());
  const bool special = id == QLatin1String("status") || id == QLatin1String("star") || id == QLatin1String("loss_curve") ||
                       id == QLatin1String("tags");
  if (!special || !row) {
    QStyledItemDelegate::paint(painter, option, index);
    return;
  }
  QStyleOptionViewItem ground = option;
  initStyleOption(&ground, index);
  ground.text.clear();
  QApplication::style()->drawControl(QStyle::CE_ItemViewItem, &ground, painter, option.widget);
  if (id == QLatin1String("status"))
    paintState(painter, option, *row);
  else if (id == QLatin1String("star"))
    paintStar(painter, option, *row);
  else if (id == QLatin1String("loss_curve"))
    paintCurve(painter, option, *row);
  else
    paintTags(painter, option, *row);
}

// Swatch in the run's colour, icon and word of the state; a running one shows how far it is.
void RunDelegate::paintState(QPainter* painter, const QStyleOptionViewItem& option, const RunRow& row) const {
  const QString state = QString::fromStdString(row.status);
  const QRect area = option.rect.adjusted(6, 0, -4, 0);
  painter->save();
  painter->fillRect(QRect(area.left(), area.center().y() - 5, 4, 11), colourOfRun(row));
  const QColor colour = stateColour(state);
  const double ratio = painter->device()->devicePixelRatioF();
  painter->drawPixmap(QPoint(area.left() + 10, area.center().y() - 7), iconPixmap(stateIcon(state), colour, 15, ratio));
  painter->setPen(row.live() || state == QLatin1String("failed") ? colour : colours().text);
  painter->setFont(option.font);
  QString text = stateTitle(state);
  if (row.live() && row.totalSteps > 0)
    text = QStringLiteral("%1 %").arg(std::min<qint64>(100, 100 * row.step / row.totalSteps)) +
           (state == QLatin1String("running") ? QString() : QStringLiteral(" ") + text.toLower());
  const QRect textArea(area.left() + 30, area.top(), area.width() - 30, area.height());
  painter->drawText(textArea, Qt::AlignLeft | Qt::AlignVCenter, option.fontMetrics.elidedText(text, Qt::ElideRight, textArea.width()));
  if (row.live() && row.totalSteps > 0) {
    const double share = std::clamp(static_cast<double>(row.step) / static_cast<double>(row.totalSteps), 0.0, 1.0);
    painter->fillRect(QRectF(area.left() + 10, area.bottom() - 3, area.width() - 12, 2), colours().rule);
    painter->fillRect(QRectF(area.left() + 10, area.bottom() - 3, (area.width() - 12) * share, 2), colours().accent);
  }
  painter->restore();
}

void RunDelegate::paintStar(QPainter* painter, const QStyleOptionViewItem& option, const RunRow& row) const {
  if (!row.starred && !(option.state & QStyle::State_MouseOver)) return;
  const double ratio = painter->device()->devicePixelRatioF();
  const QPixmap star = iconPixmap(row.starred ? QStringLiteral("star-filled") : QStringLiteral("star"),
                                  row.starred ? colours().changed : colours().textMuted, 15, ratio);
  painter->drawPixmap(QPoint(option.rect.center().x() - 7, option.rect.center().y() - 7), star);
}

// The training loss, each value the mean of an equal share of the points, from its smallest to its largest. A loss falls
// fast at first: on a logarithmic scale what follows can be seen as well.
void RunDelegate::paintCurve(QPainter* painter, const QStyleOptionViewItem& option, const RunRow& row) const {
  const std::vector<float>& values = row.sparkline;
  if (values.size() < 2) return;
  float lo = std::numeric_limits<float>::infinity(), hi = -lo;
  for (const float v : values)
    if (std::isfinite(v)) lo = std::min(lo, v), hi = std::max(hi, v);
  if (!(hi >= lo)) return;
  const QRectF area = QRectF(option.rect).adjusted(8, 5, -8, -5);
  const bool log = lo > 0 && hi > 3 * lo;
  const auto height = [log](float v) { return log ? std::log(static_cast<double>(v)) : static_cast<double>(v); };
  const double base = height(lo), span = hi > lo ? height(hi) - base : 1.0;
  QPainterPath path;
  bool pen = false;
  QPointF end;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      pen = false;
      continue;
    }
    const QPointF at(area.left() + area.width() * static_cast<double>(i) / static_cast<double>(values.size() - 1),
                     area.bottom() - area.height() * (hi > lo ? (height(values[i]) - base) / span : 0.5));
    pen ? path.lineTo(at) : path.moveTo(at);
    pen = true;
    end = at;
  }
  painter->save();
  painter->setRenderHint(QPainter::Antialiasing);
  painter->setPen(QPen(colourOfRun(row), 1.3));
  painter->setBrush(Qt::NoBrush);
  painter->drawPath(path);
  if (row.live()) {
    painter->setPen(Qt::NoPen);
    painter->setBrush(colourOfRun(row));
    painter->drawEllipse(end, 2, 2);
  }
  painter->restore();
}

void RunDelegate::paintTags(QPainter* painter, const QStyleOptionViewItem& option, const RunRow& row) const {
  QStringList tags;
  for (const std::string& tag : row.tags) tags << QString::fromStdString(tag);
  paintTagChips(painter, option.rect.adjusted(6, 0, -4, 0), tags, Theme::instance().smallFont());
}

}  // namespace rankscope::ui
