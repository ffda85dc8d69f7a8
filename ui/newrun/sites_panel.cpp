#include "ui/newrun/sites_panel.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QKeyEvent>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QStyledItemDelegate>
#include <QTableView>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/config/method_kind.h"
#include "core/config/usual_targets.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/site_table_model.h"
#include "ui/shell/error_text.h"
#include "ui/shell/format.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

const QStringList kKeys{"method.target_modules", "method.layers", "method.rank_pattern"};
const QString kSource = QStringLiteral("sites");

// Own ranks in the accent, common ones quiet, the sums set apart by their ground.
class SiteDelegate : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  // The style counts the text and its tick, not the room between them and around.
  QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    return QStyledItemDelegate::sizeHint(option, index) + QSize(3 * space::kUnit, 0);
  }
  void initStyleOption(QStyleOptionViewItem* option, const QModelIndex& index) const override {
    QStyledItemDelegate::initStyleOption(option, index);
    const bool own = index.data(SiteTableModel::OwnRankRole).toLongLong() > 0;
    option->palette.setColor(QPalette::Text, own ? ui::palette().changed : ui::palette().textMuted);
    option->font = Theme::tabular(option->font);
    option->font.setBold(own);
    if (index.row() == 0 || index.column() == 0) option->backgroundBrush = ui::palette().panel;
  }
};

}  // namespace

SitesPanel::SitesPanel(RunDraft* draft, QWidget* parent) : QWidget(parent), m_draft(draft) {
  m_model = new SiteTableModel(this);
  m_table = new QTableView;
  m_table->setObjectName("siteTable");
  m_table->setAccessibleName(tr("Matrices to adapt, layer by kind"));
  m_table->setModel(m_model);
  m_table->setItemDelegate(new SiteDelegate(m_table));
  m_table->setTabKeyNavigation(false);
  m_table->setEditTriggers(QAbstractItemView::EditKeyPressed | QAbstractItemView::AnyKeyPressed |
                           QAbstractItemView::DoubleClicked);
  m_table->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
  m_table->horizontalHeader()->setHighlightSections(false);
  m_table->horizontalHeader()->setMinimumSectionSize(64);
  m_table->verticalHeader()->setDefaultSectionSize(space::rowHeight());
  m_table->verticalHeader()->hide();  // the first column names the layer beside its tick
  m_table->setCornerButtonEnabled(false);
  m_table->setMinimumHeight(6 * space::rowHeight());
  m_table->installEventFilter(this);

  m_summary = new QLabel;
  makeCaption(m_summary);
  m_summary->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  m_error = new QLabel;
  m_error->setObjectName("error:sites");
  m_error->setProperty("role", "error");
  m_error->setWordWrap(true);
  m_error->hide();
  m_all = new QPushButton(tr("All"));
  m_all->setObjectName("allSites");
  m_all->setToolTip(tr("Tick every matrix but embeddings"));
  m_default = new QPushButton(tr("Usual ones"));
  m_default->setObjectName("defaultSites");
  m_default->setToolTip(tr("The matrices that the method usually takes in this model family"));
  m_revert = new QToolButton;
  m_revert->setObjectName("revertSites");
  m_revert->setAccessibleName(tr("Revert the sites"));
  m_revert->setToolTip(tr("Back to the sites of the preset"));
  m_revert->setIcon(icon("undo"));
  makeFlat(m_revert);

  auto* title = new QLabel(tr("Sites"));
  makeHeading(title);
  auto* row = new QHBoxLayout;
  row->setSpacing(space::kUnit);
  row->addWidget(title);
  row->addWidget(m_summary, 1);
  row->addWidget(m_revert);
  row->addWidget(m_default);
  row->addWidget(m_all);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(space::kHalf);
  column->addLayout(row);
  column->addWidget(m_error);
  column->addWidget(m_table, 1);

  connect(m_model, &SiteTableModel::edited, this, &SitesPanel::writeDraft);
  connect(m_model, &SiteTableModel::rejected, this, [this](const QString& message) {
    m_rejected = message;
    showSummary();
  });
  connect(m_all, &QPushButton::clicked, this, [this] { m_model->setAll(true); });
  connect(m_default, &QPushButton::clicked, this, [this] {
    m_rejected.clear();
    m_draft->setMany({{kKeys[0], nlohmann::json::array()}, {kKeys[1], nlohmann::json::array()}});
  });
  connect(m_revert, &QToolButton::clicked, this, [this] {
    for (const auto& key : kKeys) m_draft->revert(key);
  });
  connect(draft, &RunDraft::edited, this, &SitesPanel::readDraft);
  connect(draft, &RunDraft::issuesChanged, this, &SitesPanel::showSummary);
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    m_revert->setIcon(icon("undo"));
    showSummary();
  });
  clearModel(tr("Choose a model to see its matrices."));
}

void SitesPanel::setModel(const ModelDetails& details) {
  m_message.clear();
  m_details = details;
  m_targetsOf.clear();
  readDraft();
  m_table->resizeColumnsToContents();
}

// What an empty list of targets means is the method's.
void SitesPanel::takeTargets() {
  const std::string method = m_draft->config().str("method.name");
  if (m_details.sites.empty() || m_targetsOf == method) return;
  m_targetsOf = method;
  std::vector<TargetSite> sites;
  // Modules are inserted at linear maps alone.
  const bool inserted = methodKind(method) == MethodKind::Inserted;
  for (const SiteInfo& site : m_details.sites)
    if (!inserted || site.operation == "linear") sites.push_back({site.name, site.kind, site.layer, site.in, site.out});
  m_model->setSites(m_details.sites, usualTargets(method, m_details.defaultTargets, sites));
}

