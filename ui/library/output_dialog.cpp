#include "ui/library/output_dialog.h"

#include <QComboBox>
#include <QDialogButtonBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QGuiApplication>
#include <QClipboard>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QRadioButton>
#include <QToolButton>
#include <QVBoxLayout>
#include <QtConcurrent>

#include "ui/shell/facts.h"
#include "ui/shell/format.h"
#include "ui/shell/grow_to_fit.h"
#include "ui/shell/job_result.h"
#include "ui/shell/settings.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kLookDelay = 150;  // ms after the last key

QString folderKey(OutputKind kind) {
  return QStringLiteral("output.folder.%1").arg(static_cast<int>(kind));
}

}  // namespace

OutputDialog::OutputDialog(OutputSubject subject, OutputKind kind, const Places& places, Settings& settings, QWidget* parent)
    : QDialog(parent), m_subject(std::move(subject)), m_kind(kind), m_places(places), m_settings(settings) {
  setObjectName(QStringLiteral("outputDialog"));
  setWindowTitle(tr("Save the result of %1").arg(m_subject.name));
  setMinimumWidth(space::scaled(640));
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(space::kPage, space::kWide, space::kPage, space::kWide);
  column->setSpacing(space::kUnit);
  buildKinds(column);

  auto* form = new QFormLayout;
  form->setHorizontalSpacing(space::kWide);
  form->setVerticalSpacing(space::kUnit);
  form->setLabelAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
  const auto captioned = [form](const QString& text, QWidget* field) {
    auto* label = new QLabel(text);
    makeCaption(label);
    label->setBuddy(field);
    form->addRow(label, field);
    return label;
  };
  auto* place = new QWidget;
  auto* placeRow = new QHBoxLayout(place);
  placeRow->setContentsMargins(0, 0, 0, 0);
  placeRow->setSpacing(space::kHalf);
  m_destination = new QLineEdit;
  m_destination->setObjectName(QStringLiteral("destination"));
  m_destination->setAccessibleName(tr("Destination"));
  auto* browse = new QToolButton;
  browse->setIcon(icon(QStringLiteral("folder")));
  browse->setToolTip(tr("Choose a folder to put it in"));
  browse->setAccessibleName(browse->toolTip());
  placeRow->addWidget(m_destination, 1);
  placeRow->addWidget(browse);
  captioned(tr("Write to"), place);
  m_problem = new QLabel;
  m_problem->setObjectName(QStringLiteral("destinationProblem"));
  m_problem->setProperty("role", QStringLiteral("error"));
  m_problem->setWordWrap(true);
  m_problem->hide();
  form->addRow(QString(), m_problem);
  m_room = new QLabel;
  makeCaption(m_room);
  form->addRow(QString(), m_room);

  m_checkpoint = new QComboBox;
  m_checkpoint->setObjectName(QStringLiteral("outputCheckpoint"));
  m_checkpoint->setAccessibleName(tr("Checkpoint"));
  m_checkpoint->addItem(tr("the last one"), QStringLiteral("last"));
  for (const auto& [step, best] : m_subject.checkpoints)
    if (best) m_checkpoint->addItem(tr("the best one (step %1)").arg(formatInteger(step)), QStringLiteral("best"));
  for (const auto& [step, best] : m_subject.checkpoints)
    m_checkpoint->addItem(tr("step %1").arg(formatInteger(step)), QString::number(step));
  captioned(tr("Checkpoint"), m_checkpoint);
  m_weights = new QComboBox;
  m_weights->setObjectName(QStringLiteral("outputWeights"));
  m_weights->setAccessibleName(tr("Number format"));
  m_weights->addItem(tr("fp32, exact"), QStringLiteral("fp32"));
  m_weights->addItem(tr("bf16, half the size"), QStringLiteral("bf16"));
  m_weights->addItem(tr("fp16, half the size"), QStringLiteral("fp16"));
  m_weightsLabel = captioned(tr("Numbers"), m_weights);
  m_base = new QLineEdit;
  m_base->setObjectName(QStringLiteral("outputBase"));
  m_base->setAccessibleName(tr("Name of the base model"));
  m_base->setPlaceholderText(tr("its folder on this machine"));
  m_base->setToolTip(tr("What adapter_config.json calls the base model, for example meta-llama/Llama-3.2-1B"));
  m_baseLabel = captioned(tr("Base model's name"), m_base);
  column->addLayout(form);

  column->addSpacing(space::kHalf);
  auto* commandRow = new QHBoxLayout;
  m_command = makeCommandLabel(QStringLiteral("outputCommand"));
  auto* copy = new QToolButton;
  copy->setIcon(icon(QStringLiteral("copy")));
  copy->setToolTip(tr("Copy the command line"));
  copy->setAccessibleName(copy->toolTip());
  commandRow->addWidget(m_command, 1);
  commandRow->addWidget(copy, 0, Qt::AlignTop);
  column->addLayout(commandRow);
  auto* promise = new QLabel(tr("It becomes a job in the queue and goes on when this window closes. At its end the written files are read "
                                "again and their outputs compared with the trained model's."));
  promise->setWordWrap(true);
  makeCaption(promise);
  column->addWidget(promise);
  column->addStretch(1);
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Ok | QDialogButtonBox::Cancel);
  m_ok = buttons->button(QDialogButtonBox::Ok);
  m_ok->setObjectName(QStringLiteral("outputOk"));
  makePrimary(m_ok);
  column->addWidget(buttons);

  m_wait.setSingleShot(true);
  m_wait.setInterval(kLookDelay);
  connect(&m_wait, &QTimer::timeout, this, &OutputDialog::look);
  connect(m_destination, &QLineEdit::textChanged, this, [this] {
    m_free = false;
    ++m_asked;  // what is being looked at counts no more
    m_wait.start();
    refresh();
  });
  for (QComboBox* box : {m_checkpoint, m_weights}) connect(box, &QComboBox::currentIndexChanged, this, &OutputDialog::refresh);
  connect(m_base, &QLineEdit::textChanged, this, &OutputDialog::refresh);
  connect(browse, &QToolButton::clicked, this, [this] {
    const QFileInfo now(m_destination->text());
    const QString folder = QFileDialog::getExistingDirectory(this, tr("Folder to put it in"), now.absolutePath());
    if (!folder.isEmpty()) m_destination->setText(folder + QLatin1Char('/') + now.fileName());
  });
  connect(copy, &QToolButton::clicked, this, [this] { QGuiApplication::clipboard()->setText(m_command->text()); });
  connect(buttons, &QDialogButtonBox::accepted, this, [this] {
    m_settings.setValue(folderKey(m_kind), QFileInfo(m_destination->text()).absolutePath());
    accept();
  });
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  setKind(m_subject.method == QLatin1String("full") ? OutputKind::Merged : m_kind);
  m_destination->setFocus();
}

