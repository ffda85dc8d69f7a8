#include "ui/runs/runs_view.h"

#include "core/store/store.h"
#include "ui/library/run_exchange.h"
#include "ui/runs/details_panel.h"
#include "ui/runs/filter_box.h"
#include "ui/runs/groups_model.h"
#include "ui/runs/run_table.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/theme/theme.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QJsonArray>
#include <QLabel>
#include <QMenu>
#include <QSplitter>
#include <QStackedWidget>
#include <QTableView>
#include <QToolButton>
#include <QVBoxLayout>

namespace rankscope::ui {

RunsView::RunsView(ViewContext& context, QWidget* parent)
    : View(context, parent), m_model(new RunsModel(store(), this)), m_groups(new GroupsModel(this)) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  buildTop();
  buildCentre();
  buildActions();
  buildGroupMenu();
  buildSavedMenu();
  connectModel();
  applyQuery();
  loadNames();
}

void RunsView::buildTop() {
  auto* bar = new QWidget(this);
  bar->setProperty("role", QStringLiteral("bar"));
  auto* layout = new QVBoxLayout(bar);
  layout->setContentsMargins(space::kUnit, space::kUnit, space::kUnit, space::kUnit - 1);
  layout->setSpacing(space::kHalf);
  auto* row = new QHBoxLayout;
  row->setSpacing(space::kHalf);
  m_filter = new FilterBox(store(), bar);
  row->addWidget(m_filter, 1);
  m_count = new QLabel(bar);
  makeCaption(m_count);
  m_count->setMinimumWidth(92);
  m_count->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  row->addWidget(m_count);
  row->addSpacing(space::kHalf);
  const auto menuButton = [&](const QString& text, const char* iconName, const QString& tip) {
    auto* button = new QToolButton(bar);
    button->setText(text);
    button->setIcon(icon(QLatin1String(iconName)));
    button->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    button->setPopupMode(QToolButton::InstantPopup);
    button->setToolTip(tip);
    button->setAccessibleName(text);
    row->addWidget(button);
    return button;
  };
  m_groupButton = menuButton(tr("Group"), "group", tr("Mean ± standard deviation over runs that share these"));
  m_columnsButton = menuButton(tr("Columns"), "columns", tr("Choose columns"));
  m_savedButton = menuButton(tr("Views"), "bookmark", tr("Saved filters, columns and groups"));
  auto* columns = new QMenu(m_columnsButton);
  connect(columns, &QMenu::aboutToShow, this, [this, columns] {
    columns->clear();
    m_table->fillColumnsMenu(columns);
  });
  m_columnsButton->setMenu(columns);
  layout->addLayout(row);
  m_problem = new QLabel(bar);
  m_problem->setProperty("role", QStringLiteral("error"));
  m_problem->setFont(Theme::instance().smallFont());
  m_problem->setAccessibleName(tr("Mistake in the filter"));
  m_problem->setWordWrap(true);
  m_problem->hide();
  layout->addWidget(m_problem);
  this->layout()->addWidget(bar);
  connect(m_filter, &FilterBox::filterChanged, this, [this](const QString& filter) {
    m_query.filter = filter.toStdString();
    applyQuery();
  });
  connect(m_filter, &FilterBox::problemChanged, this, [this](const QString& problem) {
    m_problem->setText(problem);
    m_problem->setVisible(!problem.isEmpty());
  });
  connect(m_filter, &FilterBox::leaveDown, this, [this] {
    m_table->view()->setFocus(Qt::TabFocusReason);
    if (m_table->selection()->selectedRows().isEmpty() && m_model->rowCount() > 0) m_table->view()->selectRow(0);
  });
}

