#include "ui/runs/run_table.h"

#include "ui/runs/run_delegates.h"
#include "ui/theme/theme.h"

#include <QGuiApplication>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QJsonArray>
#include <QKeyEvent>
#include <QMenu>
#include <QScrollBar>
#include <QTableView>

namespace rankscope::ui {

namespace {

constexpr int kCellPadding = 21;     // both sides: the style sheet's and the style's own
constexpr int kTitlePadding = 8;     // more than a cell's
constexpr int kSortArrow = 16;
constexpr int kChipPadding = 12, kChipGap = 4, kWidestChip = 110;  // run_delegates.cpp
constexpr int kStatePadding = 42;    // swatch and icon
constexpr int kWidestCurve = 150;
constexpr int kRowsMeasured = 60;

}  // namespace

RunTable::RunTable(RunsModel& model, QWidget* parent) : QWidget(parent), m_model(model) {
  auto* layout = new QHBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  m_pinnedView = new QTableView(this);
  m_main = new QTableView(this);
  setFocusProxy(m_main);
  setUp(m_pinnedView, tr("Pinned columns"));
  setUp(m_main, tr("Runs"));
  m_pinnedView->setSelectionModel(m_main->selectionModel());
  m_pinnedView->setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  m_pinnedView->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  m_pinnedView->hide();
  connect(m_main->verticalScrollBar(), &QScrollBar::valueChanged, m_pinnedView->verticalScrollBar(), &QScrollBar::setValue);
  connect(m_pinnedView->verticalScrollBar(), &QScrollBar::valueChanged, m_main->verticalScrollBar(), &QScrollBar::setValue);
  layout->addWidget(m_pinnedView);
  layout->addWidget(m_main, 1);

  QStringList ids;
  for (const RunColumn& column : fixedRunColumns())
    if (column.defaultShown) ids << column.id;
  rebuild(ids);
  connect(&m_model, &RunsModel::loaded, this, [this] {
    const auto before = m_content;
    measure();
    const bool scrolls = m_model.rowCount() * space::rowHeight() > m_main->viewport()->height();
    if (before != m_content || scrolls != m_scrolls) fitColumns();
  });
  connect(&Theme::instance(), &Theme::changed, this, [this] { fitColumns(); });
}

void RunTable::setUp(QTableView* view, const QString& name) {
  view->setAccessibleName(name);
  view->setModel(&m_model);
  view->setItemDelegate(new RunDelegate(view));
  view->setSelectionBehavior(QAbstractItemView::SelectRows);
  view->setSelectionMode(QAbstractItemView::ExtendedSelection);
  view->setShowGrid(false);
  view->setFrameShape(QFrame::NoFrame);
  view->setWordWrap(false);
  view->setTabKeyNavigation(false);
  view->setMouseTracking(true);
  view->setVerticalScrollMode(QAbstractItemView::ScrollPerPixel);
  view->setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
  view->verticalHeader()->hide();
  view->verticalHeader()->setSectionResizeMode(QHeaderView::Fixed);
  view->verticalHeader()->setDefaultSectionSize(space::rowHeight());
  view->setContextMenuPolicy(Qt::CustomContextMenu);
  QHeaderView* header = view->horizontalHeader();
  header->setSectionsMovable(true);
  header->setHighlightSections(false);
  header->setSectionsClickable(true);
  header->setSortIndicatorShown(true);
  header->setSortIndicator(-1, Qt::DescendingOrder);
  header->setMinimumSectionSize(28);
  header->setFixedHeight(space::rowHeight() + 2);
  header->setContextMenuPolicy(Qt::CustomContextMenu);
  header->setAccessibleName(tr("Column headers"));
  connect(header, &QHeaderView::customContextMenuRequested, this, [this, view](const QPoint& at) { headerMenu(view, at); });
  connect(header, &QHeaderView::sectionClicked, this, [this](int column) {
    if (column < 0 || column >= m_model.columnCount()) return;
    const RunColumn& chosen = m_model.columns()[static_cast<size_t>(column)];
    if (chosen.sortKey.isEmpty()) return;
    // Figures are mostly wanted from the largest down, texts from A.
    const auto& sort = m_model.query().sort;
    const bool same = sort.size() == 1 && sort[0].key == chosen.sortKey.toStdString();
    const bool descending = same ? !sort[0].descending : chosen.number || chosen.id == QLatin1String("star");
    m_model.sort(column, descending ? Qt::DescendingOrder : Qt::AscendingOrder);
  });
  connect(header, &QHeaderView::sectionResized, this, [this](int column, int, int size) {
    if (m_rebuilding || size <= 0 || column >= m_model.columnCount()) return;
    m_widths[m_model.columns()[static_cast<size_t>(column)].id] = size;
    // The others move once the mouse is let go: not under it.
    if (!(QGuiApplication::mouseButtons() & Qt::LeftButton)) fitColumns();
    layoutPinned();
    Q_EMIT arrangementChanged();
  });
  connect(header, &QHeaderView::sectionMoved, this, [this, header] {
    if (m_rebuilding) return;
    // The order on screen becomes the model's own, so that there is only one order to remember.
    QStringList ids;
    for (int visual = 0; visual < header->count(); ++visual)
      ids << m_model.columns()[static_cast<size_t>(header->logicalIndex(visual))].id;
    QMetaObject::invokeMethod(this, [this, ids] { rebuild(ids); Q_EMIT arrangementChanged(); }, Qt::QueuedConnection);
  });
  connect(view, &QTableView::clicked, this, [this](const QModelIndex& index) {
    if (index.data(RunsModel::ColumnIdRole).toString() == QLatin1String("star")) Q_EMIT starClicked(index.row());
  });
  connect(view, &QTableView::doubleClicked, this, [this](const QModelIndex& index) { Q_EMIT rowActivated(index.row()); });
  connect(view, &QWidget::customContextMenuRequested, this,
          [this, view](const QPoint& at) { Q_EMIT contextMenuAsked(view->viewport()->mapToGlobal(at)); });
  view->installEventFilter(this);
}

QItemSelectionModel* RunTable::selection() const { return m_main->selectionModel(); }

// Pinned columns lead; each view hides what belongs to the other.
void RunTable::rebuild(const QStringList& wanted) {
  m_rebuilding = true;
  QStringList ids;
  for (const QString& id : wanted)
    if (m_pinned.contains(id)) ids << id;
  for (const QString& id : wanted)
    if (!m_pinned.contains(id)) ids << id;
  std::vector<RunColumn> columns;
  for (const QString& id : ids)
    if (RunColumn column = runColumnById(id); !column.id.isEmpty()) columns.push_back(column);
  m_model.setColumns(columns);
  for (QTableView* view : {m_pinnedView, m_main}) {
    QHeaderView* header = view->horizontalHeader();
    for (int i = 0; i < header->count(); ++i)
      if (header->visualIndex(i) != i) header->moveSection(header->visualIndex(i), i);
    for (int i = 0; i < static_cast<int>(columns.size()); ++i) {
      const RunColumn& column = columns[static_cast<size_t>(i)];
      view->setColumnHidden(i, m_pinned.contains(column.id) != (view == m_pinnedView));
    }
  }
  m_rebuilding = false;
  measure();
  fitColumns();
  if (!m_model.query().sort.empty())
    showSort(QString::fromStdString(m_model.query().sort[0].key), m_model.query().sort[0].descending);
}

void RunTable::measure() {
  const QFontMetrics metrics(Theme::tabular(m_main->font()));
  const QFontMetrics small(Theme::instance().smallFont());
  const auto& sort = m_model.query().sort;
  const int first = std::max(0, m_main->rowAt(0));
  const int last = std::min(m_model.rowCount(), first + kRowsMeasured);
  for (const RunColumn& column : m_model.columns()) {
    int& widest = m_content[column.id];
    const bool sorted = !sort.empty() && !column.sortKey.isEmpty() && sort[0].key == column.sortKey.toStdString();
    widest = std::max(widest, metrics.horizontalAdvance(column.title) + kTitlePadding + (sorted ? kSortArrow : 0));
    const int at = m_model.columnOf(column.id);
    for (int row = first; row < last; ++row) {
      const RunRow* run = m_model.rowAt(row);
      if (!run) continue;
      int width = 0;
      if (column.id == QLatin1String("tags")) {
        for (const std::string& tag : run->tags)
          width += std::min(small.horizontalAdvance(QString::fromStdString(tag)), kWidestChip) + kChipPadding + kChipGap;
      } else {
        width = metrics.horizontalAdvance(m_model.index(row, at).data().toString());
        if (column.id == QLatin1String("status")) width += kStatePadding - kCellPadding;
      }
      widest = std::max(widest, width);
    }
  }
}

int RunTable::widthWanted(const RunColumn& column) const {
  if (const auto set = m_widths.constFind(column.id); set != m_widths.cend()) return *set;
  if (column.id == QLatin1String("star") || column.id == QLatin1String("loss_curve")) return space::scaled(column.width);
  // The narrowest heading has to fit as well.
  const int widest = space::scaled(column.width);
  return std::clamp(m_content.value(column.id) + kCellPadding, std::min(space::scaled(column.least), widest), widest);
}

// Texts that may be cut short give up what is missing, each in proportion to what it could spare; room that is left makes
// the loss curve wider, where it says most.
void RunTable::fitColumns() {
  const auto& columns = m_model.columns();
  std::vector<int> widths;
  int total = 0, spare = 0, curve = -1;
  const auto spareOf = [this](const RunColumn& column, int width) {
    return column.least > 0 && !m_widths.contains(column.id) ? std::max(0, width - space::scaled(column.least)) : 0;
  };
  for (const RunColumn& column : columns) {
    const int width = widthWanted(column);
    if (column.id == QLatin1String("loss_curve") && !m_widths.contains(column.id)) curve = static_cast<int>(widths.size());
    widths.push_back(width);
    total += width;
    spare += spareOf(column, width);
  }
  m_scrolls = m_model.rowCount() * space::rowHeight() > m_main->viewport()->height();
  const int room = width() - (m_scrolls ? m_main->verticalScrollBar()->sizeHint().width() : 0);
  if (total > room && spare > 0) {
    const int missing = std::min(total - room, spare);
    int taken = 0, seen = 0;
    for (size_t i = 0; i < columns.size(); ++i) {
      const int own = spareOf(columns[i], widths[i]);
      seen += own;
      const int upTo = static_cast<int>(static_cast<qint64>(missing) * seen / spare);
      widths[i] -= upTo - taken;
      taken = upTo;
    }
  } else if (total < room) {
    if (curve >= 0) {
      int& width = widths[static_cast<size_t>(curve)];
      const int more = std::min(room - total, std::max(0, kWidestCurve - width));
      width += more;
      total += more;
    }
    // The rest goes to the last column, if its text begins at the left anyway.
    if (!columns.empty() && columns.back().least > 0 && !m_widths.contains(columns.back().id)) widths.back() += room - total;
  }
  m_rebuilding = true;
  for (int i = 0; i < static_cast<int>(columns.size()); ++i)
    for (QTableView* view : {m_pinnedView, m_main})
      if (view->columnWidth(i) != widths[static_cast<size_t>(i)] && !view->isColumnHidden(i))
        view->setColumnWidth(i, widths[static_cast<size_t>(i)]);
  m_rebuilding = false;
  layoutPinned();
}

void RunTable::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  fitColumns();
}

