#include "ui/newrun/method_picker.h"

#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPainter>
#include <QStyledItemDelegate>
#include <QVBoxLayout>
#include <algorithm>

#include "core/config/method_texts.h"
#include "core/config/option_spec.h"
#include "ui/newrun/run_draft.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

enum Roles { MethodRole = Qt::UserRole + 1, WordsRole };
constexpr int kWidth = 212, kSwatch = 4, kStackedRows = 7;

bool isHeading(const QListWidgetItem* item) { return item->data(MethodRole).toString().isEmpty(); }

// A heading in quiet small type; a method with its hue and its name.
class RowDelegate : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  QSize sizeHint(const QStyleOptionViewItem&, const QModelIndex& index) const override {
    const bool heading = index.data(MethodRole).toString().isEmpty();
    return {100, heading && index.row() > 0 ? space::rowHeight() + space::kHalf : space::rowHeight()};
  }
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    const auto& colours = ui::palette();
    const QString method = index.data(MethodRole).toString();
    painter->save();
    QRect text = option.rect.adjusted(space::kUnit, 0, -space::kHalf, 0);
    if (method.isEmpty()) {
      painter->setFont(Theme::instance().smallFont());
      painter->setPen(colours.textMuted);
      painter->drawText(text.adjusted(0, 0, 0, -3), Qt::AlignLeft | Qt::AlignBottom, index.data(Qt::DisplayRole).toString());
      painter->restore();
      return;
    }
    const bool selected = option.state & QStyle::State_Selected;
    if (selected || (option.state & QStyle::State_MouseOver))
      painter->fillRect(option.rect, selected ? colours.selection : colours.hover);
    const int swatch = space::scaled(14);
    painter->fillRect(QRect(text.left(), option.rect.center().y() - swatch / 2 + 1, kSwatch, swatch), methodColour(method));
    text.setLeft(text.left() + kSwatch + space::kUnit);
    QFont font = option.font;
    font.setBold(selected);
    painter->setFont(font);
    painter->setPen(colours.text);
    painter->drawText(text, Qt::AlignLeft | Qt::AlignVCenter,
                      painter->fontMetrics().elidedText(index.data(Qt::DisplayRole).toString(), Qt::ElideRight, text.width()));
    if (option.state & QStyle::State_HasFocus) {
      painter->setPen(QPen(colours.accent, 1));
      painter->drawRect(option.rect.adjusted(0, 0, -1, -1));
    }
    painter->restore();
  }
};

}  // namespace

MethodPicker::MethodPicker(QWidget* parent) : QWidget(parent) {
  m_search = new QLineEdit;
  m_search->setObjectName("methodSearch");
  m_search->setAccessibleName(tr("Find a method"));
  m_search->setPlaceholderText(tr("Find a method"));
  m_search->setToolTip(tr("By name, author, or a word of what it does; Return chooses the first"));
  m_search->setAccessibleDescription(m_search->toolTip());
  m_search->setClearButtonEnabled(true);
  m_search->addAction(icon("search"), QLineEdit::LeadingPosition);
  m_search->installEventFilter(this);
  m_list = new QListWidget;
  m_list->setObjectName("methodList");
  m_list->setAccessibleName(tr("Method"));
  m_list->setItemDelegate(new RowDelegate(m_list));
  m_list->setMouseTracking(true);
  m_list->setFrameShape(QFrame::NoFrame);
  m_list->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  m_list->installEventFilter(this);
  m_none = new QLabel(tr("No method has these words."));
  m_none->setWordWrap(true);
  makeCaption(m_none);
  m_none->hide();
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(space::kHalf);
  column->addWidget(m_search);
  column->addWidget(m_none);
  column->addWidget(m_list, 1);
  setStacked(false);
  fill();

  connect(m_search, &QLineEdit::textChanged, this, &MethodPicker::filter);
  connect(m_list, &QListWidget::currentItemChanged, this, [this](QListWidgetItem* item) {
    if (item && !isHeading(item)) Q_EMIT chosen(item->data(MethodRole).toString());
  });
  connect(&Theme::instance(), &Theme::changed, m_list->viewport(), qOverload<>(&QWidget::update));
}