void RunsView::buildCentre() {
  m_splitter = new QSplitter(Qt::Horizontal, this);
  m_splitter->setChildrenCollapsible(false);
  m_splitter->setHandleWidth(1);
  m_pages = new QStackedWidget(m_splitter);
  m_table = new RunTable(*m_model, m_pages);
  m_pages->addWidget(m_table);

  m_groupTable = new QTableView(m_pages);
  m_groupTable->setAccessibleName(tr("Groups of runs"));
  m_groupTable->setModel(m_groups);
  m_groupTable->setSelectionBehavior(QAbstractItemView::SelectRows);
  m_groupTable->setShowGrid(false);
  m_groupTable->setFrameShape(QFrame::NoFrame);
  m_groupTable->setSortingEnabled(true);
  m_groupTable->setTabKeyNavigation(false);
  m_groupTable->verticalHeader()->hide();
  m_groupTable->verticalHeader()->setDefaultSectionSize(space::rowHeight());
  m_groupTable->horizontalHeader()->setHighlightSections(false);
  m_groupTable->horizontalHeader()->setSortIndicator(-1, Qt::AscendingOrder);
  connect(m_groupTable->selectionModel(), &QItemSelectionModel::selectionChanged, this, [this] {
    QStringList ids;
    for (const QModelIndex& index : m_groupTable->selectionModel()->selectedRows()) ids << m_groups->runIds(index.row());
    selection().set(ids);
  });
  m_pages->addWidget(m_groupTable);

  m_empty = new QWidget(m_pages);
  auto* emptyLayout = new QVBoxLayout(m_empty);
  emptyLayout->setContentsMargins(space::kPage * 2, 0, space::kPage * 2, 0);
  m_emptyTitle = new QLabel(m_empty);
  makeHeading(m_emptyTitle);
  m_emptyTitle->setAlignment(Qt::AlignCenter);
  m_emptyText = new QLabel(m_empty);
  m_emptyText->setAlignment(Qt::AlignCenter);
  m_emptyText->setWordWrap(true);
  makeCaption(m_emptyText);
  m_emptyAction = new QToolButton(m_empty);
  m_emptyAction->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
  emptyLayout->addStretch(2);
  emptyLayout->addWidget(m_emptyTitle);
  emptyLayout->addWidget(m_emptyText);
  emptyLayout->addSpacing(space::kUnit);
  emptyLayout->addWidget(m_emptyAction, 0, Qt::AlignHCenter);
  emptyLayout->addStretch(3);
  connect(m_emptyAction, &QToolButton::clicked, this, [this] {
    if (m_query.filter.empty())
      Q_EMIT showView(QStringLiteral("newrun"), {});
    else
      m_filter->setText({});
  });
  m_pages->addWidget(m_empty);

  m_details = new DetailsPanel(context(), m_splitter);
  m_details->setMinimumWidth(300);
  m_splitter->addWidget(m_pages);
  m_splitter->addWidget(m_details);
  m_splitter->setStretchFactor(0, 1);
  m_splitter->setSizes({1030, 330});
  layout()->addWidget(m_splitter);
  static_cast<QVBoxLayout*>(layout())->setStretchFactor(m_splitter, 1);
}

void RunsView::connectModel() {
  connect(m_model, &RunsModel::loaded, this, [this] {
    updatePages();
    reselect();
    updateActions();
  });
  connect(m_model, &RunsModel::failed, this, &View::statusMessage);
  connect(m_model, &RunsModel::sortChanged, this, [this](const QString& key, bool descending) {
    m_query.sort = {{key.toStdString(), descending}};
    m_table->showSort(key, descending);
  });
  connect(m_table->selection(), &QItemSelectionModel::selectionChanged, this, &RunsView::selectionMoved);
  connect(m_table, &RunTable::starClicked, this, [this](int row) {
    if (const RunRow* run = m_model->rowAt(row)) editStarred(edits(), {QString::fromStdString(run->id)}, !run->starred);
  });
  connect(m_table, &RunTable::rowActivated, this, [this] { m_live->trigger(); });
  connect(m_table, &RunTable::contextMenuAsked, this, &RunsView::showContextMenu);
  connect(&store(), &StoreService::runsChanged, this, [this](const QStringList& ids) {
    m_model->refresh();
    m_details->refresh(ids);
    if (!m_groupKeys.isEmpty()) loadGroups();
  });
  connect(&store(), &StoreService::problem, this, [this] {
    m_storeProblem = true;
    updatePages();
  });
  connect(&store(), &StoreService::problemSolved, this, [this] {
    m_storeProblem = false;
    updatePages();
  });
  connect(&store(), &StoreService::opened, this, [this] {
    applyQuery();
    loadNames();
  });
  connect(&selection(), &RunSelection::changed, this, [this](const QStringList& ids) {
    m_details->showRuns(ids);
    if (!m_selecting && ids != selectedIds()) {
      m_pendingSelection = ids;
      reselect();
    }
    updateActions();
  });
  connect(m_details, &DetailsPanel::noteEdited, this,
          [this](const QString& id, const QString& text) { editNote(edits(), id, text); });
  connect(m_details, &DetailsPanel::tagsAsked, this, &RunsView::editTagsOfSelected);
  connect(m_details, &DetailsPanel::renameAsked, this, &RunsView::renameSelected);
  connect(m_details, &DetailsPanel::colourAsked, this, &RunsView::chooseColour);
  connect(m_details, &DetailsPanel::resumeAsked, this, &RunsView::resume);
  connect(m_details, &DetailsPanel::evaluateAsked, this, [this](const QString& id) { m_exchange->evaluate(id); });
  connect(m_details, &DetailsPanel::openAsked, this, [this](const QString& id) {
    Q_EMIT showView(id, {{QStringLiteral("run"), selection().current()},
                         {QStringLiteral("runs"), QJsonArray::fromStringList(selection().ids())}});
  });
}

