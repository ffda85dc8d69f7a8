#pragma once
// The library as a table: one line a model or adapter, added while the folders are being read. LibraryFilter in front of it
// sorts by the values (not their texts) and keeps the lines in which every word of the filter box occurs. GUI thread.

#include <QAbstractTableModel>
#include <QSortFilterProxyModel>

#include <vector>

#include "ui/library/library_item.h"

namespace rankscope::ui {

class LibraryModel : public QAbstractTableModel {
  Q_OBJECT

 public:
  enum Column { Name, Kind, Parameters, Type, Size, Shape, Tokenizer, Licence, Where, ColumnCount };
  enum Role { SortRole = Qt::UserRole + 1, WordsRole, AdapterRole };

  using QAbstractTableModel::QAbstractTableModel;
  void add(LibraryItem item);  // or puts it in place of the one of the same folder
  // Lines of other folders than these leave.
  void keepOnly(const QStringList& folders);
  const LibraryItem* itemAt(int row) const;
  int rowOf(const QString& pathOrFolder) const;  // -1: not there
  const std::vector<LibraryItem>& items() const { return m_items; }

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  QString text(const LibraryItem& item, int column) const;
  std::vector<LibraryItem> m_items;
};

enum class LibraryKind { All, Models, Adapters };

class LibraryFilter : public QSortFilterProxyModel {
  Q_OBJECT

 public:
  explicit LibraryFilter(QObject* parent = nullptr);
  void setWords(const QString& text);
  void setKind(LibraryKind kind);

 protected:
  bool filterAcceptsRow(int row, const QModelIndex& parent) const override;
  bool lessThan(const QModelIndex& a, const QModelIndex& b) const override;

 private:
  QStringList m_words;
  LibraryKind m_kind = LibraryKind::All;
};

}  // namespace rankscope::ui
