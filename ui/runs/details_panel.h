#pragma once
// What is known about the selected run: state, facts, loss curves, the whole configuration, its note. With several selected,
// what they are and the way to compare them. Reads through the store service, newest wins. GUI thread.

#include "core/store/run_types.h"
#include "ui/shell/view.h"

#include <nlohmann/json.hpp>

class QLabel;
class QPlainTextEdit;
class QPushButton;
class QStackedWidget;
class QTabWidget;
class QTextBrowser;
class QTreeWidget;
class QToolButton;
class QCheckBox;
class QFormLayout;
class QListWidget;

namespace rankscope::ui {

class Plot;

class DetailsPanel : public QWidget {
  Q_OBJECT
 public:
  DetailsPanel(ViewContext& context, QWidget* parent = nullptr);

  void showRuns(const QStringList& ids);
  void refresh(const QStringList& changedIds);  // an empty list means any
  void focusNote();
  void saveNote();                               // if it was edited

 Q_SIGNALS:
  void noteEdited(const QString& id, const QString& markdown);
  void tagsAsked();
  void colourAsked();
  void renameAsked();
  void openAsked(const QString& viewId);
  void resumeAsked(const QString& id);

 private:
  QWidget* buildSingle();
  QWidget* buildMany();
  void load();
  void show(const RunRow& row);
  void showConfig();
  void loadCurves();

  ViewContext& m_context;
  QStringList m_ids;
  RunRow m_row;
  nlohmann::json m_config;
  QStackedWidget* m_pages;
  QLabel *m_empty, *m_name, *m_state, *m_tags, *m_manyTitle, *m_problem;
  QToolButton* m_colour;
  QTabWidget* m_tabs;
  Plot* m_curves;
  QFormLayout* m_facts;
  QHash<QString, QLabel*> m_factLabels;
  QTreeWidget* m_configTree;
  QCheckBox* m_onlySet;
  QPlainTextEdit* m_note;
  QTextBrowser* m_notePreview;
  QStackedWidget* m_notePages;
  QToolButton* m_noteMode;
  QPushButton *m_resume, *m_compareMany;
  QListWidget* m_manyList;
  bool m_noteDirty = false;
};

}  // namespace rankscope::ui
