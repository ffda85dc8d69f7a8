#pragma once
// What will happen if Start is pressed: the sentence, trainable parameters, scale, steps and time, memory by component,
// mistakes (a click goes to the field), what a check measured, the command line, and the buttons. Shows only; the view
// asks and acts. GUI thread.

#include <QWidget>
#include <functional>
#include <optional>

#include "ui/newrun/answers.h"

class QLabel;
class QListWidget;
class QProgressBar;
class QPushButton;
class QToolButton;

namespace rankscope::ui {

class MemoryBar;
class RunDraft;

class ConsequencesPanel : public QWidget {
  Q_OBJECT

 public:
  explicit ConsequencesPanel(RunDraft* draft, QWidget* parent = nullptr);

  void setModelName(const QString& name) { m_modelName = name; refresh(); }
  void setEstimate(const RunEstimate& estimate);
  void setEstimateFailed(const QString& reason);
  void setRows(qint64 trainRows) { m_trainRows = trainRows; refresh(); }
  void setChecking(bool checking, const QString& step = {});
  void setCheck(const CheckOutcome& outcome);
  void setCheckFailed(const QString& text);
  void clearCheck();
  void setStarting(bool starting);
  // Another command line than `train` for a config; where it gives none, `train` it is.
  void setCommandMaker(std::function<QString(const RunConfig&)> make) { m_makeCommand = std::move(make); }
  void refresh();
  QString commandLine() const { return m_command; }
  const std::optional<CheckOutcome>& check() const { return m_check; }

  QPushButton* startButton() const { return m_start; }
  QPushButton* queueButton() const { return m_queue; }
  QPushButton* twinButton() const { return m_twin; }
  QPushButton* checkButton() const { return m_checkButton; }

 Q_SIGNALS:
  void startAsked();
  void queueAsked();
  void twinAsked();
  void checkAsked();
  void checkCancelled();
  void goTo(const QString& key);

 private:
  QString sentence() const;
  void showIssues();

  RunDraft* m_draft;
  QString m_modelName, m_command;
  std::function<QString(const RunConfig&)> m_makeCommand;
  qint64 m_trainRows = 0;
  std::optional<RunEstimate> m_estimate;
  std::optional<CheckOutcome> m_check;
  bool m_checking = false, m_starting = false;
  QLabel *m_sentence, *m_trainable, *m_scale, *m_steps, *m_tokensTitle, *m_tokens, *m_time, *m_estimateState;
  MemoryBar* m_memory;
  QLabel* m_issuesTitle;
  QListWidget* m_issues;
  QLabel* m_checkResult;
  QProgressBar* m_checkProgress;
  QLabel* m_commandLabel;
  QToolButton* m_copy;
  QPushButton *m_start, *m_queue, *m_twin, *m_checkButton;
};

}  // namespace rankscope::ui
