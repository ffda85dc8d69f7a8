#pragma once
// Runs: "what have I done, and what is running now?" The table over the whole history, its filter, groups, saved views and
// details; and everything that can be done with runs, as actions with undo. Selecting rows drives every other view.
// GUI thread; all reading and writing goes through the store service.

#include "core/store/run_types.h"
#include "ui/runs/run_edits.h"
#include "ui/shell/table_text.h"
#include "ui/shell/view.h"

class QLabel;
class QMenu;
class QSplitter;
class QStackedWidget;
class QTableView;
class QToolButton;

namespace rankscope::ui {

class DetailsPanel;
class FilterBox;
class GroupsModel;
class RunExchange;
class RunTable;
class RunsModel;

class RunsView : public View {
  Q_OBJECT
 public:
  explicit RunsView(ViewContext& context, QWidget* parent = nullptr);

  void onActivated() override;
  void onDeactivated() override;
  // {"run": id} selects and shows a run; {"filter": text} filters.
  void open(const QJsonObject& request) override;
  QJsonObject saveState() const override;
  void restoreState(const QJsonObject& state) override;

  RunsModel* model() const { return m_model; }
  RunTable* table() const { return m_table; }
  FilterBox* filterBox() const { return m_filter; }

 private:
  // runs_view.cpp
  void buildTop();
  void buildCentre();
  void connectModel();
  void applyQuery();
  void updatePages();
  void selectionMoved();
  void reselect();
  void loadNames();
  QStringList selectedIds() const;
  // runs_groups.cpp
  void buildGroupMenu();
  void setGroupKeys(const QStringList& keys);
  void loadGroups();
  void buildSavedMenu();
  void saveArrangement();
  // runs_actions.cpp
  void buildActions();
  void updateActions();
  void showContextMenu(const QPoint& at);
  void withSelected(const std::function<void(const QStringList&)>& run);
  void editTagsOfSelected();
  void renameSelected();
  void chooseColour();
  void resume(const QString& id);
  void openFolder();
  void deleteSelected();
  void emptyTrash();
  void newFrom(const QString& id, bool goOn);
  void toggleBaseline();
  // runs_table_text.cpp
  void copyTable(QString (TextTable::*as)() const);
  void exportTable();
  void tableAsText(std::function<void(TextTable)> then);
  EditContext edits();

  RunsModel* m_model;
  GroupsModel* m_groups;
  FilterBox* m_filter = nullptr;
  RunTable* m_table = nullptr;
  QTableView* m_groupTable = nullptr;
  DetailsPanel* m_details = nullptr;
  QSplitter* m_splitter = nullptr;
  QStackedWidget* m_pages = nullptr;
  QWidget* m_empty = nullptr;
  RunExchange* m_exchange = nullptr;
  QLabel *m_emptyTitle = nullptr, *m_emptyText = nullptr, *m_count = nullptr, *m_problem = nullptr;
  QToolButton *m_groupButton = nullptr, *m_columnsButton = nullptr, *m_savedButton = nullptr, *m_emptyAction = nullptr;
  QMenu *m_groupMenu = nullptr, *m_savedMenu = nullptr;
  QStringList m_groupKeys, m_metricNames;
  QStringList m_pendingSelection;  // to be selected when the rows are there
  RunQuery m_query;
  bool m_selecting = false, m_archived = false, m_trash = false, m_storeProblem = false;
  QAction *m_star, *m_tag, *m_note, *m_colour, *m_rename, *m_archive, *m_delete, *m_compare, *m_live, *m_spectrum,
      *m_resume, *m_save, *m_evaluate, *m_folder, *m_copyId, *m_again, *m_goOn, *m_baseline, *m_showArchived, *m_showTrash, *m_restore, *m_detailsAction;
};

}  // namespace rankscope::ui