void SitesPanel::clearModel(const QString& message) {
  m_message = message;
  m_details = {};
  m_model->setSites({}, {});
  m_draft->setOutsideIssues(kSource, {});
  showSummary();
}

void SitesPanel::readDraft() {
  if (m_writing) return;
  takeTargets();
  const auto& config = m_draft->config();
  SiteChoice choice;
  choice.targetModules = config.list("method.target_modules");
  for (const auto& layer : config.list("method.layers")) {
    const auto text = QString::fromStdString(layer);
    bool first = false, last = false;
    const qint64 from = text.section('-', 0, 0).toLongLong(&first);
    const qint64 to = text.contains('-') ? text.section('-', 1).toLongLong(&last) : from;
    if (!first || (text.contains('-') && !last)) continue;
    for (const auto present : m_model->selection().layers()) {
      if (present >= from && present <= to) choice.layers.push_back(present);
    }
  }
  for (const auto& [pattern, rank] : config.map("method.rank_pattern")) {
    choice.rankPattern[pattern] = static_cast<int64_t>(rank);
  }
  m_model->setCommonRank(config.integer("method.rank"));
  m_model->setRanksEditable(m_draft->applies("method.rank_pattern"));
  m_model->readChoice(choice);
  if (!m_model->selection().sites().empty()) {
    std::vector<ValidationIssue> issues;
    if (m_draft->applies("method.target_modules") && m_model->selection().selectedCount() == 0) {
      std::string there;
      for (const auto& kind : m_model->selection().kinds()) there += (there.empty() ? "" : ", ") + kind;
      issues.push_back({"method.target_modules",
                        Error{ErrorCode::Usage, "no matrix of this model is chosen", "method.target_modules",
                              m_draft->text("method.target_modules").toStdString(), there,
                              "Tick at least one matrix, or press Usual ones."}});
    }
    m_draft->setOutsideIssues(kSource, issues);
  }
  showSummary();
}

void SitesPanel::writeDraft() {
  m_rejected.clear();
  const auto& selection = m_model->selection();
  if (selection.selectedCount() == 0) {
    // An empty list would mean the family's default: the mistake is reported instead of written.
    m_draft->setOutsideIssues(kSource, {{"method.target_modules",
                                         Error{ErrorCode::Usage, "no matrix is chosen", "method.target_modules", "none",
                                               "at least one", "Tick at least one matrix, or press Usual ones."}}});
    showSummary();
    return;
  }
  m_draft->setOutsideIssues(kSource, {});
  const SiteChoice choice = selection.toChoice();
  nlohmann::json layers = nlohmann::json::array();
  for (const auto layer : choice.layers) layers.push_back(std::to_string(layer));
  nlohmann::json ranks = nlohmann::json::object();
  for (const auto& [pattern, rank] : choice.rankPattern) ranks[pattern] = rank;
  m_writing = true;
  m_draft->setMany({{kKeys[0], choice.targetModules}, {kKeys[1], layers}, {kKeys[2], ranks}});
  m_writing = false;
  showSummary();
}

void SitesPanel::showSummary() {
  const auto& selection = m_model->selection();
  const QLocale locale;
  const bool any = !selection.sites().empty();
  m_table->setVisible(any);
  m_all->setEnabled(any);
  m_default->setEnabled(any);
  if (!any) {
    m_summary->setText(m_message);
  } else {
    qint64 parameters = 0, trainable = 0;
    const auto rank = m_draft->config().integer("method.rank");
    const bool lowRank = m_draft->applies("method.rank");
    for (size_t i = 0; i < selection.sites().size(); ++i) {
      if (!selection.selected(static_cast<int>(i))) continue;
      const auto& site = selection.sites()[i];
      parameters += site.out * site.in;
      const auto own = selection.rankOf(static_cast<int>(i)) > 0 ? selection.rankOf(static_cast<int>(i)) : rank;
      trainable += own * (site.out + site.in);
    }
    m_summary->setText(tr("%1 of %2 matrices, %3")
                           .arg(selection.selectedCount())
                           .arg(selection.sites().size())
                           .arg(lowRank ? tr("%1 factor entries for %2 weights").arg(formatCompact(double(trainable)), formatCompact(double(parameters)))
                                        : tr("%1 weights").arg(formatCompact(double(parameters)))));
    m_summary->setToolTip(m_summary->text());
  }
  QStringList mistakes;
  if (!m_rejected.isEmpty()) mistakes << m_rejected;
  for (const auto& key : kKeys) {
    for (const auto* issue : m_draft->issuesOf(key)) mistakes << errorText(issue->error);
  }
  m_error->setText(mistakes.join('\n'));
  m_error->setVisible(!mistakes.isEmpty());
  makeInvalid(m_table, !mistakes.isEmpty());
  m_revert->setVisible(std::any_of(kKeys.begin(), kKeys.end(), [this](const QString& k) { return m_draft->isChanged(k); }));
}

bool SitesPanel::eventFilter(QObject* watched, QEvent* event) {
  if (watched == m_table && event->type() == QEvent::KeyPress) {
    const auto* press = static_cast<QKeyEvent*>(event);
    const auto index = m_table->currentIndex();
    if (index.isValid() && (press->key() == Qt::Key_Delete || press->key() == Qt::Key_Backspace)) {
      m_model->setData(index, QString(), Qt::EditRole);
      return true;
    }
    if (index.isValid() && press->key() == Qt::Key_Space) {  // ticks; any digit begins a rank
      const bool on = index.data(Qt::CheckStateRole).toInt() == Qt::Checked;
      m_model->setData(index, on ? Qt::Unchecked : Qt::Checked, Qt::CheckStateRole);
      return true;
    }
  }
  return QWidget::eventFilter(watched, event);
}

}  // namespace rankscope::ui
