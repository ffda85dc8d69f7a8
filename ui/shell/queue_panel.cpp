#include "ui/shell/queue_panel.h"

#include "core/store/store.h"
#include "ui/shell/job_result.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"
#include "ui/theme/theme.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QMenu>
#include <QPainter>
#include <QStackedLayout>
#include <QStyledItemDelegate>
#include <QTableView>
#include <QToolButton>

namespace rankscope::ui {

namespace {

// A thin bar with the percentage beside it.
class ProgressDelegate : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;
  void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override {
    QStyledItemDelegate::paint(painter, option, {});
    const double share = index.data(QueueModel::ProgressRole).toDouble();
    if (share < 0) return;
    const QString text = index.data().toString();
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    const int textWidth = option.fontMetrics.horizontalAdvance(QStringLiteral("100.0 %")) + 6;
    const QRectF bar(option.rect.left() + 6, option.rect.center().y() - 1.5, option.rect.width() - textWidth - 14, 4);
    painter->setPen(Qt::NoPen);
    painter->setBrush(colours().rule);
    painter->drawRoundedRect(bar, 2, 2);
    painter->setBrush(colours().accent);
    painter->drawRoundedRect(QRectF(bar.topLeft(), QSizeF(bar.width() * std::clamp(share, 0.0, 1.0), bar.height())), 2, 2);
    painter->setPen(colours().text);
    painter->setFont(Theme::tabular(option.font));
    painter->drawText(option.rect.adjusted(0, 0, -6, 0), Qt::AlignRight | Qt::AlignVCenter, text);
    painter->restore();
  }
};

bool waits(const Job& job) { return job.state == JobState::Queued || job.state == JobState::Held; }

}  // namespace

