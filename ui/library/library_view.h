#pragma once
// Library: "which models and adapters do I have, and what is in them?" The table of everything found in the models folder,
// the starter, the caches of Hugging Face's programs and added folders, read from headers in the background, and a page
// about the chosen one. GUI thread; the helper reads the disk.

#include "ui/library/library_model.h"
#include "ui/shell/view.h"

class QComboBox;
class QLabel;
class QLineEdit;
class QProgressBar;
class QPushButton;
class QSplitter;
class QStackedWidget;
class QTableView;
class QToolButton;

namespace rankscope::ui {

class LibraryColumns;
class LibraryDetailsPanel;
class RunExchange;

class LibraryView : public View {
  Q_OBJECT

 public:
  explicit LibraryView(ViewContext& context, QWidget* parent = nullptr);

  void onActivated() override;
  // {"item": path or folder} chooses it, now or when it has been found; {"filter": text} filters.
  void open(const QJsonObject& request) override;
  QJsonObject saveState() const override;
  void restoreState(const QJsonObject& state) override;

  LibraryModel* model() const { return m_model; }
  QTableView* table() const { return m_table; }
  QLineEdit* filterBox() const { return m_filter; }
  LibraryDetailsPanel* details() const { return m_details; }
  bool scanning() const { return m_scan != 0; }

 protected:
  bool eventFilter(QObject* object, QEvent* event) override;

 private:
  void buildTop();
  void buildCentre();
  void buildActions();
  void scan();
  void finishScan(const Result<nlohmann::json>& answer);
  void addFolder();
  void fillFoldersMenu();
  void choose(int sourceRow);
  void chosenMoved();
  void updatePages();
  const LibraryItem* current() const;

  LibraryModel* m_model;
  LibraryFilter* m_rows;
  RunExchange* m_exchange;
  QLineEdit* m_filter = nullptr;
  QComboBox* m_kind = nullptr;
  QLabel *m_count = nullptr, *m_empty = nullptr;
  QProgressBar* m_busy = nullptr;
  QToolButton* m_folders = nullptr;
  QStackedWidget* m_pages = nullptr;
  QTableView* m_table = nullptr;
  LibraryColumns* m_columns = nullptr;
  QSplitter* m_splitter = nullptr;
  LibraryDetailsPanel* m_details = nullptr;
  QAction *m_use = nullptr, *m_import = nullptr, *m_show = nullptr, *m_copy = nullptr;
  quint64 m_scan = 0;       // the question that is being answered
  QString m_pending;        // to be chosen when it has been found
  QString m_problem;
  bool m_scanned = false;
};

}  // namespace rankscope::ui
