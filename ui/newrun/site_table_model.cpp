#include "ui/newrun/site_table_model.h"

#include <QLocale>

namespace rankscope::ui {
namespace {

Qt::CheckState tick(SiteSelection::Share share) {
  switch (share) {
    case SiteSelection::Share::None: return Qt::Unchecked;
    case SiteSelection::Share::Some: return Qt::PartiallyChecked;
    case SiteSelection::Share::All: return Qt::Checked;
  }
  return Qt::Unchecked;
}

// Out × in of a matrix, "convolution 64 × 3 × 7 × 7".
QString shapeText(const SiteInfo& site) {
  QStringList sides;
  const bool matrix = site.shape.empty() || site.operation == "linear";
  for (const int64_t side : matrix ? std::vector<int64_t>{site.out, site.in} : site.shape)
    sides << QLocale().toString(qlonglong(side));
  const QString shape = sides.join(QStringLiteral(" × "));
  if (site.lookup()) return SiteTableModel::tr("embedding %1").arg(shape);
  return site.operation == "convolution" ? SiteTableModel::tr("convolution %1").arg(shape) : shape;
}

}  // namespace

void SiteTableModel::setSites(std::vector<SiteInfo> sites, std::vector<std::string> defaultTargets) {
  beginResetModel();
  m_selection.setSites(std::move(sites), std::move(defaultTargets));
  endResetModel();
}

void SiteTableModel::readChoice(const SiteChoice& choice) {
  m_selection.readChoice(choice);
  everythingChanged();
}

void SiteTableModel::setCommonRank(int64_t rank) {
  if (rank == m_commonRank) return;
  m_commonRank = rank;
  everythingChanged();
}

void SiteTableModel::setRanksEditable(bool editable) {
  if (editable == m_ranksEditable) return;
  m_ranksEditable = editable;
  everythingChanged();
}

void SiteTableModel::setAll(bool on) {
  m_selection.setAll(on);
  everythingChanged();
  Q_EMIT edited();
}

int SiteTableModel::rowCount(const QModelIndex& parent) const {
  if (parent.isValid() || m_selection.sites().empty()) return 0;
  return static_cast<int>(m_selection.layers().size()) + 1;
}

int SiteTableModel::columnCount(const QModelIndex& parent) const {
  if (parent.isValid() || m_selection.sites().empty()) return 0;
  return static_cast<int>(m_selection.kinds().size()) + 1;
}

int SiteTableModel::siteFor(const QModelIndex& index) const {
  if (!index.isValid() || index.row() == 0 || index.column() == 0) return -1;
  return m_selection.siteAt(static_cast<size_t>(index.row() - 1), static_cast<size_t>(index.column() - 1));
}

QVariant SiteTableModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid()) return {};
  const int row = index.row(), column = index.column();
  const int site = siteFor(index);
  const bool sum = row == 0 || column == 0;
  if (!sum && site < 0) return role == PresentRole ? QVariant(false) : QVariant();

  const auto share = [&] {
    if (row == 0 && column == 0) return m_selection.share();
    return row == 0 ? m_selection.columnShare(static_cast<size_t>(column - 1))
                    : m_selection.rowShare(static_cast<size_t>(row - 1));
  };
  const auto ownRank = [&]() -> int64_t {
    if (!sum) return m_selection.rankOf(site);
    if (row == 0 && column == 0) return 0;
    return row == 0 ? m_selection.columnRank(static_cast<size_t>(column - 1))
                    : m_selection.rowRank(static_cast<size_t>(row - 1));
  };
  switch (role) {
    case PresentRole: return true;
    case OwnRankRole: return static_cast<qlonglong>(ownRank());
    case Qt::CheckStateRole:
      return sum ? tick(share()) : (m_selection.selected(site) ? Qt::Checked : Qt::Unchecked);
    case Qt::EditRole: {
      const auto rank = ownRank();
      return rank > 0 ? QString::number(rank) : QString();
    }
    case Qt::DisplayRole: {
      if (column == 0) {
        const auto own = m_ranksEditable ? ownRank() : 0;
        const auto name = headerData(row, Qt::Vertical, Qt::DisplayRole).toString();
        return own > 0 ? QStringLiteral("%1: %2").arg(name).arg(own) : name;
      }
      if (!m_ranksEditable) return {};
      const auto rank = ownRank();
      if (rank < 0) return QStringLiteral("…");  // they differ
      if (rank > 0) return QString::number(rank);
      const bool on = sum ? share() != SiteSelection::Share::None : m_selection.selected(site);
      return on && !sum ? QString::number(m_commonRank) : QString();
    }
    case Qt::ToolTipRole:
    case Qt::AccessibleTextRole: {
      if (sum) {
        if (row == 0 && column == 0) return tr("All sites but embeddings");
        return row == 0 ? tr("%1 in all layers").arg(headerData(column, Qt::Horizontal, Qt::DisplayRole).toString())
                        : tr("All matrices of %1").arg(headerData(row, Qt::Vertical, Qt::DisplayRole).toString());
      }
      const auto& info = m_selection.sites()[static_cast<size_t>(site)];
      const auto rank = m_selection.rankOf(site) > 0 ? m_selection.rankOf(site) : m_commonRank;
      const QString shape = shapeText(info);
      if (role == Qt::AccessibleTextRole) return tr("%1, %2").arg(QString::fromStdString(info.name), shape);
      if (!m_ranksEditable) return tr("%1\n%2").arg(QString::fromStdString(info.name), shape);
      return tr("%1\n%2, rank %3: %4 parameters\nSpace ticks, a number sets this matrix's own rank, Delete clears it.")
          .arg(QString::fromStdString(info.name), shape, QLocale().toString(qlonglong(rank)),
               QLocale().toString(qlonglong(rank * (info.out + info.in))));
    }
    case Qt::TextAlignmentRole: return int((column == 0 ? Qt::AlignLeft : Qt::AlignRight) | Qt::AlignVCenter);
    default: return {};
  }
}

