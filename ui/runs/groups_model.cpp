#include "ui/runs/groups_model.h"

#include "ui/runs/run_columns.h"
#include "ui/shell/format.h"
#include "ui/theme/theme.h"

#include <cmath>

namespace rankscope::ui {

int meaningfulDecimals(double mean, double sd) {
  const double scale = std::isfinite(sd) && sd > 0 ? sd : std::abs(mean) / 1000;
  if (!(scale > 0)) return 3;
  return std::clamp(1 - static_cast<int>(std::floor(std::log10(scale))), 0, 6);
}

QString groupKeyTitle(const QString& key) {
  const RunColumn column = runColumnById(key);
  return column.id.isEmpty() ? key : column.title;
}

void GroupsModel::setGroups(QStringList keys, QStringList metrics, std::vector<RunGroup> groups) {
  beginResetModel();
  m_keys = std::move(keys);
  m_metrics = std::move(metrics);
  m_groups = std::move(groups);
  endResetModel();
}

QStringList GroupsModel::runIds(int row) const {
  QStringList ids;
  if (row < 0 || row >= rowCount()) return ids;
  for (const std::string& id : m_groups[static_cast<size_t>(row)].runIds) ids << QString::fromStdString(id);
  return ids;
}

int GroupsModel::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : static_cast<int>(m_groups.size()); }
int GroupsModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() || m_keys.isEmpty() ? 0 : static_cast<int>(m_keys.size() + 1 + m_metrics.size());
}

// The best mean of a metric, by the direction that is better for it.
bool GroupsModel::isBest(int row, int metric) const {
  const Better direction = betterDirection(m_metrics[metric].toStdString());
  if (direction == Better::Neither || m_groups.size() < 2) return false;
  const auto m = static_cast<size_t>(metric);
  const double own = m_groups[static_cast<size_t>(row)].statistics[m].mean;
  if (!std::isfinite(own)) return false;
  for (const RunGroup& group : m_groups) {
    const double other = group.statistics[m].mean;
    if (std::isfinite(other) && (direction == Better::Lower ? other < own : other > own)) return false;
  }
  return true;
}

QVariant GroupsModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid()) return {};
  const RunGroup& group = m_groups[static_cast<size_t>(index.row())];
  const int keys = static_cast<int>(m_keys.size());
  if (role == RunIdsRole) return runIds(index.row());
  if (index.column() < keys) {
    const QString text = QString::fromStdString(group.key[static_cast<size_t>(index.column())]);
    const bool isMethod = m_keys[index.column()] == QLatin1String("method");
    if (role == Qt::DisplayRole || role == Qt::AccessibleTextRole)
      return text.isEmpty() ? QString::fromUtf8(kDash) : isMethod ? methodTitle(text) : text;
    if (role == Qt::DecorationRole && isMethod) {
      QPixmap swatch(4, 12);
      swatch.fill(methodColour(text));
      return swatch;
    }
    return {};
  }
  if (role == Qt::TextAlignmentRole) return QVariant::fromValue(Qt::AlignRight | Qt::AlignVCenter);
  if (index.column() == keys) {
    if (role == Qt::DisplayRole || role == Qt::AccessibleTextRole) return QString::number(group.runIds.size());
    return {};
  }
  const int metric = index.column() - keys - 1;
  const GroupStatistic& statistic = group.statistics[static_cast<size_t>(metric)];
  switch (role) {
    case Qt::DisplayRole:
    case Qt::AccessibleTextRole: {
      const QString& name = m_metrics[metric];
      if (name == QLatin1String("seconds")) return formatDuration(statistic.mean);
      if (name == QLatin1String("memory")) return formatBytes(statistic.mean);
      return formatMeanSd(statistic.mean, statistic.sd, meaningfulDecimals(statistic.mean, statistic.sd));
    }
    case Qt::ToolTipRole:
      if (statistic.n == 0) return tr("No run of this group has this value");
      return tr("%n value(s)", nullptr, static_cast<int>(statistic.n)) +
             tr("\nmean %1, standard deviation %2\n95 % interval of the mean %3 … %4\nsmallest %5, largest %6")
                 .arg(formatNumber(statistic.mean, 6), formatNumber(statistic.sd, 3), formatNumber(statistic.low, 6),
                      formatNumber(statistic.high, 6), formatNumber(statistic.min, 6), formatNumber(statistic.max, 6));
    case Qt::FontRole: {
      QFont font = Theme::tabular(Theme::instance().uiFont());
      font.setBold(isBest(index.row(), metric));
      return font;
    }
    default: return {};
  }
}

QVariant GroupsModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  const int keys = static_cast<int>(m_keys.size());
  if (role == Qt::TextAlignmentRole)
    return QVariant::fromValue((section < keys ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
  if (role != Qt::DisplayRole || section < 0 || section >= columnCount()) return {};
  if (section < keys) return groupKeyTitle(m_keys[section]);
  if (section == keys) return tr("n");
  const QString& metric = m_metrics[section - keys - 1];
  if (metric == QLatin1String("seconds")) return tr("Time");
  if (metric == QLatin1String("memory")) return tr("Peak memory");
  if (metric == QLatin1String("eval_loss")) return tr("Eval loss");
  return shortMetric(metric);
}

void GroupsModel::sort(int column, Qt::SortOrder order) {
  if (column < 0 || column >= columnCount()) return;
  const int keys = static_cast<int>(m_keys.size());
  // Numbers in keys (rank) sort as numbers; unknown values come last either way.
  const auto value = [&](const RunGroup& group) {
    if (column == keys) return static_cast<double>(group.runIds.size());
    if (column > keys) return group.statistics[static_cast<size_t>(column - keys - 1)].mean;
    bool number = false;
    const double parsed = QString::fromStdString(group.key[static_cast<size_t>(column)]).toDouble(&number);
    return number ? parsed : kUnknown;
  };
  Q_EMIT layoutAboutToBeChanged();
  const QModelIndexList before = persistentIndexList();
  std::vector<size_t> places(m_groups.size());
  for (size_t i = 0; i < places.size(); ++i) places[i] = i;
  std::stable_sort(places.begin(), places.end(), [&](size_t a, size_t b) {
    const double x = value(m_groups[a]), y = value(m_groups[b]);
    if (std::isfinite(x) != std::isfinite(y)) return std::isfinite(x);
    if (std::isfinite(x) && x != y) return order == Qt::AscendingOrder ? x < y : x > y;
    if (column < keys) {
      const std::string& s = m_groups[a].key[static_cast<size_t>(column)];
      const std::string& t = m_groups[b].key[static_cast<size_t>(column)];
      return order == Qt::AscendingOrder ? s < t : t < s;
    }
    return false;
  });
  std::vector<RunGroup> sorted;
  sorted.reserve(m_groups.size());
  QHash<int, int> moved;
  for (size_t i = 0; i < places.size(); ++i) {
    moved.insert(static_cast<int>(places[i]), static_cast<int>(i));
    sorted.push_back(std::move(m_groups[places[i]]));
  }
  m_groups = std::move(sorted);
  for (const QModelIndex& old : before) changePersistentIndex(old, index(moved.value(old.row()), old.column()));
  Q_EMIT layoutChanged();
}

}  // namespace rankscope::ui