void RunTable::layoutPinned() {
  int width = 0;
  for (int i = 0; i < m_model.columnCount(); ++i)
    if (!m_pinnedView->isColumnHidden(i)) width += m_pinnedView->columnWidth(i);
  m_pinnedView->setVisible(width > 0);
  m_pinnedView->setFixedWidth(std::max(1, width));
}

QStringList RunTable::shownColumns() const {
  QStringList ids;
  for (const RunColumn& column : m_model.columns()) ids << column.id;
  return ids;
}

void RunTable::setColumnShown(const QString& id, bool shown) {
  QStringList ids = shownColumns();
  if (shown == ids.contains(id)) return;
  if (shown)
    ids << id;
  else if (ids.size() > 1)
    ids.removeAll(id);
  rebuild(ids);
  Q_EMIT arrangementChanged();
}

void RunTable::setPinned(const QString& id, bool pinned) {
  if (pinned == m_pinned.contains(id)) return;
  if (pinned)
    m_pinned << id;
  else
    m_pinned.removeAll(id);
  rebuild(shownColumns());
  Q_EMIT arrangementChanged();
}

void RunTable::showSort(const QString& key, bool descending) {
  int at = -1;
  for (int i = 0; i < m_model.columnCount(); ++i)
    if (!key.isEmpty() && m_model.columns()[static_cast<size_t>(i)].sortKey == key) at = i;
  for (QTableView* view : {m_pinnedView, m_main}) {
    QHeaderView* header = view->horizontalHeader();
    const QSignalBlocker quiet(header);
    header->setSortIndicator(at, descending ? Qt::DescendingOrder : Qt::AscendingOrder);
  }
  measure();
  fitColumns();
}