QueuePanel::QueuePanel(ViewContext& context, QWidget* parent) : QWidget(parent), m_context(context) {
  setAccessibleName(tr("Queue"));
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  auto* bar = new QWidget(this);
  bar->setProperty("role", QStringLiteral("bar"));
  auto* barLayout = new QHBoxLayout(bar);
  barLayout->setContentsMargins(space::kUnit, space::kHalf, space::kUnit, space::kHalf);
  barLayout->setSpacing(2);

  m_model = new QueueModel(this);
  m_table = new QTableView(this);
  m_table->setAccessibleName(tr("Jobs"));
  m_table->setModel(m_model);
  m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
  m_table->setSelectionMode(QAbstractItemView::SingleSelection);
  m_table->setShowGrid(false);
  m_table->setFrameShape(QFrame::NoFrame);
  m_table->setTabKeyNavigation(false);
  m_table->setWordWrap(false);
  m_table->verticalHeader()->hide();
  m_table->verticalHeader()->setDefaultSectionSize(space::rowHeight());
  m_table->setItemDelegateForColumn(QueueModel::Progress, new ProgressDelegate(m_table));
  m_table->setContextMenuPolicy(Qt::ActionsContextMenu);
  QHeaderView* header = m_table->horizontalHeader();
  header->setHighlightSections(false);
  header->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  header->setStretchLastSection(false);
  const int widths[] = {110, 280, 90, 100, 170, 320, 100};
  for (int i = 0; i < QueueModel::ColumnCount; ++i) m_table->setColumnWidth(i, widths[i]);
  header->setSectionResizeMode(QueueModel::Detail, QHeaderView::Stretch);

  const auto onQueue = [this](auto call, const QString& said) {
    return [this, call, said] { apply([call](Store& store, int64_t id) { return call(store, id); }, said); };
  };
  m_start = addAction(tr("Start the queue"), QStringLiteral("play"), {}, [this] { startRunner(); });
  m_up = addAction(tr("Move up"), QStringLiteral("up"), QKeySequence(QStringLiteral("Alt+Up")), [this] { move(-1); });
  m_down = addAction(tr("Move down"), QStringLiteral("down"), QKeySequence(QStringLiteral("Alt+Down")), [this] { move(1); });
  m_hold = addAction(tr("Hold or release"), QStringLiteral("hold"), QKeySequence(Qt::Key_H), [this] {
    const Job* job = current();
    if (!job) return;
    const bool hold = job->state != JobState::Held;
    apply([hold](Store& store, int64_t id) { return store.holdJob(id, hold); }, hold ? tr("Job held") : tr("Job released"));
  });
  m_cancel = addAction(tr("Cancel"), QStringLiteral("cancel"), QKeySequence::Delete,
                       onQueue([](Store& store, int64_t id) { return store.cancelJob(id); }, tr("Job cancelled")));
  m_retry = addAction(tr("Run again"), QStringLiteral("retry"), QKeySequence(Qt::Key_R),
                      onQueue(
                          [](Store& store, int64_t id) -> Result<void> {
                            const auto again = store.retryJob(id);
                            return again.ok() ? Result<void>() : Result<void>(again.error());
                          },
                          tr("Job waits again")));
  m_remove = addAction(tr("Remove from the list"), QStringLiteral("delete"), {},
                       onQueue([](Store& store, int64_t id) { return store.removeJob(id); }, tr("Job removed")));
  m_open = addAction(tr("Watch the run"), QStringLiteral("view-live"), {}, [this] {
    if (const Job* job = current(); job && !job->spec.runId.empty()) Q_EMIT openRun(QString::fromStdString(job->spec.runId));
  });
  m_result = addAction(tr("Show the result"), QStringLiteral("info"), QKeySequence(Qt::Key_I), [this] {
    if (const Job* job = current()) Q_EMIT resultAsked(*job);
  });
  for (QAction* action : {m_start, m_up, m_down, m_hold, m_cancel, m_retry, m_remove, m_open, m_result}) {
    auto* button = new QToolButton(bar);
    button->setDefaultAction(action);
    button->setAccessibleName(action->text());
    button->setToolButtonStyle(action == m_start ? Qt::ToolButtonTextBesideIcon : Qt::ToolButtonIconOnly);
    barLayout->addWidget(button);
  }
  barLayout->addSpacing(space::kUnit);
  m_headline = new QLabel(bar);
  makeCaption(m_headline);
  barLayout->addWidget(m_headline, 1);
  layout->addWidget(bar);

  auto* pages = new QWidget(this);
  auto* stacked = new QStackedLayout(pages);
  m_empty = new QLabel(tr("Nothing is queued. Set up a run under New run and press Queue: it will wait here for its turn, "
                          "through the night if need be."), pages);
  m_empty->setAlignment(Qt::AlignCenter);
  m_empty->setWordWrap(true);
  m_empty->setMargin(space::kPage);
  makeCaption(m_empty);
  stacked->addWidget(m_table);
  stacked->addWidget(m_empty);
  layout->addWidget(pages, 1);
  connect(this, &QueuePanel::summaryChanged, stacked, [this, stacked] {
    stacked->setCurrentWidget(m_model->rowCount() == 0 ? static_cast<QWidget*>(m_empty) : m_table);
  });

  connect(m_table->selectionModel(), &QItemSelectionModel::selectionChanged, this, [this] {
    if (const Job* job = current()) m_selectedId = job->id;
    updateActions();
  });
  connect(m_table, &QTableView::doubleClicked, this, &QueuePanel::openCurrent);
  connect(m_context.store, &StoreService::queueChanged, this, &QueuePanel::refresh);
  connect(m_context.store, &StoreService::opened, this, &QueuePanel::refresh);
  updateActions();
  refresh();
}

QAction* QueuePanel::addAction(const QString& text, const QString& iconName, const QKeySequence& shortcut,
                               std::function<void()> run) {
  auto* action = new QAction(icon(iconName), text, this);
  action->setShortcut(shortcut);
  action->setShortcutContext(Qt::WidgetWithChildrenShortcut);
  action->setToolTip(withShortcut(text, shortcut));
  connect(action, &QAction::triggered, this, [run = std::move(run)] { run(); });
  m_table->addAction(action);
  return action;
}

const Job* QueuePanel::current() const {
  const QModelIndexList rows = m_table->selectionModel()->selectedRows();
  return rows.isEmpty() ? nullptr : m_model->jobAt(rows.first().row());
}

