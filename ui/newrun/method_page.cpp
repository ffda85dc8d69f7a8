#include "ui/newrun/method_page.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QLocale>
#include <QPainter>
#include <QScrollArea>
#include <QStyledItemDelegate>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/config/method_parts.h"
#include "ui/newrun/answers.h"
#include "ui/newrun/option_field.h"
#include "ui/newrun/option_form.h"
#include "ui/newrun/rank_slider.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/sites_panel.h"
#include "ui/shell/error_text.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

enum Roles { ValueRole = Qt::UserRole + 1, HelpRole, PaperRole };
constexpr int kTitleWidth = 168;

// A method in one row: its hue, its title, and what it does in a quiet line.
class MethodDelegate : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  QSize sizeHint(const QStyleOptionViewItem&, const QModelIndex&) const override { return {300, space::rowHeight() + 2}; }
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    const auto& colours = ui::palette();
    painter->save();
    if (option.state & QStyle::State_Selected) {
      painter->fillRect(option.rect, colours.selection);
    } else if (option.state & QStyle::State_MouseOver) {
      painter->fillRect(option.rect, colours.hover);
    }
    const QRect swatch(option.rect.left() + space::kUnit, option.rect.center().y() - 6, 4, 13);
    painter->fillRect(swatch, methodColour(index.data(ValueRole).toString()));
    QRect text = option.rect.adjusted(space::kUnit + 14, 0, -space::kUnit, 0);
    painter->setPen(colours.text);
    QFont font = option.font;
    font.setBold(option.state & QStyle::State_Selected);
    painter->setFont(font);
    painter->drawText(text, Qt::AlignLeft | Qt::AlignVCenter, index.data(Qt::DisplayRole).toString());
    text.setLeft(text.left() + space::scaled(140));
    painter->setFont(Theme::instance().smallFont());
    painter->setPen(option.state & QStyle::State_Selected ? colours.text : colours.textMuted);
    painter->drawText(text, Qt::AlignLeft | Qt::AlignVCenter,
                      painter->fontMetrics().elidedText(index.data(HelpRole).toString(), Qt::ElideRight, text.width()));
    if (option.state & QStyle::State_HasFocus) {
      painter->setPen(QPen(colours.accent, 1));
      painter->drawRect(option.rect.adjusted(0, 0, -1, -1));
    }
    painter->restore();
  }
};

}  // namespace

MethodPage::MethodPage(RunDraft* draft, QWidget* parent) : QWidget(parent), m_draft(draft) {
  m_list = new QListWidget;
  m_list->setObjectName("methodList");
  m_list->setAccessibleName(tr("Method"));
  m_list->setItemDelegate(new MethodDelegate(m_list));
  m_list->setMouseTracking(true);
  m_list->setFrameShape(QFrame::NoFrame);
  m_list->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  m_list->setVerticalScrollBarPolicy(Qt::ScrollBarAsNeeded);
  for (const auto& choice : findOption("method.name")->choices) {
    auto* item = new QListWidgetItem(translatedOption(choice.title), m_list);
    item->setData(ValueRole, QString::fromStdString(choice.value));
    item->setData(HelpRole, translatedOption(choice.help));
    item->setData(Qt::AccessibleDescriptionRole, translatedOption(choice.help));
    item->setToolTip(translatedOption(choice.help));
  }
  m_list->setFixedHeight(std::min(8, m_list->count()) * (space::rowHeight() + 2) + 2);

  const auto makeRevert = [this](const QString& key, const QString& name) {
    auto* button = new QToolButton;
    button->setIcon(icon("undo"));
    button->setObjectName("revert:" + key);
    button->setAccessibleName(tr("Revert %1").arg(name));
    button->setToolTip(tr("Back to the preset's"));
    makeFlat(button);
    QSizePolicy keep = button->sizePolicy();
    keep.setRetainSizeWhenHidden(true);
    button->setSizePolicy(keep);
    connect(button, &QToolButton::clicked, this, [this, key] {
      m_rejected.clear();
      m_draft->revert(key);
    });
    connect(&Theme::instance(), &Theme::changed, button, [button] { button->setIcon(icon("undo")); });
    return button;
  };
  m_methodRevert = makeRevert("method.name", tr("Method"));
  m_rankRevert = makeRevert("method.rank", tr("Rank"));
  m_rank = new RankSlider;
  auto* rankTitle = new QLabel(tr("Rank"));
  rankTitle->setFixedWidth(space::scaled(kTitleWidth));
  rankTitle->setBuddy(m_rank->edit());
  m_rank->edit()->setToolTip(optionHelp(*findOption("method.rank")));
  m_rank->edit()->setAccessibleDescription(optionHelp(*findOption("method.rank")));
  m_rankError = new QLabel;
  m_rankError->setObjectName("error:method.rank");
  m_rankError->setProperty("role", "error");
  m_rankError->setWordWrap(true);
  m_rankRow = new QWidget;
  auto* rankGrid = new QGridLayout(m_rankRow);
  rankGrid->setContentsMargins(0, 1, 0, 1);
  rankGrid->setHorizontalSpacing(space::kUnit);
  rankGrid->setVerticalSpacing(1);
  rankGrid->addWidget(rankTitle, 0, 0);
  rankGrid->addWidget(m_rank, 0, 1);
  rankGrid->addWidget(m_rankRevert, 0, 2);
  rankGrid->addWidget(m_rankError, 1, 1, 1, 2);
  rankGrid->setColumnStretch(1, 1);

  m_scale = new QLabel;
  m_scale->setObjectName("effectiveScale");
  m_scale->setTextInteractionFlags(Qt::TextSelectableByMouse);
  m_alpha = new OptionForm(draft);
  m_alpha->showKeys({"method.alpha"});
  m_form = new OptionForm(draft);
  m_form->showGroups({"method"}, {"method.name", "method.rank", "method.alpha", "method.target_modules", "method.layers",
                                  "method.rank_pattern"});
  m_sites = new SitesPanel(draft);

  auto* top = new QWidget;
  auto* column = new QVBoxLayout(top);
  column->setContentsMargins(0, 0, space::kUnit, 0);
  column->setSpacing(space::kHalf);
  auto* listRow = new QHBoxLayout;
  listRow->addWidget(m_list, 1);
  listRow->addWidget(m_methodRevert, 0, Qt::AlignTop);
  column->addLayout(listRow);
  column->addSpacing(space::kHalf);
  column->addWidget(m_rankRow);
  column->addWidget(m_alpha);
  auto* scaleRow = new QHBoxLayout;
  scaleRow->addSpacing(kTitleWidth + space::kUnit);
  scaleRow->addWidget(m_scale, 1);
  column->addLayout(scaleRow);
  column->addWidget(m_form);
  column->addSpacing(space::kUnit);
  column->addWidget(m_sites, 1);
  column->addStretch(0);
  m_sites->setMinimumHeight(220);
  auto* scroll = new QScrollArea;
  scroll->setWidget(top);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  auto* whole = new QVBoxLayout(this);
  whole->setContentsMargins(0, 0, 0, 0);
  whole->addWidget(scroll);

  connect(m_list, &QListWidget::currentItemChanged, this, [this](QListWidgetItem* item) {
    if (item) m_draft->set("method.name", item->data(ValueRole).toString().toStdString());
  });
  connect(m_rank, &RankSlider::rankChanged, this, [this](qint64 rank) {
    m_rejected.clear();
    m_draft->set("method.rank", static_cast<int64_t>(rank));
    refresh();
  });
  connect(m_rank, &RankSlider::textRejected, this, [this](const QString& text) { m_draft->setText("method.rank", text); });
  connect(m_alpha, &OptionForm::focused, this, &MethodPage::focused);
  connect(m_form, &OptionForm::focused, this, &MethodPage::focused);
  connect(draft, &RunDraft::edited, this, &MethodPage::refresh);
  connect(draft, &RunDraft::issuesChanged, this, &MethodPage::refresh);
  connect(&Theme::instance(), &Theme::changed, this, &MethodPage::refresh);
  refresh();
}