void RunTable::fillColumnsMenu(QMenu* menu) {
  const QStringList shown = shownColumns();
  const auto add = [&](QMenu* to, const QString& id, const QString& title) {
    QAction* action = to->addAction(title);
    action->setCheckable(true);
    action->setChecked(shown.contains(id));
    connect(action, &QAction::toggled, this, [this, id](bool on) { setColumnShown(id, on); });
  };
  for (const RunColumn& column : fixedRunColumns()) add(menu, column.id, column.title.isEmpty() ? column.help : column.title);
  if (m_metrics.isEmpty()) return;
  menu->addSeparator();
  QMenu* metrics = menu->addMenu(icon(QStringLiteral("chart")), tr("Metrics"));
  for (const QString& metric : m_metrics) add(metrics, QStringLiteral("metric:") + metric, metric);
}

void RunTable::headerMenu(QTableView* view, const QPoint& at) {
  auto* menu = new QMenu(this);
  menu->setAttribute(Qt::WA_DeleteOnClose);
  const int column = view->horizontalHeader()->logicalIndexAt(at);
  if (column >= 0 && column < m_model.columnCount()) {
    const RunColumn chosen = m_model.columns()[static_cast<size_t>(column)];
    const QString title = chosen.title.isEmpty() ? chosen.help : chosen.title;
    connect(menu->addAction(icon(QStringLiteral("eye-off")), tr("Hide “%1”").arg(title)), &QAction::triggered, this,
            [this, id = chosen.id] { setColumnShown(id, false); });
    const bool pinned = isPinned(chosen.id);
    connect(menu->addAction(icon(QStringLiteral("lock")), pinned ? tr("Unpin “%1”").arg(title) : tr("Pin “%1” at the left").arg(title)),
            &QAction::triggered, this, [this, id = chosen.id, pinned] { setPinned(id, !pinned); });
    menu->addSeparator();
  }
  fillColumnsMenu(menu->addMenu(icon(QStringLiteral("columns")), tr("Columns")));
  menu->popup(view->horizontalHeader()->mapToGlobal(at));
}

