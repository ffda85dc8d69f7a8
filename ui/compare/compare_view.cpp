#include "ui/compare/compare_view.h"

#include "core/store/store.h"
#include "ui/compare/curves_tab.h"
#include "ui/compare/differences_tab.h"
#include "ui/compare/paper_tab.h"
#include "ui/compare/rank_tab.h"
#include "ui/plots/plot.h"
#include "ui/runs/run_columns.h"
#include "ui/runs/run_delegates.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/theme/theme.h"

#include <QHBoxLayout>
#include <QJsonArray>
#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QSplitter>
#include <QStackedWidget>
#include <QTabWidget>
#include <QToolButton>
#include <QVBoxLayout>

namespace rankscope::ui {

CompareView::CompareView(ViewContext& context, QWidget* parent) : View(context, parent) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  m_pages = new QStackedWidget(this);
  layout->addWidget(m_pages);

  auto* empty = new QWidget(m_pages);
  auto* emptyLayout = new QVBoxLayout(empty);
  auto* title = new QLabel(tr("No runs to compare"), empty);
  makeHeading(title);
  title->setAlignment(Qt::AlignCenter);
  auto* text = new QLabel(tr("Select two or more rows under Runs and press Ctrl+Return. Ctrl+A takes all that fit the filter."), empty);
  text->setAlignment(Qt::AlignCenter);
  makeCaption(text);
  auto* go = new QPushButton(icon(QStringLiteral("view-runs")), tr("Go to Runs"), empty);
  connect(go, &QPushButton::clicked, this, [this] { Q_EMIT showView(QStringLiteral("runs"), {}); });
  emptyLayout->addStretch(2);
  emptyLayout->addWidget(title);
  emptyLayout->addWidget(text);
  emptyLayout->addSpacing(space::kUnit);
  emptyLayout->addWidget(go, 0, Qt::AlignHCenter);
  emptyLayout->addStretch(3);
  m_pages->addWidget(empty);

  m_splitter = new QSplitter(Qt::Horizontal, m_pages);
  m_splitter->setHandleWidth(1);
  m_splitter->setChildrenCollapsible(false);
  auto* side = new QWidget(m_splitter);
  auto* sideLayout = new QVBoxLayout(side);
  sideLayout->setContentsMargins(0, 0, 0, 0);
  sideLayout->setSpacing(0);
  auto* head = new QHBoxLayout;
  head->setContentsMargins(space::kUnit + 4, space::kUnit, space::kHalf, space::kHalf);
  m_listTitle = new QLabel(side);
  head->addWidget(m_listTitle, 1);
  const auto tool = [&](const char* iconName, const QString& tip, std::function<void()> run) {
    auto* button = new QToolButton(side);
    button->setIcon(icon(QLatin1String(iconName)));
    button->setToolTip(tip);
    button->setAccessibleName(tip);
    connect(button, &QToolButton::clicked, this, std::move(run));
    head->addWidget(button);
  };
  tool("eye", tr("Show all"), [this] { selectFew([](const ComparedRun&) { return true; }); });
  tool("eye-off", tr("Hide all but the chosen"), [this] {
    const QListWidgetItem* item = m_list->currentItem();
    const QString id = item ? item->data(Qt::UserRole).toString() : QString();
    selectFew([id](const ComparedRun& run) { return run.id == id; });
  });
  tool("cancel", tr("Take the chosen out of the comparison"), [this] {
    if (const QListWidgetItem* item = m_list->currentItem()) {
      QStringList ids = m_ids;
      ids.removeAll(item->data(Qt::UserRole).toString());
      selection().set(ids);
      setIds(ids);
    }
  });
  sideLayout->addLayout(head);
  m_list = new QListWidget(side);
  m_list->setAccessibleName(tr("Compared runs"));
  m_list->setFrameShape(QFrame::NoFrame);
  m_list->setUniformItemSizes(true);
  sideLayout->addWidget(m_list, 1);
  m_splitter->addWidget(side);