void RunsView::applyQuery() {
  m_query.includeArchived = m_archived;
  m_query.onlyTrashed = m_trash;
  m_model->setQuery(m_query);
  if (!m_groupKeys.isEmpty()) loadGroups();
}

void RunsView::updatePages() {
  const int total = m_model->total();
  m_count->setText(m_model->everLoaded() ? tr("%n run(s)", nullptr, total) : QString());
  if (!m_model->everLoaded() && m_storeProblem) {
    m_emptyTitle->setText(tr("The history cannot be read"));
    m_emptyText->setText(tr("What is wrong and what to do stands above. Run folders are not touched by this, and training runs go on."));
    m_emptyAction->hide();
    m_pages->setCurrentWidget(m_empty);
    return;
  }
  if (total > 0 || !m_model->everLoaded()) {
    m_pages->setCurrentWidget(m_groupKeys.isEmpty() ? static_cast<QWidget*>(m_table) : m_groupTable);
    return;
  }
  const bool filtered = !m_query.filter.empty();
  m_emptyTitle->setText(filtered ? tr("No run fits this filter") : m_trash ? tr("The trash is empty") : tr("No runs yet"));
  m_emptyText->setText(filtered ? tr("Loosen it or clear it. F1 explains the filter language.")
                       : m_trash ? tr("Deleted runs lie here until they are brought back or removed for good.")
                                 : tr("A run is one fine-tuning with its curves, checkpoints and result. Start with a preset: it is one press from running."));
  m_emptyAction->setText(filtered ? tr("Clear the filter") : tr("New run"));
  m_emptyAction->setIcon(icon(filtered ? QStringLiteral("cancel") : QStringLiteral("view-newrun")));
  m_emptyAction->setVisible(filtered || !m_trash);
  m_pages->setCurrentWidget(m_empty);
}

QStringList RunsView::selectedIds() const {
  QStringList ids;
  const QModelIndex current = m_table->selection()->currentIndex();
  for (const QModelIndex& index : m_table->selection()->selectedRows()) {
    const RunRow* row = m_model->rowAt(index.row());
    if (!row) continue;
    const QString id = QString::fromStdString(row->id);
    if (current.isValid() && index.row() == current.row())
      ids.prepend(id);
    else
      ids << id;
  }
  return ids;
}

// Rows that are not in memory (Ctrl+A over ten thousand) get their ids from the store, in the table's own order.
void RunsView::selectionMoved() {
  if (m_selecting) return;
  m_pendingSelection.clear();
  const QModelIndexList rows = m_table->selection()->selectedRows();
  const QStringList known = selectedIds();
  const auto announce = [this](const QStringList& ids) {
    m_selecting = true;
    selection().set(ids);
    m_selecting = false;
    updateActions();
  };
  if (known.size() == rows.size()) {
    store().drop(this, "selection");
    announce(known);
    return;
  }
  std::vector<int> wanted;
  for (const QModelIndex& index : rows) wanted.push_back(index.row());
  std::sort(wanted.begin(), wanted.end());
  RunQuery query = m_model->query();
  query.limit = -1;
  store().read(this, "selection", [query](Store& s) { return s.listRunIds(query); },
               [wanted, announce](Result<std::vector<std::string>> all) {
                 if (!all.ok()) return;
                 QStringList ids;
                 for (const int row : wanted)
                   if (row < static_cast<int>(all->size())) ids << QString::fromStdString((*all)[static_cast<size_t>(row)]);
                 announce(ids);
               });
}

