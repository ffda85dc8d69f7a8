#pragma once
// The queue as a table: jobs as the store lists them (running, waiting in order, ended). Rows are replaced in place when
// only their content changed, so that the selection survives. GUI thread only; the jobs are handed in.

#include "core/store/job_types.h"

#include <QAbstractTableModel>

#include <vector>

namespace rankscope::ui {

class QueueModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  enum Column { State, Name, Kind, Slot, Progress, Detail, When, ColumnCount };
  enum Role { ProgressRole = Qt::UserRole + 1, IdRole };

  using QAbstractTableModel::QAbstractTableModel;
  void setJobs(std::vector<Job> jobs);
  const Job* jobAt(int row) const;
  int rowOf(qint64 id) const;

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  std::vector<Job> m_jobs;
};

QString jobKindTitle(const QString& kind);

}  // namespace rankscope::ui
