#pragma once
// The table of runs over the store: any number of rows, read in pages when they come into view (newest request wins), kept
// for a limited number of pages. What changed in the store is read again without losing place or selection. GUI thread.

#include "core/store/run_types.h"
#include "ui/runs/run_columns.h"

#include <QAbstractTableModel>
#include <QHash>
#include <QTimer>

#include <optional>

namespace rankscope::ui {

class StoreService;

class RunsModel : public QAbstractTableModel {
  Q_OBJECT
 public:
  enum Role { RowRole = Qt::UserRole + 1, ColumnIdRole, DeltaRole };
  static constexpr int kPageSize = 128;

  RunsModel(StoreService& store, QObject* parent = nullptr);

  // Everything of the query except limit and offset counts. Reads again; loaded() follows.
  void setQuery(const RunQuery& query);
  const RunQuery& query() const { return m_query; }
  void setColumns(std::vector<RunColumn> columns);
  const std::vector<RunColumn>& columns() const { return m_columns; }
  int columnOf(const QString& id) const;
  // Numbers are then shown with their distance to this run's; better and worse in colour.
  void setBaseline(std::optional<RunRow> baseline);
  const std::optional<RunRow>& baseline() const { return m_baseline; }

  const RunRow* rowAt(int row) const;      // none while its page is not there
  int rowOfLoaded(const QString& id) const;  // -1: not among the pages in memory
  int total() const { return m_total; }
  bool everLoaded() const { return m_everLoaded; }
  int pagesInMemory() const { return static_cast<int>(m_pages.size()); }

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  void sort(int column, Qt::SortOrder order) override;

 public Q_SLOTS:
  void refresh();  // soon; several calls are one

 Q_SIGNALS:
  void loaded();                        // a page came in: rows may stand elsewhere now
  void failed(const QString& message);
  void sortChanged(const QString& key, bool descending);

 private:
  struct Page {
    std::vector<RunRow> rows;
    mutable quint64 used = 0;
    bool stale = false;
  };
  void request(int page) const;
  void take(int page, RunPage answer);
  void setTotal(int total);
  void forgetOldPages();

  StoreService& m_store;
  RunQuery m_query;
  std::vector<RunColumn> m_columns;
  std::optional<RunRow> m_baseline;
  QHash<int, Page> m_pages;
  mutable QHash<int, bool> m_asked;
  mutable quint64 m_clock = 0;
  int m_total = 0;
  quint64 m_generation = 0;
  bool m_everLoaded = false;
  bool m_otherQuery = false;  // the pages in memory answer the query before
  QTimer m_refreshTimer;
};

}  // namespace rankscope::ui
