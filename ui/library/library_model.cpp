#include "ui/library/library_model.h"

#include "ui/shell/format.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

bool isNumber(int column) {
  return column == LibraryModel::Parameters || column == LibraryModel::Size || column == LibraryModel::Shape;
}

}  // namespace

void LibraryModel::add(LibraryItem item) {
  for (size_t row = 0; row < m_items.size(); ++row) {
    if (m_items[row].folder != item.folder) continue;
    m_items[row] = std::move(item);
    const int at = static_cast<int>(row);
    Q_EMIT dataChanged(index(at, 0), index(at, ColumnCount - 1));
    return;
  }
  const int at = static_cast<int>(m_items.size());
  beginInsertRows({}, at, at);
  m_items.push_back(std::move(item));
  endInsertRows();
}

void LibraryModel::keepOnly(const QStringList& folders) {
  for (int row = static_cast<int>(m_items.size()) - 1; row >= 0; --row) {
    if (folders.contains(m_items[static_cast<size_t>(row)].folder)) continue;
    beginRemoveRows({}, row, row);
    m_items.erase(m_items.begin() + row);
    endRemoveRows();
  }
}

const LibraryItem* LibraryModel::itemAt(int row) const {
  return row >= 0 && row < static_cast<int>(m_items.size()) ? &m_items[static_cast<size_t>(row)] : nullptr;
}

int LibraryModel::rowOf(const QString& pathOrFolder) const {
  for (size_t row = 0; row < m_items.size(); ++row)
    if (m_items[row].path == pathOrFolder || m_items[row].folder == pathOrFolder) return static_cast<int>(row);
  return -1;
}

int LibraryModel::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : static_cast<int>(m_items.size()); }
int LibraryModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : ColumnCount; }

QString LibraryModel::text(const LibraryItem& item, int column) const {
  switch (column) {
    case Name: return item.name;
    case Kind:
      return !item.adapter                ? item.family
             : item.method.isEmpty()      ? tr("adapter")
             : item.rank > 0              ? tr("%1 adapter, r %2").arg(methodTitle(item.method)).arg(item.rank)
                                          : tr("%1 adapter").arg(methodTitle(item.method));
    case Parameters: return item.parameters > 0 ? formatCompact(item.parameters) : QString();
    case Type: return item.dtype;
    case Size: return item.bytes > 0 ? formatBytes(item.bytes) : QString();
    case Shape: return item.layers > 0 ? QStringLiteral("%1 × %2").arg(item.layers).arg(item.hidden) : QString();
    case Tokenizer: return item.tokenizer;
    case Licence: return item.licence;
    case Where: return item.origin == QLatin1String("folder") ? item.root : originTitle(item.origin);
    default: return {};
  }
}

QVariant LibraryModel::data(const QModelIndex& index, int role) const {
  const LibraryItem* item = index.isValid() ? itemAt(index.row()) : nullptr;
  if (!item) return {};
  const int column = index.column();
  switch (role) {
    case Qt::DisplayRole: return text(*item, column);
    case Qt::ToolTipRole:
      if (!item->problem.isEmpty()) return item->problem;
      return column == Name || column == Where ? item->folder : text(*item, column);
    case Qt::TextAlignmentRole:
      return static_cast<int>((isNumber(column) ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    case Qt::DecorationRole:
      if (column != Name) return {};
      return item->problem.isEmpty() ? icon(item->adapter ? QStringLiteral("link") : QStringLiteral("model"))
                                     : icon(QStringLiteral("warning"), colours().warning);
    case Qt::ForegroundRole: return column == Name ? QVariant() : QVariant(colours().textMuted);
    case Qt::AccessibleTextRole:
      return column == Name && !item->problem.isEmpty() ? tr("%1, with a problem").arg(item->name) : text(*item, column);
    case SortRole:
      switch (column) {
        case Parameters: return item->parameters;
        case Size: return item->bytes;
        case Shape: return static_cast<double>(item->layers) * 1e7 + static_cast<double>(item->hidden);
        default: return text(*item, column).toCaseFolded();
      }
    case WordsRole: {
      QStringList all{item->folder, item->path, item->baseNamed, item->task, item->format, item->chatTemplate};
      for (int i = 0; i < ColumnCount; ++i) all << text(*item, i);
      if (!item->problem.isEmpty()) all << tr("problem") << item->problem;
      return all.join(QLatin1Char(' '));
    }
    case AdapterRole: return item->adapter;
    default: return {};
  }
}

QVariant LibraryModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal) return {};
  if (role == Qt::TextAlignmentRole) return static_cast<int>((isNumber(section) ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
  if (role != Qt::DisplayRole) return {};
  switch (section) {
    case Name: return tr("Name");
    case Kind: return tr("Family");
    case Parameters: return tr("Parameters");
    case Type: return tr("Type");
    case Size: return tr("Size");
    case Shape: return tr("Layers × width");
    case Tokenizer: return tr("Tokenizer");
    case Licence: return tr("Licence");
    case Where: return tr("Where");
    default: return {};
  }
}

LibraryFilter::LibraryFilter(QObject* parent) : QSortFilterProxyModel(parent) { setDynamicSortFilter(true); }

void LibraryFilter::setWords(const QString& text) {
  m_words = text.split(QLatin1Char(' '), Qt::SkipEmptyParts);
  invalidateFilter();
}

void LibraryFilter::setKind(LibraryKind kind) {
  m_kind = kind;
  invalidateFilter();
}

bool LibraryFilter::filterAcceptsRow(int row, const QModelIndex& parent) const {
  const QModelIndex index = sourceModel()->index(row, 0, parent);
  const bool adapter = index.data(LibraryModel::AdapterRole).toBool();
  if ((m_kind == LibraryKind::Models && adapter) || (m_kind == LibraryKind::Adapters && !adapter)) return false;
  if (m_words.isEmpty()) return true;
  const QString text = index.data(LibraryModel::WordsRole).toString();
  return std::all_of(m_words.begin(), m_words.end(),
                     [&](const QString& word) { return text.contains(word, Qt::CaseInsensitive); });
}

// Lines without a value come last in either direction.
bool LibraryFilter::lessThan(const QModelIndex& a, const QModelIndex& b) const {
  const QVariant left = a.data(LibraryModel::SortRole), right = b.data(LibraryModel::SortRole);
  const bool numbers = left.userType() == QMetaType::Double;
  const bool noLeft = numbers ? left.toDouble() <= 0 : left.toString().isEmpty();
  const bool noRight = numbers ? right.toDouble() <= 0 : right.toString().isEmpty();
  if (noLeft != noRight) return sortOrder() == Qt::AscendingOrder ? noRight : noLeft;
  if (numbers) return left.toDouble() < right.toDouble();
  return QString::localeAwareCompare(left.toString(), right.toString()) < 0;
}

}  // namespace rankscope::ui
