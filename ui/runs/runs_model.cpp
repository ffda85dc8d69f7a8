#include "ui/runs/runs_model.h"

#include "core/store/store.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/theme/theme.h"

#include <cmath>

namespace rankscope::ui {

namespace {

constexpr int kPagesKept = 24;
constexpr int kRefreshMs = 120;

Better directionOf(const RunRow& row, const QString& columnId) {
  if (columnId == QLatin1String("best")) return betterDirection(row.bestMetric);
  if (columnId == QLatin1String("eval_loss") || columnId == QLatin1String("train_loss") ||
      columnId == QLatin1String("time") || columnId == QLatin1String("memory"))
    return Better::Lower;
  if (columnId.startsWith(QLatin1String("metric:"))) return betterDirection(columnId.mid(7).toStdString());
  return Better::Neither;
}

bool comparable(const QString& columnId) {
  return columnId == QLatin1String("best") || columnId == QLatin1String("eval_loss") ||
         columnId == QLatin1String("train_loss") || columnId == QLatin1String("time") ||
         columnId == QLatin1String("memory") || columnId.startsWith(QLatin1String("metric:"));
}

}  // namespace

RunsModel::RunsModel(StoreService& store, QObject* parent) : QAbstractTableModel(parent), m_store(store) {
  m_refreshTimer.setSingleShot(true);
  m_refreshTimer.setInterval(kRefreshMs);
  connect(&m_refreshTimer, &QTimer::timeout, this, [this] {
    ++m_generation;
    m_asked.clear();
    for (Page& page : m_pages) page.stale = true;
    // The pages used last are the ones in view; the first is always read, for the total.
    std::vector<std::pair<quint64, int>> byUse;
    for (auto it = m_pages.cbegin(); it != m_pages.cend(); ++it) byUse.emplace_back(it->used, it.key());
    std::sort(byUse.rbegin(), byUse.rend());
    if (byUse.empty()) byUse.emplace_back(0, 0);
    for (size_t i = 0; i < std::min<size_t>(2, byUse.size()); ++i) request(byUse[i].second);
  });
}

void RunsModel::setQuery(const RunQuery& query) {
  m_query = query;
  m_refreshTimer.stop();
  ++m_generation;
  m_asked.clear();
  // The rows stay on screen until the answer is there: no flicker while typing.
  m_otherQuery = true;
  request(0);
}

void RunsModel::refresh() {
  if (!m_refreshTimer.isActive()) m_refreshTimer.start();
}

void RunsModel::request(int page) const {
  if (m_asked.value(page)) return;
  m_asked.insert(page, true);
  RunQuery query = m_query;
  query.limit = kPageSize;
  query.offset = static_cast<int64_t>(page) * kPageSize;
  auto* self = const_cast<RunsModel*>(this);
  self->m_store.read(self, "page/" + QByteArray::number(page), [query](Store& store) { return store.listRuns(query); },
                     [self, page, generation = m_generation](Result<RunPage> answer) {
                       if (generation != self->m_generation) return;
                       self->m_asked.remove(page);
                       if (answer.ok())
                         self->take(page, std::move(*answer));
                       else
                         Q_EMIT self->failed(QString::fromStdString(answer.error().message()));
                     });
}

void RunsModel::setTotal(int total) {
  if (total > m_total) {
    beginInsertRows({}, m_total, total - 1);
    m_total = total;
    endInsertRows();
  } else if (total < m_total) {
    beginRemoveRows({}, total, m_total - 1);
    m_total = total;
    m_pages.removeIf([total](auto it) { return it.key() * kPageSize >= total; });
    endRemoveRows();
  }
}

void RunsModel::take(int page, RunPage answer) {
  if (std::exchange(m_otherQuery, false)) m_pages.clear();
  Page& kept = m_pages[page];
  kept.rows = std::move(answer.rows);
  kept.stale = false;
  kept.used = ++m_clock;
  setTotal(static_cast<int>(answer.total));
  if (!m_columns.empty() && m_pages.contains(page)) {
    const int first = page * kPageSize;
    const int last = std::min(m_total, first + static_cast<int>(m_pages[page].rows.size())) - 1;
    if (last >= first) Q_EMIT dataChanged(index(first, 0), index(last, columnCount() - 1));
  }
  forgetOldPages();
  m_everLoaded = true;
  Q_EMIT loaded();
}

void RunsModel::forgetOldPages() {
  while (m_pages.size() > kPagesKept) {
    auto oldest = m_pages.begin();
    for (auto it = m_pages.begin(); it != m_pages.end(); ++it)
      if (it->used < oldest->used) oldest = it;
    m_pages.erase(oldest);
  }
}

const RunRow* RunsModel::rowAt(int row) const {
  if (row < 0 || row >= m_total) return nullptr;
  const int page = row / kPageSize;
  const auto it = m_pages.constFind(page);
  if (it == m_pages.constEnd()) {
    if (!m_otherQuery) request(page);
    return nullptr;
  }
  it->used = ++m_clock;
  if (it->stale && !m_otherQuery) request(page);
  const auto at = static_cast<size_t>(row % kPageSize);
  return at < it->rows.size() ? &it->rows[at] : nullptr;
}

int RunsModel::rowOfLoaded(const QString& id) const {
  const std::string text = id.toStdString();
  for (auto it = m_pages.cbegin(); it != m_pages.cend(); ++it)
    for (size_t i = 0; i < it->rows.size(); ++i)
      if (it->rows[i].id == text) return it.key() * kPageSize + static_cast<int>(i);
  return -1;
}

int RunsModel::columnOf(const QString& id) const {
  for (size_t i = 0; i < m_columns.size(); ++i)
    if (m_columns[i].id == id) return static_cast<int>(i);
  return -1;
}

void RunsModel::setColumns(std::vector<RunColumn> columns) {
  beginResetModel();
  m_columns = std::move(columns);
  endResetModel();
}

void RunsModel::setBaseline(std::optional<RunRow> baseline) {
  m_baseline = std::move(baseline);
  if (m_total > 0 && !m_columns.empty()) Q_EMIT dataChanged(index(0, 0), index(m_total - 1, columnCount() - 1));
}

int RunsModel::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : m_total; }
int RunsModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : static_cast<int>(m_columns.size()); }

