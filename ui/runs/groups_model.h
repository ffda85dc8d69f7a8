#pragma once
// Runs put together by keys (method × rank): per group the number of runs and, per metric, mean ± standard deviation over
// them. Statistics come from the store; this only shows them. GUI thread.

#include "core/store/run_types.h"

#include <QAbstractTableModel>

namespace rankscope::ui {

class GroupsModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  enum Role { RunIdsRole = Qt::UserRole + 1 };
  using QAbstractTableModel::QAbstractTableModel;

  void setGroups(QStringList keys, QStringList metrics, std::vector<RunGroup> groups);
  const std::vector<RunGroup>& groups() const { return m_groups; }
  QStringList runIds(int row) const;

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  void sort(int column, Qt::SortOrder order) override;
  bool isBest(int row, int metric) const;

 private:
  QStringList m_keys, m_metrics;
  std::vector<RunGroup> m_groups;
};

QString groupKeyTitle(const QString& key);
// Decimals that a standard deviation can carry: two of its own digits.
int meaningfulDecimals(double mean, double sd);

}  // namespace rankscope::ui
