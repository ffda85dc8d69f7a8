#pragma once
// Asks on which data a run's model is to be scored: its own evaluation data, or a file (or folder of images) of the same
// kind. The helper reads the file's columns while one types. GUI thread.

#include <QDialog>
#include <QTimer>

#include "core/config/run_config.h"
#include "core/store/job_types.h"
#include "ui/newrun/answers.h"

class QComboBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QPushButton;
class QRadioButton;

namespace rankscope::ui {

class TrainerClient;

struct EvaluateSubject {
  QString runId, name;
  RunConfig config;
  std::vector<std::pair<qint64, bool>> checkpoints;  // step, is the best
};

// Empty texts and lists: as the run has it.
struct EvaluateWish {
  QString runId, runName, data, task, checkpoint = QStringLiteral("last");
  QStringList options;  // key=value
};
JobSpec evaluateJob(const EvaluateWish& wish, const std::string& asideSlot);
// "reviews_eval.jsonl", "10 % of reviews_train.jsonl, held back"; empty: the run has no data of its own.
QString ownEvaluationData(const RunConfig& config);

class EvaluateDialog : public QDialog {
  Q_OBJECT

 public:
  EvaluateDialog(EvaluateSubject subject, TrainerClient& trainer, QWidget* parent);
  EvaluateWish wish() const;

 private:
  bool other() const;      // other data than its own
  QString path() const;    // of the other data
  RunConfig config(QString* mistake) const;  // with what was typed; a mistake's sentence where that is wrong
  void look();
  void showData(const Result<nlohmann::json>& answer);
  void readRows();  // whether they have what the task needs
  void refresh();

  EvaluateSubject m_subject;
  TrainerClient& m_trainer;
  QTimer m_wait;
  std::optional<DataDetails> m_details;  // of the data, when it was looked into
  bool m_readable = false;               // its first rows were read for the task
  QString m_problem;
  QFormLayout* m_form;
  QRadioButton *m_own, *m_other;
  QWidget* m_dataRow;
  QLineEdit *m_data, *m_classes, *m_options;
  QComboBox *m_task, *m_checkpoint;
  QLabel *m_about, *m_optionsNote, *m_command;
  QPushButton* m_ok;
};

}  // namespace rankscope::ui