QJsonObject RunTable::saveState() const {
  QJsonObject widths;
  for (auto it = m_widths.cbegin(); it != m_widths.cend(); ++it) widths.insert(it.key(), it.value());
  return {{QStringLiteral("columns"), QJsonArray::fromStringList(shownColumns())},
          {QStringLiteral("pinned"), QJsonArray::fromStringList(m_pinned)},
          {QStringLiteral("setWidths"), widths}};
}

void RunTable::restoreState(const QJsonObject& state) {
  const QJsonObject widths = state.value(QStringLiteral("setWidths")).toObject();
  for (auto it = widths.begin(); it != widths.end(); ++it)
    if (it->toInt() >= 28 && it->toInt() < 2000) m_widths.insert(it.key(), it->toInt());
  QStringList ids;
  for (const QJsonValue& id : state.value(QStringLiteral("columns")).toArray()) ids << id.toString();
  m_pinned.clear();
  for (const QJsonValue& id : state.value(QStringLiteral("pinned")).toArray()) m_pinned << id.toString();
  rebuild(ids.isEmpty() ? shownColumns() : ids);
}

void RunTable::scrollToRow(int row) {
  if (row >= 0 && row < m_model.rowCount()) m_main->scrollTo(m_model.index(row, 0), QAbstractItemView::EnsureVisible);
}

bool RunTable::eventFilter(QObject* object, QEvent* event) {
  if (event->type() == QEvent::KeyPress && (object == m_main || object == m_pinnedView)) {
    const auto* key = static_cast<QKeyEvent*>(event);
    if (key->key() == Qt::Key_Return || key->key() == Qt::Key_Enter) {
      if (m_main->currentIndex().isValid()) Q_EMIT rowActivated(m_main->currentIndex().row());
      return true;
    }
  }
  return false;
}

}  // namespace rankscope::ui
