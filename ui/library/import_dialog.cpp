#include "ui/library/import_dialog.h"

#include <QComboBox>
#include <QCoreApplication>
#include <QDialogButtonBox>
#include <QDoubleValidator>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPushButton>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/config/option_spec.h"
#include "core/store/command_job.h"
#include "ui/library/run_output.h"
#include "ui/shell/facts.h"
#include "ui/shell/format.h"
#include "ui/shell/grow_to_fit.h"
#include "ui/shell/job_result.h"
#include "ui/shell/trainer_client.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kLookDelay = 200;  // ms after the last key

QString sentence(const Error& error) { return QString::fromStdString(error.message()); }

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
  setObjectName(QStringLiteral("importDialog"));
  setWindowTitle(tr("Import an adapter"));
  setMinimumWidth(space::scaled(640));
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(space::kPage, space::kWide, space::kPage, space::kWide);
  column->setSpacing(space::kUnit);
  auto* intro = new QLabel(tr("An adapter made elsewhere becomes a run like any other: it can be continued, evaluated, merged, exported "
                              "and looked at in Spectrum."));
  intro->setWordWrap(true);
  makeCaption(intro);
  column->addWidget(intro);

  auto* form = new QFormLayout;
  form->setHorizontalSpacing(space::kWide);
  form->setVerticalSpacing(space::kUnit);
  form->setLabelAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
  const auto captioned = [form](const QString& text, QWidget* field, QWidget* buddy) {
    auto* label = new QLabel(text);
    makeCaption(label);
    label->setBuddy(buddy);
    form->addRow(label, field);
    return label;
  };
  const auto edit = [](const char* objectName, const QString& accessibleName, const QString& placeholder) {
    auto* line = new QLineEdit;
    line->setObjectName(QLatin1String(objectName));
    line->setAccessibleName(accessibleName);
    line->setPlaceholderText(placeholder);
    return line;
  };
  const auto withButton = [this](QLineEdit* line, const QString& tip, const std::function<QString()>& choose) {
    auto* both = new QWidget;
    auto* row = new QHBoxLayout(both);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(space::kHalf);
    auto* button = new QToolButton;
    button->setIcon(icon(QStringLiteral("folder")));
    button->setToolTip(tip);
    button->setAccessibleName(tip);
    row->addWidget(line, 1);
    row->addWidget(button);
    connect(button, &QToolButton::clicked, this, [line, choose] {
      if (const QString chosen = choose(); !chosen.isEmpty()) line->setText(chosen);
    });
    return both;
  };
  const auto note = [form](const char* objectName) {
    auto* label = new QLabel;
    label->setObjectName(QLatin1String(objectName));
    label->setWordWrap(true);
    label->hide();
    form->addRow(QString(), label);
    return label;
  };
  m_adapter = edit("importAdapter", tr("Adapter"), tr("folder with adapter_config.json, or a file of factors"));
  captioned(tr("Adapter"), withButton(m_adapter, tr("Choose the adapter's folder"),
                                      [this] { return QFileDialog::getExistingDirectory(this, tr("PEFT adapter's folder"), m_adapter->text()); }),
            m_adapter);
  m_about = note("importAbout");
  makeCaption(m_about);
  m_problem = note("importProblem");
  m_problem->setProperty("role", QStringLiteral("error"));
  m_base = edit("importBase", tr("Base model"), tr("as the adapter names it"));
  captioned(tr("Base model"), withButton(m_base, tr("Choose the base model's folder"),
                                         [this] { return QFileDialog::getExistingDirectory(this, tr("Base model's folder"), m_base->text()); }),
            m_base);
  m_aboutBase = note("importAboutBase");
  m_name = edit("importName", tr("Name of the run"), tr("the adapter's name"));
  captioned(tr("Name of the run"), m_name, m_name);
  m_alpha = edit("importAlpha", tr("Alpha"), tr("as it was in training"));
  auto* validator = new QDoubleValidator(0, 1e9, 6, m_alpha);
  validator->setLocale(QLocale::c());
  m_alpha->setValidator(validator);
  m_alphaLabel = captioned(tr("Alpha"), m_alpha, m_alpha);
  m_task = new QComboBox;
  m_task->setObjectName(QStringLiteral("importTask"));
  m_task->setAccessibleName(tr("Task"));
  m_task->addItem(tr("as the adapter tells it"), QString());
  for (const OptionChoice& choice : findOption("data.task")->choices)
    m_task->addItem(QCoreApplication::translate("options", choice.title.c_str()), QString::fromStdString(choice.value));
  captioned(tr("Task"), m_task, m_task);
  column->addLayout(form);
  m_command = makeCommandLabel(QStringLiteral("importCommand"));
  column->addSpacing(space::kHalf);
  column->addWidget(m_command);
  column->addStretch(1);
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Ok | QDialogButtonBox::Cancel);
  m_ok = buttons->button(QDialogButtonBox::Ok);
  m_ok->setObjectName(QStringLiteral("importOk"));
  m_ok->setText(tr("Import"));
  makePrimary(m_ok);
  column->addWidget(buttons);

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
  connect(buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
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
    m_adapterProblem = sentence(answer.error());
    refresh();
    return;
  }
  const LibraryDetails details = readLibraryDetails(*answer);
  m_item = details.item;
  if (m_item.adapter) {
    m_known = m_item.problem.isEmpty();
    m_adapterProblem = m_item.problem;
    QStringList facts{methodTitle(m_item.method), tr("rank %1").arg(m_item.rank), tr("α %1").arg(formatNumber(m_item.alpha))};
    if (!m_item.targets.isEmpty()) facts << m_item.targets.join(QStringLiteral(", "));
    facts << tr("%1 parameters").arg(formatCompact(m_item.parameters));
    m_about->setText(facts.join(QStringLiteral("  ·  ")));
    m_about->setVisible(m_known);
  } else if (QFileInfo(m_item.folder).suffix().isEmpty()) {
    m_adapterProblem = tr("There is no adapter in this folder: adapter_config.json is missing.");
  } else {
    m_known = !details.tensors.empty();
    m_adapterProblem = m_known ? QString() : m_item.problem;
    m_about->setText(tr("A file of %1 tensors without a config: its base model and alpha have to be given.").arg(details.tensors.size()));
    m_about->setVisible(m_known);
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
                      m_baseKnown = answer.ok();
                      m_baseProblem = answer.ok() ? QString() : sentence(answer.error());
                      if (answer.ok()) {
                        const LibraryDetails base = readLibraryDetails(*answer);
                        m_aboutBase->setText(tr("%1, %2 parameters").arg(base.title.isEmpty() ? base.item.family : base.title,
                                                                         formatCompact(base.item.parameters)));
                      }
                      refresh();
                    },
                    QStringLiteral("import.base"));
}

void ImportDialog::refresh() {
  const bool needsAlpha = m_known && !m_item.adapter;
  m_alpha->setVisible(needsAlpha);
  m_alphaLabel->setVisible(needsAlpha);
  m_problem->setText(m_adapterProblem);
  m_problem->setVisible(!m_adapterProblem.isEmpty());
  makeInvalid(m_adapter, !m_adapterProblem.isEmpty());
  makeInvalid(m_base, !m_baseProblem.isEmpty());
  if (!m_baseProblem.isEmpty()) m_aboutBase->setText(m_baseProblem);
  m_aboutBase->setProperty("role", m_baseProblem.isEmpty() ? QStringLiteral("caption") : QStringLiteral("error"));
  m_aboutBase->style()->unpolish(m_aboutBase);
  m_aboutBase->style()->polish(m_aboutBase);
  m_aboutBase->setVisible(m_baseKnown || !m_baseProblem.isEmpty());
  m_ok->setEnabled(m_known && m_baseKnown && (!needsAlpha || !m_alpha->text().isEmpty()));
  m_command->setText(commandLineOf(importJob(wish(), {})));
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