QVariant RunsModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid()) return {};
  const RunColumn& column = m_columns[static_cast<size_t>(index.column())];
  if (role == Qt::TextAlignmentRole)
    return QVariant::fromValue((column.number ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
  if (role == ColumnIdRole) return column.id;
  const RunRow* row = rowAt(index.row());
  if (!row) return role == Qt::DisplayRole && column.id == QLatin1String("name") ? QVariant(QStringLiteral("…")) : QVariant();
  const bool delta = m_baseline && comparable(column.id) && m_baseline->id != row->id &&
                     (column.id != QLatin1String("best") || m_baseline->bestMetric == row->bestMetric);
  const double distance = delta ? runColumnValue(*row, column.id) - runColumnValue(*m_baseline, column.id) : kUnknown;
  switch (role) {
    case Qt::DisplayRole: {
      if (column.id == QLatin1String("loss_curve") || column.id == QLatin1String("star")) return {};
      const QString text = runColumnText(*row, column.id);
      if (!std::isfinite(distance)) return text;
      const QString size = column.id == QLatin1String("time") ? formatDuration(std::abs(distance))
                           : column.id == QLatin1String("memory") ? formatBytes(std::abs(distance)) : formatNumber(std::abs(distance), 3);
      return QStringLiteral("%1  %2%3").arg(text, distance < 0 ? QStringLiteral("−") : QStringLiteral("+"), size);
    }
    case Qt::AccessibleTextRole: return runColumnText(*row, column.id);
    case Qt::ToolTipRole: {
      const QString text = runToolTip(*row, column.id);
      return text.isEmpty() ? QVariant() : QVariant(text);
    }
    case Qt::ForegroundRole:
      if (std::isfinite(distance) && distance != 0) {
        const Better direction = directionOf(*row, column.id);
        if (direction != Better::Neither)
          return (direction == Better::Lower) == (distance < 0) ? colours().ok : colours().danger;
      }
      if (row->archived) return colours().textMuted;
      return {};
    case Qt::FontRole:
      return column.number ? QVariant(Theme::tabular(Theme::instance().uiFont())) : QVariant();
    case RowRole: return QVariant::fromValue(static_cast<const void*>(row));
    default: return {};
  }
}

QVariant RunsModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || section < 0 || section >= columnCount()) return {};
  const RunColumn& column = m_columns[static_cast<size_t>(section)];
  switch (role) {
    case Qt::DisplayRole: return column.title;
    case Qt::ToolTipRole: return column.help.isEmpty() ? column.title : column.help;
    case Qt::AccessibleTextRole: return column.title.isEmpty() ? column.help : column.title;
    case Qt::TextAlignmentRole: return QVariant::fromValue((column.number ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    case Qt::DecorationRole:
      return column.id == QLatin1String("star") ? QVariant(icon(QStringLiteral("star"), colours().textMuted)) : QVariant();
    default: return {};
  }
}

void RunsModel::sort(int column, Qt::SortOrder order) {
  RunQuery query = m_query;
  query.sort.clear();
  if (column >= 0 && column < columnCount()) {
    const QString key = m_columns[static_cast<size_t>(column)].sortKey;
    if (key.isEmpty()) return;
    query.sort.push_back({key.toStdString(), order == Qt::DescendingOrder});
    Q_EMIT sortChanged(key, order == Qt::DescendingOrder);
  }
  setQuery(query);
}

}  // namespace rankscope::ui
