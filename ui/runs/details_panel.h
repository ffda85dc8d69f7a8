#pragma once
// What is known about the selected run: state, facts, loss curves, the whole configuration, its note. With several selected,
// what they are and the way to compare them. Reads through the store service, newest wins. GUI thread.

#include "core/store/run_types.h"
#include "ui/shell/view.h"

class QLabel;
class QPushButton;
class QStackedWidget;
class QTabWidget;
class QToolButton;
class QFormLayout;
class QListWidget;

namespace rankscope::ui {

class ConfigList;
class NoteEditor;
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
  void evaluateAsked(const QString& id);

 private:
  QWidget* buildSingle();
  QWidget* buildMany();
  void load();
  void show(const RunRow& row);
  void loadCurves();

  ViewContext& m_context;
  QStringList m_ids;
  RunRow m_row;
  QStackedWidget* m_pages;
  QLabel *m_empty, *m_name, *m_state, *m_tags, *m_manyTitle, *m_problem;
  QToolButton* m_colour;
  QTabWidget* m_tabs;
  Plot* m_curves;
  QFormLayout* m_facts;
  QHash<QString, QLabel*> m_factLabels;
  ConfigList* m_config;
  NoteEditor* m_note;
  QPushButton *m_resume, *m_evaluate, *m_compareMany;
  QListWidget* m_manyList;
  bool m_editNote = false;
};

}  // namespace rankscope::ui