  m_tabs = new QTabWidget(m_splitter);
  m_tabs->setDocumentMode(true);
  m_curves = new CurvesTab(context, m_tabs);
  m_differences = new DifferencesTab(context, m_tabs);
  m_rank = new RankTab(m_tabs);
  m_paper = new PaperTab(m_tabs);
  m_tabs->addTab(m_curves, icon(QStringLiteral("chart")), tr("Curves"));
  m_tabs->addTab(m_differences, icon(QStringLiteral("diff")), tr("Differences"));
  m_tabs->addTab(m_rank, icon(QStringLiteral("steps")), tr("Against rank"));
  m_tabs->addTab(m_paper, icon(QStringLiteral("table")), tr("Paper table"));
  m_splitter->addWidget(m_tabs);
  m_splitter->setStretchFactor(1, 1);
  m_splitter->setSizes({space::scaled(280), 1000});
  m_pages->addWidget(m_splitter);

  connect(m_list, &QListWidget::itemChanged, this, [this](QListWidgetItem* item) {
    if (m_filling) return;
    const QString id = item->data(Qt::UserRole).toString();
    m_hidden[id] = item->checkState() != Qt::Checked;
    for (ComparedRun& run : m_runs)
      if (run.id == id) run.visible = !m_hidden[id];
    runsToTabs();
  });
  connect(m_list, &QListWidget::currentItemChanged, this, [this](const QListWidgetItem* item) {
    if (!m_filling) m_curves->highlight(item ? item->data(Qt::UserRole).toString() : QString());
  });
  connect(m_curves, &CurvesTab::runClicked, this, [this](const QString& id) {
    for (int i = 0; i < m_list->count(); ++i)
      if (m_list->item(i)->data(Qt::UserRole).toString() == id) m_list->setCurrentRow(i);
  });
  connect(m_tabs, &QTabWidget::currentChanged, this, [this](int index) {
    m_curves->setActive(m_active && index == 0);
    m_differences->setActive(m_active && index == 1);
  });
  connect(m_differences, &DifferencesTab::statusMessage, this, &View::statusMessage);
  connect(m_paper, &PaperTab::statusMessage, this, &View::statusMessage);
  connect(&store(), &StoreService::runsChanged, this, [this](const QStringList& ids) {
    if (!m_active || m_ids.isEmpty()) return;
    if (ids.isEmpty() || std::any_of(ids.begin(), ids.end(), [this](const QString& id) { return m_ids.contains(id); })) load();
  });
  connect(&store(), &StoreService::opened, this, &CompareView::load);
  connect(&selection(), &RunSelection::changed, this, [this](const QStringList& ids) {
    if (!m_active && ids.size() > 1) setIds(ids);
  });
  connect(&Theme::instance(), &Theme::changed, this, &CompareView::fillList);

  const auto page = [this](int index) { return [this, index] { m_tabs->setCurrentIndex(index); }; };
  addViewAction(tr("Curves"), QStringLiteral("chart"), QKeySequence(QStringLiteral("Alt+1")), page(0));
  addViewAction(tr("Differences"), QStringLiteral("diff"), QKeySequence(QStringLiteral("Alt+2")), page(1));
  addViewAction(tr("Against rank"), QStringLiteral("steps"), QKeySequence(QStringLiteral("Alt+3")), page(2));
  addViewAction(tr("Paper table"), QStringLiteral("table"), QKeySequence(QStringLiteral("Alt+4")), page(3));
  addViewSeparator();
  addViewAction(tr("Show all runs"), QStringLiteral("eye"), {}, [this] { selectFew([](const ComparedRun&) { return true; }); });
  addViewAction(tr("Zoom back"), QStringLiteral("zoom-back"), QKeySequence(QStringLiteral("Alt+Left")), [this] { m_curves->plot()->zoomBack(); });
  addViewAction(tr("Zoom forward"), QStringLiteral("right"), QKeySequence(QStringLiteral("Alt+Right")), [this] { m_curves->plot()->zoomForward(); });
}

void CompareView::onActivated() {
  m_active = true;
  if (selection().ids().size() > 1 || m_ids.isEmpty()) setIds(selection().ids());
  m_curves->setActive(m_tabs->currentIndex() == 0);
  m_differences->setActive(m_tabs->currentIndex() == 1);
  load();
}

void CompareView::onDeactivated() {
  m_active = false;
  m_curves->setActive(false);
  m_differences->setActive(false);
}

void CompareView::open(const QJsonObject& request) {
  QStringList ids;
  for (const QJsonValue& id : request.value(QStringLiteral("runs")).toArray()) ids << id.toString();
  if (!ids.isEmpty()) setIds(ids);
}

void CompareView::setIds(const QStringList& ids) {
  if (ids.size() > kMostRuns)
    Q_EMIT statusMessage(tr("The first %1 of %2 runs are compared").arg(kMostRuns).arg(ids.size()));
  const QStringList kept = ids.mid(0, kMostRuns);
  if (kept == m_ids) return;
  m_ids = kept;
  m_hidden.clear();
  load();
}

