#pragma once
// Everything known about one model or adapter without loading its weights: facts, types with their shares, files, heads,
// the tree of matrices with shapes, config, and every problem. The helper is asked when an item is shown, newest wins.
// GUI thread.

#include <QWidget>

#include "ui/library/library_item.h"

class QFormLayout;
class QLabel;
class QPushButton;
class QStandardItemModel;
class QTabWidget;
class QTextBrowser;
class QTreeView;
class QVBoxLayout;

namespace rankscope::ui {

class TrainerClient;

class LibraryDetailsPanel : public QWidget {
  Q_OBJECT

 public:
  explicit LibraryDetailsPanel(TrainerClient& trainer, QWidget* parent = nullptr);
  void showItem(const LibraryItem& item);
  void clear();
  const LibraryDetails& details() const { return m_details; }
  QString fact(const QString& name) const;  // as shown; empty: not shown

 Q_SIGNALS:
  void useAsked(const QString& path);      // as base model of a new run
  void importAsked(const QString& folder);  // an adapter
  void folderAsked(const QString& folder);
  void copyAsked(const QString& path);

 private:
  void buildHead(QVBoxLayout* column);
  void ask();
  void show(const LibraryDetails& details);
  void showFacts();
  void showProblems();
  void setFact(const QString& name, const QString& value, const QString& tip = {});

  TrainerClient& m_trainer;
  LibraryItem m_item;
  LibraryDetails m_details;
  QString m_vocabulary;  // of the tokenizer, when it was loaded
  bool m_complete = false;
  QWidget* m_page;
  QLabel *m_empty, *m_name, *m_state, *m_problems, *m_siteCount;
  QPushButton *m_use, *m_import, *m_folder, *m_copy;
  QFormLayout* m_facts;
  QTabWidget* m_tabs;
  QTreeView *m_sites, *m_tensors;
  QStandardItemModel *m_siteModel, *m_tensorModel;
  QTextBrowser* m_config;
};

}  // namespace rankscope::ui
