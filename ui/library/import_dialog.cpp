#include "ui/library/import_dialog.h"

#include <QComboBox>
#include <QDoubleValidator>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPushButton>
#include <QVBoxLayout>

#include "core/store/command_job.h"
#include "ui/library/dialog_form.h"
#include "ui/library/run_output.h"
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

}  // namespace

JobSpec importJob(const ImportWish& wish, const std::string& asideSlot) {
  std::vector<std::string> words = {wish.adapter.toStdString()};
  for (const auto& [option, value] : {std::pair{"--model", wish.base}, {"--name", wish.name}, {"--alpha", wish.alpha}, {"--task", wish.task}})
    if (!value.isEmpty()) words.insert(words.end(), {option, value.toStdString()});
  const QString name = wish.name.isEmpty() ? QFileInfo(wish.adapter).fileName() : wish.name;
  return commandJob("import", std::move(words), {}, name.toStdString(), asideSlot);
}

ImportDialog::ImportDialog(TrainerClient& trainer, const QString& adapter, QWidget* parent)
    : QDialog(parent), m_trainer(trainer) {
  setWindowTitle(tr("Import an adapter"));
  QVBoxLayout* column = dialogColumn(this, QStringLiteral("importDialog"));
  addExplanation(column, tr("An adapter made elsewhere becomes a run like any other: it can be continued, evaluated, merged, exported "
                            "and looked at in Spectrum."));
  QFormLayout* form = dialogForm();
  const auto folderLine = [this](QLineEdit* line, const QString& tip, const QString& title) {
    return withPathButton(line, tip, [this, line, title] { return QFileDialog::getExistingDirectory(this, title, line->text()); });
  };
  m_adapter = namedLine("importAdapter", tr("Adapter"), tr("folder with adapter_config.json, or a file of factors"));
  addCaptioned(form, tr("Adapter"), folderLine(m_adapter, tr("Choose the adapter's folder"), tr("PEFT adapter's folder")), m_adapter);
  m_about = addNote(form, "importAbout");
  m_problem = addNote(form, "importProblem");
  m_base = namedLine("importBase", tr("Base model"), tr("as the adapter names it"));
  addCaptioned(form, tr("Base model"), folderLine(m_base, tr("Choose the base model's folder"), tr("Base model's folder")), m_base);
  m_aboutBase = addNote(form, "importAboutBase");
  m_name = namedLine("importName", tr("Name of the run"), tr("the adapter's name"));
  addCaptioned(form, tr("Name of the run"), m_name);
  m_alpha = namedLine("importAlpha", tr("Alpha"), tr("as it was in training"));
  auto* validator = new QDoubleValidator(0, 1e9, 6, m_alpha);
  validator->setLocale(QLocale::c());
  m_alpha->setValidator(validator);
  m_alphaLabel = addCaptioned(form, tr("Alpha"), m_alpha);
  m_task = taskBox("importTask");
  m_task->insertItem(0, tr("as the adapter tells it"), QString());
  m_task->setCurrentIndex(0);
  addCaptioned(form, tr("Task"), m_task);
  column->addLayout(form);
  m_command = addCommand(column, "importCommand");
  m_ok = addButtons(column, this, "importOk", tr("Import"));

  m_wait.setSingleShot(true);
  m_wait.setInterval(kLookDelay);
  connect(&m_wait, &QTimer::timeout, this, &ImportDialog::look);
  for (QLineEdit* line : {m_adapter, m_base})
    connect(line, &QLineEdit::textChanged, this, [this] {
      m_known = m_baseKnown = false;
      m_wait.start();
      refresh();
    });
  for (QLineEdit* line : {m_name, m_alpha}) connect(line, &QLineEdit::textChanged, this, &ImportDialog::refresh);
  connect(m_task, &QComboBox::currentIndexChanged, this, &ImportDialog::refresh);
  m_adapter->setText(adapter);
  refresh();
}

void ImportDialog::look() {
  m_item = {};
  m_adapterProblem.clear();
  m_baseProblem.clear();
  m_about->hide();
  const QString path = m_adapter->text().trimmed();
  if (path.isEmpty()) {
    refresh();
    return;
  }
  m_trainer.request(this, QStringLiteral("library.describe"), {{"path", path.toStdString()}},
                    [this](Result<nlohmann::json> answer) { showAdapter(answer); }, QStringLiteral("import.adapter"));
}