void CompareView::load() {
  m_pages->setCurrentIndex(m_ids.isEmpty() ? 0 : 1);
  if (m_ids.isEmpty()) {
    m_runs.clear();
    runsToTabs();
    return;
  }
  RunQuery query;
  for (const QString& id : m_ids) query.ids.push_back(id.toStdString());
  query.limit = -1;
  query.includeArchived = true;
  query.withSparkline = false;
  store().read(this, "rows", [query](Store& s) { return s.listRuns(query); }, [this, ids = m_ids](Result<RunPage> page) {
    if (!page.ok()) {
      Q_EMIT statusMessage(QString::fromStdString(page.error().message()));
      return;
    }
    std::vector<RunRow> rows;
    for (const QString& id : ids)  // in the order of the selection
      for (RunRow& row : page->rows)
        if (row.id == id.toStdString()) rows.push_back(std::move(row));
    m_runs = comparedRuns(std::move(rows));
    for (ComparedRun& run : m_runs) run.visible = !m_hidden.value(run.id);
    fillList();
    runsToTabs();
  });
}

void CompareView::fillList() {
  m_filling = true;
  const QString current = m_list->currentItem() ? m_list->currentItem()->data(Qt::UserRole).toString() : QString();
  m_list->clear();
  for (const ComparedRun& run : m_runs) {
    QPixmap swatch(4, 14);
    swatch.fill(colourOfRun(run.row));
    QString text = run.label;
    if (std::isfinite(run.row.bestValue)) text += QStringLiteral("   %1").arg(formatNumber(run.row.bestValue, 4));
    auto* item = new QListWidgetItem(QIcon(swatch), text, m_list);
    item->setData(Qt::UserRole, run.id);
    item->setToolTip(QStringLiteral("%1\n%2\n%3").arg(QString::fromStdString(run.row.name), stateTitle(QString::fromStdString(run.row.status)),
                                                      runToolTip(run.row, QStringLiteral("best"))));
    item->setFlags(item->flags() | Qt::ItemIsUserCheckable);
    item->setCheckState(run.visible ? Qt::Checked : Qt::Unchecked);
    item->setSizeHint({0, space::rowHeight()});
    if (run.id == current) m_list->setCurrentItem(item);
  }
  m_listTitle->setText(tr("%n run(s)", nullptr, static_cast<int>(m_runs.size())));
  m_filling = false;
}

void CompareView::selectFew(const std::function<bool(const ComparedRun&)>& keep) {
  for (ComparedRun& run : m_runs) {
    run.visible = keep(run);
    m_hidden[run.id] = !run.visible;
  }
  fillList();
  runsToTabs();
}

void CompareView::runsToTabs() {
  m_curves->setRuns(m_runs);
  m_differences->setRuns(m_runs);
  m_rank->setRuns(m_runs);
  m_paper->setRuns(m_runs);
}

QJsonObject CompareView::saveState() const {
  return {{QStringLiteral("runs"), QJsonArray::fromStringList(m_ids)},
          {QStringLiteral("tab"), m_tabs->currentIndex()},
          {QStringLiteral("curves"), m_curves->saveState()},
          {QStringLiteral("rank"), m_rank->saveState()},
          {QStringLiteral("paper"), m_paper->saveState()},
          {QStringLiteral("splitter"), QString::fromLatin1(m_splitter->saveState().toBase64())}};
}

void CompareView::restoreState(const QJsonObject& state) {
  m_curves->restoreState(state.value(QStringLiteral("curves")).toObject());
  m_rank->restoreState(state.value(QStringLiteral("rank")).toObject());
  m_paper->restoreState(state.value(QStringLiteral("paper")).toObject());
  m_tabs->setCurrentIndex(std::clamp(state.value(QStringLiteral("tab")).toInt(), 0, 3));
  if (state.contains(QStringLiteral("splitter")))
    m_splitter->restoreState(QByteArray::fromBase64(state.value(QStringLiteral("splitter")).toString().toLatin1()));
  QStringList ids;
  for (const QJsonValue& id : state.value(QStringLiteral("runs")).toArray()) ids << id.toString();
  if (!ids.isEmpty() && m_ids.isEmpty()) setIds(ids);
}

}  // namespace rankscope::ui
