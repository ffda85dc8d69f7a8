#pragma once
// Maps columns of the data file to the roles a task needs (text, second text, label, prompt, answer): one combo box per
// role that applies, listing the file's columns with an example, "guessed" first. GUI thread.

#include <QHash>
#include <QWidget>
#include <vector>

#include "ui/newrun/answers.h"

class QComboBox;
class QGridLayout;
class QLabel;
class QToolButton;

namespace rankscope::ui {

class RunDraft;

class ColumnRoles : public QWidget {
  Q_OBJECT

 public:
  explicit ColumnRoles(RunDraft* draft, QWidget* parent = nullptr);
  void setColumns(const DataDetails& details);
  // The columns that the chosen task really takes; better than the guesses made without knowing the task.
  void setEffectiveRoles(const QHash<QString, QString>& roles);
  QComboBox* box(const QString& role) const;  // "label"

 private:
  void refresh();
  struct Role {
    QString key, role;
    QLabel* title;
    QComboBox* box;
    QLabel* example;
    QLabel* error;
    QToolButton* revert;
  };

  RunDraft* m_draft;
  DataDetails m_details;
  std::vector<Role> m_roles;
};

}  // namespace rankscope::ui