void OutputDialog::buildKinds(QVBoxLayout* column) {
  auto* row = new QHBoxLayout;
  row->setSpacing(space::kWide);
  for (const OutputKind kind : {OutputKind::Merged, OutputKind::Peft, OutputKind::Gguf}) {
    auto* button = new QRadioButton(outputTitle(kind));
    button->setObjectName(QStringLiteral("outputKind:%1").arg(static_cast<int>(kind)));
    button->setAccessibleDescription(outputExplanation(kind));
    button->setToolTip(outputExplanation(kind));
    if (kind != OutputKind::Merged && m_subject.method == QLatin1String("full")) {
      button->setEnabled(false);
      button->setToolTip(tr("Full fine-tuning has no adapter: it changes the whole model"));
    }
    connect(button, &QRadioButton::clicked, this, [this, kind] { setKind(kind); });
    row->addWidget(button);
    m_kinds.emplace_back(kind, button);
  }
  row->addStretch(1);
  column->addLayout(row);
  m_explanation = new QLabel;
  m_explanation->setWordWrap(true);
  makeCaption(m_explanation);
  column->addWidget(m_explanation);
  column->addSpacing(space::kHalf);
}

void OutputDialog::setKind(OutputKind kind) {
  m_kind = kind;
  for (const auto& [each, button] : m_kinds) button->setChecked(each == kind);
  m_explanation->setText(outputExplanation(kind));
  for (QWidget* widget : {static_cast<QWidget*>(m_weightsLabel), static_cast<QWidget*>(m_weights)})
    widget->setVisible(kind == OutputKind::Merged);
  for (QWidget* widget : {static_cast<QWidget*>(m_baseLabel), static_cast<QWidget*>(m_base)})
    widget->setVisible(kind == OutputKind::Peft);
  m_ok->setText(kind == OutputKind::Merged ? tr("Merge") : tr("Export"));
  if (m_destination->text() == m_proposed) propose();
  m_wait.start();
  refresh();
}

void OutputDialog::propose() {
  const QString usual = usualDestination(m_places, m_settings.string(folderKey(m_kind)), m_kind,
                                         fileNameFor(m_subject.name, m_subject.runId));
  QtConcurrent::run([usual, kind = m_kind] { return freeDestination(usual, kind); })
      .then(this, [this, kind = m_kind](const QString& path) {
        if (kind != m_kind || m_destination->text() != m_proposed) return;  // meanwhile somebody typed
        m_proposed = path;
        m_destination->setText(path);
      });
}

void OutputDialog::look() {
  const quint64 asked = ++m_asked;
  QtConcurrent::run([path = m_destination->text(), kind = m_kind] { return lookAtDestination(path, kind); })
      .then(this, [this, asked](const Destination& destination) {
        if (asked == m_asked) show(destination);
      });
}

double OutputDialog::bytes() const {
  const bool half = m_weights->currentData().toString() != QLatin1String("fp32");
  return m_kind == OutputKind::Merged ? m_subject.parameters * (half ? 2 : 4) : m_subject.trainable * 4;
}

void OutputDialog::show(const Destination& destination) {
  QString problem = destination.problem;
  if (problem.isEmpty() && destination.freeBytes > 0 && bytes() > destination.freeBytes)
    problem = tr("This disk has %1 free, and about %2 are needed.").arg(formatBytes(destination.freeBytes), formatBytes(bytes()));
  m_free = problem.isEmpty();
  m_problem->setText(problem);
  m_problem->setVisible(!problem.isEmpty());
  makeInvalid(m_destination, !problem.isEmpty());
  m_room->setText(bytes() > 0 ? tr("About %1; %2 are free there").arg(formatBytes(bytes()), formatBytes(destination.freeBytes))
                              : tr("%1 are free there").arg(formatBytes(destination.freeBytes)));
  m_room->setVisible(problem.isEmpty() && destination.freeBytes > 0);
  refresh();
}

void OutputDialog::refresh() {
  m_ok->setEnabled(m_free);
  m_ok->setToolTip(m_free ? QString() : m_problem->text());
  m_command->setText(commandLineOf(outputJob(wish(), {})));
  growToFit(this);
}

OutputWish OutputDialog::wish() const {
  OutputWish wish;
  wish.kind = m_kind;
  wish.runId = m_subject.runId;
  wish.runName = m_subject.name;
  wish.destination = m_destination->text().trimmed();
  wish.checkpoint = m_checkpoint->currentData().toString();
  wish.weights = m_weights->currentData().toString();
  wish.base = m_base->text().trimmed();
  return wish;
}

}  // namespace rankscope::ui
