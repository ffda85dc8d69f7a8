#include "ui/newrun/step_rail.h"

#include <QPainter>
#include <QStyledItemDelegate>

#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kIconNameRole = Qt::UserRole + 20;
constexpr int kHeight = 48;

class RailDelegate : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex&) const override {
    const int text = option.fontMetrics.height() + QFontMetrics(Theme::instance().smallFont()).height();
    return {180, std::max(kHeight, text + 14)};
  }
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    const auto& colours = ui::palette();
    painter->save();
    const bool selected = option.state & QStyle::State_Selected;
    if (selected) {
      painter->fillRect(option.rect, colours.selection);
      painter->fillRect(QRect(option.rect.left(), option.rect.top(), 3, option.rect.height()), colours.accent);
    } else if (option.state & QStyle::State_MouseOver) {
      painter->fillRect(option.rect, colours.hover);
    }
    const QRect inner = option.rect.adjusted(space::kUnit + 4, 0, -space::kUnit, 0);
    const auto pixmap = iconPixmap(index.data(kIconNameRole).toString(), selected ? colours.text : colours.textMuted,
                                   space::kIcon, painter->device()->devicePixelRatioF());
    painter->drawPixmap(QRect(inner.left(), inner.center().y() - 8, 16, 16), pixmap);
    QRect text = inner.adjusted(26, 0, 0, 0);
    const int mistakes = index.data(StepRail::MistakesRole).toInt();
    const int changes = index.data(StepRail::ChangesRole).toInt();
    int right = text.right();
    if (mistakes > 0) {
      painter->setFont(Theme::tabular(Theme::instance().smallFont()));
      const QString count = QString::number(mistakes);
      const int w = std::max(16, painter->fontMetrics().horizontalAdvance(count) + 8);
      const QRect badge(right - w, inner.center().y() - 8, w, 16);
      painter->setRenderHint(QPainter::Antialiasing);
      painter->setPen(Qt::NoPen);
      painter->setBrush(colours.danger);
      painter->drawRoundedRect(badge, 8, 8);
      painter->setPen(colours.window);
      painter->drawText(badge, Qt::AlignCenter, count);
      right -= w + 6;
    } else if (changes > 0) {
      painter->setRenderHint(QPainter::Antialiasing);
      painter->setPen(Qt::NoPen);
      painter->setBrush(colours.changed);
      painter->drawEllipse(QPoint(right - 4, inner.center().y()), 3, 3);
      right -= 14;
    }
    text.setRight(right);
    const int half = text.height() / 2;
    painter->setFont(option.font);
    painter->setPen(colours.text);
    painter->drawText(text.adjusted(0, 3, 0, -half), Qt::AlignLeft | Qt::AlignBottom, index.data(Qt::DisplayRole).toString());
    painter->setFont(Theme::instance().smallFont());
    painter->setPen(colours.textMuted);
    painter->drawText(text.adjusted(0, half + 1, 0, -2), Qt::AlignLeft | Qt::AlignTop,
                      painter->fontMetrics().elidedText(index.data(StepRail::ChoiceRole).toString(), Qt::ElideMiddle, text.width()));
    if (option.state & QStyle::State_HasFocus) {
      painter->setRenderHint(QPainter::Antialiasing, false);
      painter->setPen(QPen(colours.accent, 1));
      painter->setBrush(Qt::NoBrush);
      painter->drawRect(option.rect.adjusted(0, 0, -1, -1));
    }
    painter->restore();
  }
};

}  // namespace

StepRail::StepRail(QWidget* parent) : QListWidget(parent) {
  setObjectName("stepRail");
  setAccessibleName(tr("Parts of the run"));
  setItemDelegate(new RailDelegate(this));
  setFrameShape(QFrame::NoFrame);
  setMouseTracking(true);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
  connect(this, &QListWidget::currentItemChanged, this, [this](QListWidgetItem* item) {
    if (item) Q_EMIT chosen(item->data(IdRole).toString());
  });
}

void StepRail::addStep(const QString& id, const QString& title, const QString& iconName) {
  auto* item = new QListWidgetItem(title, this);
  item->setData(IdRole, id);
  item->setData(kIconNameRole, iconName);
}

QListWidgetItem* StepRail::find(const QString& id) const {
  for (int i = 0; i < count(); ++i) {
    if (item(i)->data(IdRole).toString() == id) return item(i);
  }
  return nullptr;
}

void StepRail::setStep(const QString& id, const QString& choice, int mistakes, int changes) {
  auto* item = find(id);
  if (!item) return;
  item->setData(ChoiceRole, choice);
  item->setData(MistakesRole, mistakes);
  item->setData(ChangesRole, changes);
  QString said = item->text() + ": " + choice;
  if (mistakes > 0) said += ", " + tr("%n mistake(s)", nullptr, mistakes);
  if (changes > 0) said += ", " + tr("%n change(s)", nullptr, changes);
  item->setData(Qt::AccessibleTextRole, said);
  item->setToolTip(said);
}

void StepRail::choose(const QString& id) {
  if (auto* item = find(id)) setCurrentItem(item);
}

QString StepRail::current() const { return currentItem() ? currentItem()->data(IdRole).toString() : QString(); }

}  // namespace rankscope::ui