bool SiteTableModel::setData(const QModelIndex& index, const QVariant& value, int role) {
  if (!index.isValid()) return false;
  const int row = index.row(), column = index.column();
  const int site = siteFor(index);
  if (row > 0 && column > 0 && site < 0) return false;
  if (role == Qt::CheckStateRole) {
    const bool on = value.toInt() == Qt::Checked;
    if (row == 0 && column == 0) {
      m_selection.setAll(on);
    } else if (row == 0) {
      m_selection.setColumn(static_cast<size_t>(column - 1), on);
    } else if (column == 0) {
      m_selection.setRow(static_cast<size_t>(row - 1), on);
    } else {
      m_selection.setSelected(site, on);
    }
  } else if (role == Qt::EditRole) {
    const QString typed = value.toString().trimmed();
    int64_t rank = 0;
    if (!typed.isEmpty()) {
      bool ok = false;
      rank = QLocale().toLongLong(typed, &ok);
      int64_t full = 0;
      for (size_t i = 0; i < m_selection.sites().size(); ++i) {
        const auto& s = m_selection.sites()[i];
        const bool meant = site >= 0 ? static_cast<int>(i) == site
                           : row == 0 && column > 0
                               ? m_selection.siteAt(static_cast<size_t>(std::find(m_selection.layers().begin(),
                                                        m_selection.layers().end(), s.layer) -
                                                    m_selection.layers().begin()),
                                                    static_cast<size_t>(column - 1)) == static_cast<int>(i)
                           : column == 0 && row > 0 ? s.layer == m_selection.layers()[static_cast<size_t>(row - 1)]
                                                    : true;
        if (meant) full = std::max(full, std::min(s.out, s.in));
      }
      if (!ok || rank < 1 || rank > full) {
        Q_EMIT rejected(tr("“%1” is not a rank for this matrix. Type a whole number from 1 to %2, or nothing for the "
                           "common rank.").arg(typed, QLocale().toString(qlonglong(full))));
        return false;
      }
    }
    if (row == 0 && column == 0) {
      for (size_t r = 0; r < m_selection.layers().size(); ++r) m_selection.setRowRank(r, rank);
    } else if (row == 0) {
      m_selection.setColumnRank(static_cast<size_t>(column - 1), rank);
    } else if (column == 0) {
      m_selection.setRowRank(static_cast<size_t>(row - 1), rank);
    } else {
      m_selection.setRank(site, rank);
    }
  } else {
    return false;
  }
  everythingChanged();
  Q_EMIT edited();
  return true;
}

void SiteTableModel::everythingChanged() {
  if (rowCount() > 0) Q_EMIT dataChanged(index(0, 0), index(rowCount() - 1, columnCount() - 1));
}

Qt::ItemFlags SiteTableModel::flags(const QModelIndex& index) const {
  if (!index.isValid()) return Qt::NoItemFlags;
  if (index.row() > 0 && index.column() > 0 && siteFor(index) < 0) return Qt::NoItemFlags;
  Qt::ItemFlags flags = Qt::ItemIsEnabled | Qt::ItemIsSelectable | Qt::ItemIsUserCheckable;
  if (m_ranksEditable) flags |= Qt::ItemIsEditable;
  return flags;
}

QVariant SiteTableModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (role != Qt::DisplayRole) return {};
  if (section == 0) return orientation == Qt::Horizontal ? tr("layer") : tr("all");
  const auto at = static_cast<size_t>(section - 1);
  if (orientation == Qt::Horizontal) {
    return at < m_selection.kinds().size() ? QString::fromStdString(m_selection.kinds()[at]) : QString();
  }
  if (at >= m_selection.layers().size()) return {};
  const auto layer = m_selection.layers()[at];
  return layer < 0 ? tr("outside") : tr("layer %1").arg(layer);
}

}  // namespace rankscope::ui
