#include "ui/library/evaluate_dialog.h"

#include <QComboBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QProcess>
#include <QPushButton>
#include <QRadioButton>
#include <QVBoxLayout>

#include "core/config/short_names.h"
#include "core/config/task_heads.h"
#include "core/store/command_job.h"
#include "ui/library/dialog_form.h"
#include "ui/shell/error_text.h"
#include "ui/shell/facts.h"
#include "ui/shell/format.h"
#include "ui/shell/grow_to_fit.h"
#include "ui/shell/job_result.h"
#include "ui/shell/trainer_client.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kLookDelay = 200;  // ms after the last key
constexpr int kRowsTried = 50;

QString shortData(const std::string& path) { return QString::fromStdString(shortDataName(path)); }

bool hasClasses(const std::string& task) { return task == "classification" || task == "image_classification"; }

}  // namespace

JobSpec evaluateJob(const EvaluateWish& wish, const std::string& asideSlot) {
  std::vector<std::string> words = {wish.runId.toStdString()};
  const auto add = [&words](const char* option, const QString& value) {
    if (!value.isEmpty()) words.insert(words.end(), {option, value.toStdString()});
  };
  if (wish.checkpoint != QLatin1String("last")) add("--checkpoint", wish.checkpoint);
  add("--data", wish.data);
  add("--task", wish.task);
  for (const QString& option : wish.options) add("--set", option);
  return commandJob("eval", std::move(words), wish.runId.toStdString(), wish.runName.toStdString(), asideSlot);
}

QString ownEvaluationData(const RunConfig& config) {
  if (const std::string file = config.str("data.eval"); !file.empty()) return shortData(file);
  const std::string train = config.str("data.train");
  const double share = config.real("data.eval_fraction");
  if (train.empty() || share <= 0) return {};
  return EvaluateDialog::tr("%1 of %2, held back").arg(formatShare(share), shortData(train));
}

EvaluateDialog::EvaluateDialog(EvaluateSubject subject, TrainerClient& trainer, QWidget* parent)
    : QDialog(parent), m_subject(std::move(subject)), m_trainer(trainer) {
  setWindowTitle(tr("Evaluate %1").arg(m_subject.name));
  QVBoxLayout* column = dialogColumn(this, QStringLiteral("evaluateDialog"));
  addExplanation(column, tr("The trained model is scored on data; its figures are shown at the end and added to the run's record."));

  const QString own = ownEvaluationData(m_subject.config);
  m_own = new QRadioButton(own.isEmpty() ? tr("Its own evaluation data: this run has none")
                                         : tr("Its own evaluation data: %1").arg(own));
  m_own->setObjectName(QStringLiteral("evaluateOwn"));
  m_own->setEnabled(!own.isEmpty());
  m_other = new QRadioButton(tr("Other data"));
  m_other->setObjectName(QStringLiteral("evaluateOther"));
  (own.isEmpty() ? m_other : m_own)->setChecked(true);
  column->addWidget(m_own);
  column->addWidget(m_other);

  m_form = dialogForm();
  const std::string task = m_subject.config.str("data.task");
  const bool images = unitOfTask(task) == "images";
  m_data = namedLine("evaluateData", tr("Data"), images ? tr("folder of images, or a file of them") : tr("csv, tsv, jsonl, json or txt"));
  m_dataRow = withPathButton(m_data, images ? tr("Choose the folder of images") : tr("Choose the file"), [this, images] {
    return images ? QFileDialog::getExistingDirectory(this, tr("Folder of images"), path())
                  : QFileDialog::getOpenFileName(this, tr("Data to evaluate on"), path());
  });
  addCaptioned(m_form, tr("Data"), m_dataRow, m_data);
  m_about = addNote(m_form, "evaluateAbout");
  m_task = taskBox("evaluateTask", task);  // only what the model's head can do
  m_task->setCurrentIndex(std::max(0, m_task->findData(QString::fromStdString(task))));
  addCaptioned(m_form, tr("Task"), m_task);
  QStringList classes;
  for (const std::string& label : m_subject.config.list("data.labels")) classes << QString::fromStdString(label);
  m_classes = namedLine("evaluateClasses", tr("Classes"),
                        classes.isEmpty() ? tr("as the run has them") : classes.join(QStringLiteral(", ")));
  m_classes->setToolTip(tr("What the data calls the model's classes, in the model's order, with commas between them"));
  addCaptioned(m_form, tr("Classes in order"), m_classes);
  m_options = namedLine("evaluateOptions", tr("Data options"), QStringLiteral("data.columns.label=gold_label data.max_length=256"));
  m_options->setToolTip(tr("Options of the data as on the command line, with blanks between them"));
  addCaptioned(m_form, tr("Data options"), m_options);
  m_optionsNote = addNote(m_form, "evaluateOptionsNote");
  m_checkpoint = checkpointBox("evaluateCheckpoint", m_subject.checkpoints);
  addCaptioned(m_form, tr("Checkpoint"), m_checkpoint);
  column->addLayout(m_form);
  m_command = addCommand(column, "evaluateCommand");
  m_ok = addButtons(column, this, "evaluateOk", tr("Evaluate"));

  m_wait.setSingleShot(true);
  m_wait.setInterval(kLookDelay);
  connect(&m_wait, &QTimer::timeout, this, &EvaluateDialog::look);
  const auto dataChanged = [this] {
    m_details.reset();
    m_readable = false;
    m_problem.clear();
    m_wait.start();
    refresh();
  };
  connect(m_data, &QLineEdit::textChanged, this, dataChanged);
  connect(m_task, &QComboBox::currentIndexChanged, this, dataChanged);
  connect(m_own, &QRadioButton::toggled, this, &EvaluateDialog::refresh);
  connect(m_own, &QRadioButton::toggled, m_data, [this](bool checked) {
    if (!checked) m_data->setFocus();
  });
  for (QLineEdit* line : {m_classes, m_options}) connect(line, &QLineEdit::textChanged, this, dataChanged);
  connect(m_checkpoint, &QComboBox::currentIndexChanged, this, &EvaluateDialog::refresh);
  refresh();
  if (other()) m_data->setFocus();
}