void MethodPage::setMethods(const nlohmann::json& answer) {
  const auto& list = answer.is_object() && answer.contains("methods") ? answer["methods"] : answer;
  if (!list.is_array()) return;
  for (const auto& method : list) {
    if (!method.is_object()) continue;
    const auto text = [&method](const char* key) {
      const auto it = method.find(key);
      return it != method.end() && it->is_string() ? QString::fromStdString(it->get<std::string>()) : QString();
    };
    for (int i = 0; i < m_list->count(); ++i) {
      auto* item = m_list->item(i);
      if (item->data(ValueRole).toString() != text("name")) continue;
      item->setData(PaperRole, text("paper"));
      item->setToolTip(item->data(HelpRole).toString() + "\n" + text("paper"));
    }
  }
}

void MethodPage::setFullRank(qint64 rank) { m_rank->setFullRank(rank); }

void MethodPage::refresh() {
  const auto& config = m_draft->config();
  const auto name = QString::fromStdString(config.str("method.name"));
  for (int i = 0; i < m_list->count(); ++i) {
    if (m_list->item(i)->data(ValueRole).toString() == name && m_list->currentRow() != i) {
      const QSignalBlocker quiet(m_list);
      m_list->setCurrentRow(i);
    }
  }
  const bool lowRank = m_draft->applies("method.rank");
  m_rankRow->setVisible(lowRank);
  m_scale->setVisible(lowRank);
  m_sites->setVisible(m_draft->applies("method.target_modules"));
  const qint64 rank = config.integer("method.rank");
  m_rank->setRank(rank);
  QStringList mistakes;
  for (const auto* issue : m_draft->issuesOf("method.rank")) mistakes << errorText(issue->error);
  m_rankError->setText(mistakes.join('\n'));
  m_rankError->setVisible(!mistakes.isEmpty());
  makeInvalid(m_rank->edit(), !mistakes.isEmpty());
  makeChanged(m_rank->edit(), m_draft->isChanged("method.rank"));
  m_rankRevert->setVisible(m_draft->isChanged("method.rank"));
  m_methodRevert->setVisible(m_draft->isChanged("method.name"));
  if (const auto scale = effectiveScale(config)) {
    const QLocale locale;
    m_scale->setText(tr("Update scaled by %1 = %2").arg(QString::fromUtf8(updateScaleText(*partsOf(config))), locale.toString(*scale, 'g', 4)));
  }
}

}  // namespace rankscope::ui