// After the rows have changed places: the same runs stay selected.
void RunsView::reselect() {
  const QStringList ids = m_pendingSelection.isEmpty() ? selection().ids() : m_pendingSelection;
  if (ids.isEmpty() || ids.size() > 500 || ids == selectedIds()) return;
  QItemSelection rows;
  int first = -1;
  for (const QString& id : ids) {
    const int row = m_model->rowOfLoaded(id);
    if (row < 0) continue;
    if (first < 0) first = row;
    rows.select(m_model->index(row, 0), m_model->index(row, m_model->columnCount() - 1));
  }
  if (first < 0) {
    // They have left the table (archived, deleted, filtered out). Rows that moved up must not pass for the selected ones;
    // where every row is in memory, the selection itself ends too.
    if (m_pendingSelection.isEmpty()) {
      m_selecting = true;
      m_table->selection()->clearSelection();
      if (m_model->total() <= RunsModel::kPageSize) selection().set({});
      m_selecting = false;
    }
    return;
  }
  m_selecting = true;
  m_table->selection()->setCurrentIndex(m_model->index(first, 0), QItemSelectionModel::NoUpdate);
  m_table->selection()->select(rows, QItemSelectionModel::ClearAndSelect);
  m_selecting = false;
  if (!m_pendingSelection.isEmpty()) m_table->scrollToRow(first);
  m_pendingSelection.clear();
}

void RunsView::loadNames() {
  store().read(this, "names", [](Store& s) { return s.names(); }, [this](Result<FilterNames> names) {
    if (!names.ok()) return;
    m_metricNames.clear();
    for (const std::string& metric : names->metrics) m_metricNames << QString::fromStdString(metric);
    m_table->setMetricNames(m_metricNames);
  });
}

void RunsView::onActivated() {
  m_model->refresh();
  loadNames();
  m_details->showRuns(selection().ids());  // chosen before this view was there
  m_table->view()->setFocus(Qt::OtherFocusReason);
}

void RunsView::onDeactivated() { m_details->saveNote(); }

void RunsView::open(const QJsonObject& request) {
  if (const QString filter = request.value(QStringLiteral("filter")).toString(); !filter.isEmpty()) m_filter->setText(filter);
  if (const QString id = request.value(QStringLiteral("run")).toString(); !id.isEmpty()) {
    selection().set({id});
    if (request.value(QStringLiteral("goOn")).toBool()) newFrom(id, true);
    if (request.value(QStringLiteral("evaluate")).toBool()) m_exchange->evaluate(id);
    // The run may lie on a page that is not in memory: its place in the order is asked for.
    RunQuery query = m_model->query();
    query.limit = -1;
    store().read(this, "find", [query](Store& s) { return s.listRunIds(query); },
                 [this, id](Result<std::vector<std::string>> all) {
                   if (!all.ok()) return;
                   const auto at = std::find(all->begin(), all->end(), id.toStdString());
                   if (at == all->end()) return;
                   m_pendingSelection = {id};
                   m_table->scrollToRow(static_cast<int>(at - all->begin()));
                   reselect();
                 });
  }
}

QJsonObject RunsView::saveState() const {
  QJsonObject state = {{QStringLiteral("table"), m_table->saveState()},
                       {QStringLiteral("filter"), m_filter->filter()},
                       {QStringLiteral("archived"), m_archived},
                       {QStringLiteral("groups"), QJsonArray::fromStringList(m_groupKeys)},
                       {QStringLiteral("splitter"), QString::fromLatin1(m_splitter->saveState().toBase64())},
                       {QStringLiteral("details"), !m_details->isHidden()}};
  if (!m_query.sort.empty()) {
    state.insert(QStringLiteral("sort"), QString::fromStdString(m_query.sort[0].key));
    state.insert(QStringLiteral("descending"), m_query.sort[0].descending);
  }
  return state;
}

void RunsView::restoreState(const QJsonObject& state) {
  m_table->restoreState(state.value(QStringLiteral("table")).toObject());
  if (const QString key = state.value(QStringLiteral("sort")).toString(); !key.isEmpty()) {
    m_query.sort = {{key.toStdString(), state.value(QStringLiteral("descending")).toBool()}};
    m_table->showSort(key, m_query.sort[0].descending);
  }
  m_archived = state.value(QStringLiteral("archived")).toBool();
  m_showArchived->setChecked(m_archived);
  if (state.contains(QStringLiteral("splitter")))
    m_splitter->restoreState(QByteArray::fromBase64(state.value(QStringLiteral("splitter")).toString().toLatin1()));
  m_detailsAction->setChecked(state.value(QStringLiteral("details")).toBool(true));
  QStringList keys;
  for (const QJsonValue& key : state.value(QStringLiteral("groups")).toArray()) keys << key.toString();
  setGroupKeys(keys);
  applyQuery();
  m_filter->setText(state.value(QStringLiteral("filter")).toString());
}

}  // namespace rankscope::ui