bool EvaluateDialog::other() const { return m_other->isChecked(); }
QString EvaluateDialog::path() const { return m_data->text().trimmed(); }

RunConfig EvaluateDialog::config(QString* mistake) const {
  RunConfig config = m_subject.config;
  std::vector<std::string> words;
  for (const QString& option : wish().options) words.push_back(option.toStdString());
  for (const ValidationIssue& issue : config.assign(words))
    if (mistake->isEmpty()) *mistake = errorText(issue.error);
  return config;
}

void EvaluateDialog::look() {
  QString mistake;
  const RunConfig now = config(&mistake);
  if (!other() || path().isEmpty() || !mistake.isEmpty()) return;
  m_trainer.request(this, QStringLiteral("data.inspect"),
                    {{"path", path().toStdString()}, {"format", now.str("data.format")}, {"header", now.str("data.header")},
                     {"task", m_task->currentData().toString().toStdString()}},
                    [this](Result<nlohmann::json> answer) { showData(answer); }, QStringLiteral("evaluate.data"));
}

void EvaluateDialog::showData(const Result<nlohmann::json>& answer) {
  m_details.reset();
  m_problem = answer.ok() ? QString() : errorText(answer.error());
  if (answer.ok()) m_details = readDataDetails(*answer);
  if (m_details && m_details->rows == 0)
    m_problem = tr("There is no row to evaluate on. Choose other data.");
  else if (m_details)
    readRows();
  refresh();
}

// As a run that trained on it would: columns that are missing, classes that the model does not know, come out here.
void EvaluateDialog::readRows() {
  QString ignored;
  RunConfig trial = config(&ignored);
  const std::string task = m_task->currentData().toString().toStdString();
  for (const auto& [key, value] : std::initializer_list<std::pair<const char*, nlohmann::json>>{
           {"data.task", task}, {"data.train", path().toStdString()}, {"data.eval", ""}, {"data.eval_fraction", 0}, {"data.train_limit", kRowsTried}})
    if (const Result<void> set = trial.set(key, value); !set) m_problem = errorText(set.error());
  if (!m_problem.isEmpty()) return;
  m_trainer.request(this, QStringLiteral("data.preview"), {{"config", trial.toJson()}, {"rows", 0}},
                    [this](Result<nlohmann::json> answer) {
                      m_readable = answer.ok();
                      if (!answer.ok()) m_problem = errorText(answer.error());
                      refresh();
                    },
                    QStringLiteral("evaluate.rows"));
}

void EvaluateDialog::refresh() {
  const bool fromFile = other();
  const std::string task = m_task->currentData().toString().toStdString();
  const auto show = [this](QWidget* field, bool shown) { m_form->setRowVisible(field, shown); };
  show(m_dataRow, fromFile);
  show(m_task, fromFile && m_task->count() > 1);
  show(m_classes, fromFile && hasClasses(task));
  show(m_options, fromFile);
  QStringList facts;
  if (m_details) {
    facts << tr("%1 rows of %2").arg(formatInteger(m_details->rows), m_details->format);
    QStringList columns;
    for (const DataColumn& each : m_details->columns) columns << each.name;
    if (!columns.isEmpty()) facts << tr("columns %1").arg(columns.mid(0, 8).join(QStringLiteral(", ")));
    if (m_details->problemCount > 0) facts << tr("%n row(s) cannot be read", nullptr, static_cast<int>(m_details->problemCount));
  }
  showNote(m_about, !fromFile ? QString() : m_problem.isEmpty() ? facts.join(QStringLiteral("  ·  ")) : m_problem, !m_problem.isEmpty());
  makeInvalid(m_data, !m_problem.isEmpty());
  QString mistake;
  if (fromFile) (void)config(&mistake);
  showNote(m_optionsNote, mistake, true);
  makeInvalid(m_options, !mistake.isEmpty());
  m_ok->setEnabled(!fromFile || (m_readable && m_problem.isEmpty() && mistake.isEmpty()));
  m_ok->setToolTip(m_ok->isEnabled()      ? QString()
                   : !mistake.isEmpty()   ? mistake
                   : !m_problem.isEmpty() ? m_problem
                   : path().isEmpty()     ? tr("Choose the data first")
                                          : tr("The data is being read"));
  m_command->setText(commandLineOf(evaluateJob(wish(), {})));
  growToFit(this);
}

EvaluateWish EvaluateDialog::wish() const {
  EvaluateWish wish;
  wish.runId = m_subject.runId;
  wish.runName = m_subject.name;
  wish.checkpoint = m_checkpoint->currentData().toString();
  if (!other()) return wish;
  wish.data = path();
  const QString task = m_task->currentData().toString();
  if (task.toStdString() != m_subject.config.str("data.task")) wish.task = task;
  if (hasClasses(task.toStdString()) && !m_classes->text().trimmed().isEmpty()) {
    QStringList classes = m_classes->text().split(QLatin1Char(','));
    for (QString& each : classes) each = each.trimmed();
    wish.options << QStringLiteral("data.labels=") + classes.join(QLatin1Char(','));
  }
  wish.options << QProcess::splitCommand(m_options->text());
  return wish;
}

}  // namespace rankscope::ui