void ImportDialog::showAdapter(const Result<nlohmann::json>& answer) {
  if (!answer.ok()) {
    m_adapterProblem = errorText(answer.error());
    refresh();
    return;
  }
  const LibraryDetails details = readLibraryDetails(*answer);
  m_item = details.item;
  if (m_item.adapter) {
    m_adapterProblem = m_item.format == QLatin1String("gguf")
                           ? tr("llama.cpp's adapters cannot be imported. Choose the PEFT folder of the same adapter.")
                           : m_item.problem;
    m_known = m_adapterProblem.isEmpty();
    QStringList facts{methodTitle(m_item.method), tr("rank %1").arg(m_item.rank), tr("α %1").arg(formatNumber(m_item.alpha))};
    if (!m_item.targets.isEmpty()) facts << m_item.targets.join(QStringLiteral(", "));
    facts << tr("%1 parameters").arg(formatCompact(m_item.parameters));
    showNote(m_about, m_known ? facts.join(QStringLiteral("  ·  ")) : QString(), false);
  } else if (QFileInfo(m_item.folder).suffix().isEmpty()) {
    m_adapterProblem = tr("There is no adapter in this folder: adapter_config.json is missing. Choose the folder that PEFT's save_pretrained wrote.");
  } else {
    m_known = !details.tensors.empty();
    m_adapterProblem = m_known ? QString() : m_item.problem;
    showNote(m_about,
             m_known ? tr("A file of %1 tensors without a config: its base model and alpha have to be given.").arg(details.tensors.size())
                     : QString(),
             false);
  }
  m_name->setPlaceholderText(m_item.name.isEmpty() ? tr("the adapter's name") : m_item.name);
  m_base->setPlaceholderText(!m_item.basePath.isEmpty() ? m_item.basePath : tr("as the adapter names it"));
  if (m_known) lookAtBase();
  refresh();
}

void ImportDialog::lookAtBase() {
  const QString typed = m_base->text().trimmed();
  const QString path = typed.isEmpty() ? m_item.basePath : typed;
  if (path.isEmpty()) {
    m_baseProblem = m_item.baseNamed.isEmpty()
                        ? tr("The adapter does not name its base model. Choose its folder.")
                        : tr("The base model %1 is not on this machine. Fetch it, or choose the folder in which it is.").arg(m_item.baseNamed);
    return;
  }
  m_trainer.request(this, QStringLiteral("model.inspect"), {{"path", path.toStdString()}},
                    [this](Result<nlohmann::json> answer) {
                      m_baseProblem = answer.ok() ? QString() : errorText(answer.error());
                      if (answer.ok()) {
                        const LibraryDetails base = readLibraryDetails(*answer);
                        m_baseFacts = tr("%1, %2 parameters").arg(base.title.isEmpty() ? base.item.family : base.title,
                                                                  formatCompact(base.item.parameters));
                        lookWhetherItFits(base.item.path);
                      }
                      refresh();
                    },
                    QStringLiteral("import.base"));
}

void ImportDialog::lookWhetherItFits(const QString& base) {
  m_trainer.request(this, QStringLiteral("adapter.fits"),
                    {{"adapter", m_adapter->text().trimmed().toStdString()}, {"model", base.toStdString()}},
                    [this](Result<nlohmann::json> answer) {
                      m_baseKnown = answer.ok();
                      m_baseProblem = answer.ok() ? QString() : errorText(answer.error());
                      refresh();
                    },
                    QStringLiteral("import.fits"));
}

void ImportDialog::refresh() {
  const bool needsAlpha = m_known && !m_item.adapter;
  m_alpha->setVisible(needsAlpha);
  m_alphaLabel->setVisible(needsAlpha);
  showNote(m_problem, m_adapterProblem, true);
  makeInvalid(m_adapter, !m_adapterProblem.isEmpty());
  makeInvalid(m_base, !m_baseProblem.isEmpty());
  showNote(m_aboutBase, !m_baseProblem.isEmpty() ? m_baseProblem : m_baseKnown ? m_baseFacts : QString(), !m_baseProblem.isEmpty());
  m_ok->setEnabled(m_known && m_baseKnown && (!needsAlpha || !m_alpha->text().isEmpty()));
  ImportWish shown = wish();
  if (shown.adapter.isEmpty()) shown.adapter = QStringLiteral("ADAPTER");
  m_command->setText(commandLineOf(importJob(shown, {})));
  growToFit(this);
}

ImportWish ImportDialog::wish() const {
  ImportWish wish;
  wish.adapter = m_adapter->text().trimmed();
  wish.base = m_base->text().trimmed();
  wish.name = m_name->text().trimmed();
  if (m_known && !m_item.adapter) wish.alpha = m_alpha->text();
  wish.task = m_task->currentData().toString();
  return wish;
}

}  // namespace rankscope::ui