void QueuePanel::refresh() {
  m_context.store->read(this, "jobs", [](Store& store) { return store.listJobs(true); },
                        [this](Result<std::vector<Job>> jobs) {
                          if (!jobs.ok()) return;
                          announceEnded(*jobs);
                          m_summary = {};
                          for (const Job& job : *jobs) {
                            m_summary.running += job.state == JobState::Running;
                            m_summary.waiting += job.state == JobState::Queued;
                            m_summary.held += job.state == JobState::Held;
                            m_summary.failed += job.state == JobState::Failed;
                          }
                          m_model->setJobs(std::move(*jobs));
                          if (const int row = m_model->rowOf(m_selectedId); row >= 0 && !current()) m_table->selectRow(row);
                          QStringList parts;
                          if (m_summary.running > 0) parts << tr("%n running", nullptr, m_summary.running);
                          if (m_summary.waiting > 0) parts << tr("%n waiting", nullptr, m_summary.waiting);
                          if (m_summary.held > 0) parts << tr("%n held", nullptr, m_summary.held);
                          if (m_summary.waiting > 0 && m_summary.running == 0)
                            parts << tr("press Start the queue to work through it");
                          m_headline->setText(parts.join(QStringLiteral(" · ")));
                          updateActions();
                          Q_EMIT summaryChanged();
                        });
}

void QueuePanel::updateActions() {
  const Job* job = current();
  m_start->setEnabled(m_summary.waiting > 0);
  m_up->setEnabled(job && waits(*job));
  m_down->setEnabled(job && waits(*job));
  m_hold->setEnabled(job && waits(*job));
  m_hold->setText(job && job->state == JobState::Held ? tr("Release") : tr("Hold"));
  m_cancel->setEnabled(job && (waits(*job) || (job->state == JobState::Running && !job->cancelRequested)));
  const bool ended = job && !waits(*job) && job->state != JobState::Running;
  m_retry->setEnabled(ended);
  m_remove->setEnabled(ended);
  m_open->setEnabled(job && !job->spec.runId.empty() && !waits(*job));
  m_result->setEnabled(ended && (job->error || hasResultPage(*job)));
}

void QueuePanel::openCurrent() {
  (m_result->isEnabled() ? m_result : m_open)->trigger();
}

// A job that was going at the last look, or that was added since then, and has ended now.
void QueuePanel::announceEnded(const std::vector<Job>& jobs) {
  const bool first = m_newestId < 0;
  QSet<qint64> going;
  std::vector<Job> ended;
  qint64 newest = 0;
  for (const Job& job : jobs) {
    newest = std::max<qint64>(newest, job.id);
    if (waits(job) || job.state == JobState::Running)
      going.insert(job.id);
    else if (!first && (m_going.contains(job.id) || job.id > m_newestId))
      ended.push_back(job);
  }
  m_going = going;
  m_newestId = std::max(m_newestId, newest);
  for (const Job& job : ended) Q_EMIT jobEnded(job);
}

void QueuePanel::apply(const JobWrite& write, const QString& done) {
  const Job* job = current();
  if (!job) return;
  m_context.store->write(this, {}, [write, id = job->id](Store& store) { return write(store, id); },
                         [this, done](Result<void> result) {
                           Q_EMIT statusMessage(result.ok() ? done : QString::fromStdString(result.error().message()));
                           refresh();
                         });
}

void QueuePanel::move(int by) {
  const Job* job = current();
  if (!job || !waits(*job)) return;
  int place = 0;
  for (int row = 0; const Job* other = m_model->jobAt(row); ++row) {
    if (other->id == job->id) break;
    place += waits(*other);
  }
  if (place + by < 0) return;
  apply([to = place + by](Store& store, int64_t id) { return store.moveJob(id, to); }, tr("Job moved"));
}

// Jobs of the aside slot have a runner of their own; a runner with nothing to do ends at once.
void QueuePanel::startRunner() {
  bool aside = false, others = false;
  for (int row = 0; const Job* job = m_model->jobAt(row); ++row)
    if (waits(*job)) (job->spec.slot == TrainerClient::kAsideSlot ? aside : others) = true;
  Result<qint64> started = 0;
  if (aside) started = m_context.trainer->startAsideRunner();
  if (started.ok() && (others || !aside)) started = m_context.trainer->startQueueRunner();
  Q_EMIT statusMessage(started.ok() ? tr("The queue is being worked through; it goes on when you close this window")
                                    : QString::fromStdString(started.error().message()));
}

}  // namespace rankscope::ui
