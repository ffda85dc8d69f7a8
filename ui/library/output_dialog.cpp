#include "ui/library/output_dialog.h"

#include <QComboBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QFormLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPushButton>
#include <QRadioButton>
#include <QVBoxLayout>
#include <QtConcurrent>
#include <cmath>

#include "core/config/method_kind.h"
#include "ui/library/dialog_form.h"
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
  setWindowTitle(tr("Save the result of %1").arg(m_subject.name));
  QVBoxLayout* column = dialogColumn(this, QStringLiteral("outputDialog"));
  buildKinds(column);

  QFormLayout* form = dialogForm();
  m_destination = namedLine("destination", tr("Destination"));
  addCaptioned(form, tr("Write to"), withPathButton(m_destination, tr("Choose a folder to put it in"), [this] {
                 const QFileInfo now(m_destination->text());
                 const QString folder = QFileDialog::getExistingDirectory(this, tr("Folder to put it in"), now.absolutePath());
                 return folder.isEmpty() ? QString() : folder + QLatin1Char('/') + now.fileName();
               }),
               m_destination);
  m_about = addNote(form, "destinationProblem");
  m_checkpoint = checkpointBox("outputCheckpoint", m_subject.checkpoints);
  addCaptioned(form, tr("Checkpoint"), m_checkpoint);
  m_weights = new QComboBox;
  m_weights->setObjectName(QStringLiteral("outputWeights"));
  m_weights->setAccessibleName(tr("Number format"));
  m_weights->addItem(tr("fp32, exact"), QStringLiteral("fp32"));
  m_weights->addItem(tr("bf16, half the size"), QStringLiteral("bf16"));
  m_weights->addItem(tr("fp16, half the size"), QStringLiteral("fp16"));
  m_weightsLabel = addCaptioned(form, tr("Numbers"), m_weights);
  m_shard = namedLine("outputShard", tr("Largest file of weights, in GB"));
  m_shard->setText(QLocale().toString(kUsualShard));
  m_shard->setToolTip(tr("Weights that need more go into several files with an index"));
  m_shardLabel = addCaptioned(form, tr("Largest file (GB)"), m_shard);
  m_shardNote = addNote(form, "outputShardNote");
  m_base = namedLine("outputBase", tr("Name of the base model"), tr("its folder on this machine"));
  m_base->setToolTip(tr("What adapter_config.json calls the base model, for example meta-llama/Llama-3.2-1B"));
  m_baseLabel = addCaptioned(form, tr("Base model's name"), m_base);
  column->addLayout(form);

  m_command = addCommand(column, "outputCommand");
  addExplanation(column, tr("It becomes a job in the queue and goes on when this window closes. At its end the written files are read "
                            "again and their outputs compared with the trained model's."));
  m_ok = addButtons(column, this, "outputOk", tr("Merge"));

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
  for (QLineEdit* line : {m_shard, m_base}) connect(line, &QLineEdit::textChanged, this, &OutputDialog::refresh);
  connect(this, &QDialog::accepted, this, [this] {
    m_settings.setValue(folderKey(m_kind), QFileInfo(m_destination->text()).absolutePath());
  });
  setKind(reasonAgainst(m_kind).isEmpty() ? m_kind
          : reasonAgainst(OutputKind::Merged).isEmpty() ? OutputKind::Merged : OutputKind::Peft);
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
    if (const QString reason = reasonAgainst(kind); !reason.isEmpty()) {
      button->setEnabled(false);
      button->setToolTip(reason);
    }
    connect(button, &QRadioButton::clicked, this, [this, kind] { setKind(kind); });
    row->addWidget(button);
    m_kinds.emplace_back(kind, button);
  }
  row->addStretch(1);
  column->addLayout(row);
  m_explanation = addExplanation(column);
  column->addSpacing(space::kHalf);
}

// Why the subject has no output of this kind; empty when it has.
QString OutputDialog::reasonAgainst(OutputKind kind) const {
  switch (methodKind(m_subject.method.toStdString())) {
    case MethodKind::Full:
      return kind == OutputKind::Merged ? QString() : tr("Full fine-tuning has no adapter: it changes the whole model");
    case MethodKind::Inserted:
      if (kind == OutputKind::Merged) return tr("What this method adds is no change of a weight and cannot be merged");
      [[fallthrough]];
    case MethodKind::Biases:
      if (kind == OutputKind::Gguf) return tr("llama.cpp reads adapters of low rank only");
      break;
    case MethodKind::LowRank: break;
  }
  return {};
}

void OutputDialog::setKind(OutputKind kind) {
  m_kind = kind;
  for (const auto& [each, button] : m_kinds) button->setChecked(each == kind);
  m_explanation->setText(outputExplanation(kind));
  for (QWidget* widget : {static_cast<QWidget*>(m_weightsLabel), static_cast<QWidget*>(m_weights), static_cast<QWidget*>(m_shardLabel),
                          static_cast<QWidget*>(m_shard)})
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
        if (asked == m_asked) showDestination(destination);
      });
}

double OutputDialog::bytes() const {
  const bool half = m_weights->currentData().toString() != QLatin1String("fp32");
  return m_kind == OutputKind::Merged ? m_subject.parameters * (half ? 2 : 4) : m_subject.trainable * 4;
}

void OutputDialog::showDestination(const Destination& destination) {
  QString problem = destination.problem;
  if (problem.isEmpty() && destination.freeBytes >= 0 && bytes() > destination.freeBytes)
    problem = tr("This disk has %1 free, and about %2 are needed. Choose another place.").arg(formatBytes(destination.freeBytes), formatBytes(bytes()));
  m_free = problem.isEmpty();
  const QString room = destination.freeBytes < 0 ? QString()
                       : bytes() > 0 ? tr("About %1; %2 are free there").arg(formatBytes(bytes()), formatBytes(destination.freeBytes))
                                     : tr("%1 are free there").arg(formatBytes(destination.freeBytes));
  showNote(m_about, m_free ? room : problem, !m_free);
  makeInvalid(m_destination, !m_free);
  refresh();
}

void OutputDialog::sayShards() {
  const bool merged = m_kind == OutputKind::Merged;
  const ShardSize size = readShardSize(m_shard->text(), bytes());
  m_shardsGood = !merged || size.problem.isEmpty();
  const int files = m_shardsGood ? static_cast<int>(std::ceil(bytes() / (size.gigabytes * 1e9))) : 0;
  showNote(m_shardNote,
           !merged         ? QString()
           : !m_shardsGood ? size.problem
           : files > 1     ? tr("About %n file(s), with an index", nullptr, files)
           : files == 1    ? tr("All in one file")
                           : QString(),
           !m_shardsGood);
  makeInvalid(m_shard, !m_shardsGood);
}

void OutputDialog::refresh() {
  sayShards();
  m_ok->setEnabled(m_free && m_shardsGood);
  m_ok->setToolTip(!m_free ? m_about->text() : !m_shardsGood ? m_shardNote->text() : QString());
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
  // What is wrong stays in the field; the command says what would be done without it.
  if (const ShardSize size = readShardSize(m_shard->text(), bytes()); size.problem.isEmpty()) wish.shardGigabytes = size.gigabytes;
  wish.base = m_base->text().trimmed();
  return wish;
}

}  // namespace rankscope::ui
