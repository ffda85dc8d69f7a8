#include "ui/newrun/method_page.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QScrollArea>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/config/method_parts.h"
#include "ui/newrun/answers.h"
#include "ui/newrun/method_card.h"
#include "ui/newrun/method_picker.h"
#include "ui/newrun/option_field.h"
#include "ui/newrun/option_form.h"
#include "ui/newrun/published_panel.h"
#include "ui/newrun/rank_slider.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/site_table_model.h"
#include "ui/newrun/sites_panel.h"
#include "ui/shell/error_text.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kTitleWidth = 168;
constexpr int kSideBySide = 540;

}  // namespace

MethodPage::MethodPage(RunDraft* draft, QWidget* parent) : QWidget(parent), m_draft(draft) {
  m_picker = new MethodPicker;
  m_card = new MethodCard;
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
  m_layers = new OptionForm(draft);  // where no table of matrices says which layers
  m_layers->showKeys({"method.layers"});
  m_sites = new SitesPanel(draft);
  m_published = new PublishedPanel(draft, [this](const std::string& target) {
    const auto& sites = m_sites->model()->selection().sites();
    return sites.empty() || target == "all-linear" ||
           std::any_of(sites.begin(), sites.end(), [&](const SiteInfo& site) { return targetMatches(site.name, target); });
  });

  auto* top = new QWidget;
  auto* column = m_column = new QVBoxLayout(top);
  column->setContentsMargins(0, 0, space::kUnit, 0);
  column->setSpacing(space::kHalf);
  m_choice = new QHBoxLayout;
  m_choice->setSpacing(space::kWide);
  m_choice->addWidget(m_picker);
  m_choice->addWidget(m_card, 1);
  m_card->addToHeading(m_methodRevert);
  column->addLayout(m_choice);
  column->addWidget(m_published);
  column->addSpacing(space::kUnit);
  column->addWidget(m_rankRow);
  column->addWidget(m_alpha);
  auto* scaleRow = new QHBoxLayout;
  scaleRow->addSpacing(kTitleWidth + space::kUnit);
  scaleRow->addWidget(m_scale, 1);
  column->addLayout(scaleRow);
  column->addWidget(m_form);
  column->addWidget(m_layers);
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

  connect(m_picker, &MethodPicker::chosen, this,
          [this](const QString& method) { m_draft->set("method.name", method.toStdString()); });
  connect(m_picker, &MethodPicker::goOn, this, [this] { focusNextChild(); });
  connect(m_rank, &RankSlider::rankChanged, this, [this](qint64 rank) {
    m_rejected.clear();
    m_draft->set("method.rank", static_cast<int64_t>(rank));
    refresh();
  });
  connect(m_rank, &RankSlider::textRejected, this, [this](const QString& text) { m_draft->setText("method.rank", text); });
  connect(m_alpha, &OptionForm::focused, this, &MethodPage::focused);
  connect(m_layers, &OptionForm::focused, this, &MethodPage::focused);
  connect(m_form, &OptionForm::focused, this, &MethodPage::focused);
  connect(draft, &RunDraft::edited, this, &MethodPage::refresh);
  connect(draft, &RunDraft::issuesChanged, this, &MethodPage::refresh);
  connect(&Theme::instance(), &Theme::changed, this, &MethodPage::refresh);
  refresh();
}

void MethodPage::setEstimate(const std::optional<RunEstimate>& estimate) { m_card->setEstimate(estimate); }

void MethodPage::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  const bool wide = width() >= space::scaled(kSideBySide);
  m_picker->setStacked(!wide);
  if (wide == (m_choice->indexOf(m_card) >= 0)) return;
  // Where there is no room beside the list, what is set comes first and what is told about the method behind it.
  if (wide) {
    m_column->removeWidget(m_card);
    m_choice->addWidget(m_card, 1);
  } else {
    m_choice->removeWidget(m_card);
    m_column->insertWidget(m_column->indexOf(m_layers) + 1, m_card);
  }
  // The card's one button is reached where the card stands.
  QWidget* before = wide ? static_cast<QWidget*>(m_published) : m_sites;
  do before = before->previousInFocusChain();
  while (!(before->focusPolicy() & Qt::TabFocus) || before == m_methodRevert);
  QWidget::setTabOrder(before, m_methodRevert);
}

void MethodPage::setFullRank(qint64 rank) { m_rank->setFullRank(rank); }

void MethodPage::refresh() {
  const auto& config = m_draft->config();
  const auto name = QString::fromStdString(config.str("method.name"));
  m_picker->setCurrent(name);
  const bool ranked = m_draft->applies("method.rank");
  m_rankRow->setVisible(ranked);
  const auto scale = effectiveScale(config);
  m_scale->setVisible(scale.has_value());
  m_sites->setVisible(m_draft->applies("method.target_modules"));
  m_layers->setVisible(!m_draft->applies("method.target_modules") && m_draft->applies("method.layers"));
  const qint64 rank = config.integer("method.rank");
  m_rank->setRank(rank);
  m_card->setMethod(name, ranked ? rank : 0);
  m_published->refresh();
  QStringList mistakes;
  for (const auto* issue : m_draft->issuesOf("method.rank")) mistakes << errorText(issue->error);
  m_rankError->setText(mistakes.join('\n'));
  m_rankError->setVisible(!mistakes.isEmpty());
  makeInvalid(m_rank->edit(), !mistakes.isEmpty());
  makeChanged(m_rank->edit(), m_draft->isChanged("method.rank"));
  m_rankRevert->setVisible(m_draft->isChanged("method.rank"));
  m_methodRevert->setVisible(m_draft->isChanged("method.name"));
  if (scale) {
    const QLocale locale;
    m_scale->setText(tr("Update scaled by %1 = %2").arg(QString::fromUtf8(updateScaleText(*partsOf(config))), locale.toString(*scale, 'g', 4)));
  }
}

}  // namespace rankscope::ui