void MethodPicker::setStacked(bool stacked) {
  setMinimumWidth(stacked ? 0 : space::scaled(kWidth));
  setMaximumWidth(stacked ? QWIDGETSIZE_MAX : space::scaled(kWidth));
  m_list->setMinimumHeight(kStackedRows * space::rowHeight());
  m_list->setMaximumHeight(stacked ? kStackedRows * space::rowHeight() : QWIDGETSIZE_MAX);
  if (auto* item = m_list->currentItem()) m_list->scrollToItem(item);
}

void MethodPicker::fill() {
  const auto add = [this](const OptionChoice& choice, const MethodText* text, const MethodGroupText& group) {
    auto* item = new QListWidgetItem(translatedOption(choice.title), m_list);
    const QString help = translatedOption(choice.help);
    item->setData(MethodRole, QString::fromStdString(choice.value));
    item->setData(Qt::AccessibleDescriptionRole, translatedOption(group.title) + ". " + help);
    item->setToolTip(help);
    QStringList words{item->text(), QString::fromStdString(choice.value), help, translatedOption(group.title)};
    if (text) words << translatedOption(text->does) << translatedOption(text->choose) << QString::fromUtf8(text->citation);
    item->setData(WordsRole, words.join(' '));
  };
  const auto& choices = findOption("method.name")->choices;
  for (const MethodGroupText& group : methodGroups()) {
    bool headed = false;
    for (const MethodText& text : methodTexts()) {
      const auto choice = std::find_if(choices.begin(), choices.end(), [&](const auto& c) { return c.value == text.method; });
      if (text.group != group.group || choice == choices.end()) continue;
      if (!std::exchange(headed, true)) {
        auto* heading = new QListWidgetItem(translatedOption(group.title), m_list);
        heading->setFlags(Qt::NoItemFlags);
        heading->setToolTip(translatedOption(group.help));
      }
      add(*choice, &text, group);
    }
  }
}

void MethodPicker::setCurrent(const QString& method) {
  for (int i = 0; i < m_list->count(); ++i) {
    if (m_list->item(i)->data(MethodRole).toString() != method || m_list->currentRow() == i) continue;
    const QSignalBlocker quiet(m_list);
    m_list->setCurrentRow(i);
    m_list->scrollToItem(m_list->item(i));
  }
}

void MethodPicker::filter() {
  const QStringList words = m_search->text().split(' ', Qt::SkipEmptyParts);
  QListWidgetItem* heading = nullptr;
  bool any = false;
  for (int i = 0; i < m_list->count(); ++i) {
    auto* item = m_list->item(i);
    if (isHeading(item)) {
      heading = item;
      heading->setHidden(true);
      continue;
    }
    const QString all = item->data(WordsRole).toString();
    const bool fits = std::all_of(words.begin(), words.end(),
                                  [&all](const QString& word) { return all.contains(word, Qt::CaseInsensitive); });
    item->setHidden(!fits);
    if (fits && heading) heading->setHidden(false);
    any = any || fits;
  }
  m_none->setVisible(!any);
}

QListWidgetItem* MethodPicker::firstShown() const {
  for (int i = 0; i < m_list->count(); ++i)
    if (!m_list->item(i)->isHidden() && !isHeading(m_list->item(i))) return m_list->item(i);
  return nullptr;
}

bool MethodPicker::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() != QEvent::KeyPress) return QWidget::eventFilter(watched, event);
  auto* press = static_cast<QKeyEvent*>(event);
  const bool enter = press->key() == Qt::Key_Return || press->key() == Qt::Key_Enter;
  const bool plain = !(press->modifiers() & ~(Qt::ShiftModifier | Qt::KeypadModifier));
  if (watched == m_search && plain) {
    if (press->key() == Qt::Key_Escape && !m_search->text().isEmpty()) {
      m_search->clear();
      return true;
    }
    if (press->key() == Qt::Key_Down || enter) {
      auto* current = m_list->currentItem();
      auto* next = enter || !current || current->isHidden() ? firstShown() : current;
      if (!next) return true;
      m_list->setCurrentItem(next);
      m_list->setFocus();
      return true;
    }
  } else if (watched == m_list && plain) {
    if (enter) {
      Q_EMIT goOn();
      return true;
    }
    const bool typed = !press->text().isEmpty() && press->text().front().isPrint() && press->key() != Qt::Key_Space;
    if (typed || (press->key() == Qt::Key_Backspace && !m_search->text().isEmpty())) {
      m_search->setFocus();
      typed ? m_search->insert(press->text()) : m_search->backspace();
      return true;
    }
  }
  return QWidget::eventFilter(watched, event);
}

}  // namespace rankscope::ui
