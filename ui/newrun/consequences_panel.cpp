#include "ui/newrun/consequences_panel.h"

#include <QClipboard>
#include <QGridLayout>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QLabel>
#include <QListWidget>
#include <QLocale>
#include <QProgressBar>
#include <QPushButton>
#include <QScrollArea>
#include <QTimer>
#include <QToolButton>
#include <QVBoxLayout>
#include <cmath>

#include "core/config/method_kind.h"
#include "core/config/short_names.h"
#include "core/config/step_size.h"
#include "core/config/task_heads.h"
#include "ui/newrun/memory_bar.h"
#include "ui/newrun/run_draft.h"
#include "ui/shell/error_text.h"
#include "ui/shell/facts.h"
#include "ui/shell/format.h"
#include "ui/shell/view.h"
#include "ui/shell/work_unit.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kKeyRole = Qt::UserRole + 1;
constexpr int kCaptionWidth = 104;

}  // namespace

ConsequencesPanel::ConsequencesPanel(RunDraft* draft, QWidget* parent) : QWidget(parent), m_draft(draft) {
  setObjectName("consequences");
  auto* title = new QLabel(tr("If you press Start"));
  makeHeading(title);
  m_sentence = new QLabel;
  m_sentence->setObjectName("sentence");
  m_sentence->setWordWrap(true);

  FactGrid figures(kCaptionWidth);
  m_trainable = figures.add(tr("Trains"), "trainable").value;
  m_scale = figures.add(tr("Scale of B·A"), "scale").value;
  m_steps = figures.add(tr("Steps"), "steps").value;
  const FactGrid::Row tokens = figures.add(unitTitle(kUsualUnit), "tokens");
  m_tokensTitle = tokens.caption;
  m_tokens = tokens.value;
  m_time = figures.add(tr("Time"), "time").value;
  auto* memoryTitle = new QLabel(tr("Memory"));
  makeHeading(memoryTitle);
  m_memory = new MemoryBar;
  m_estimateState = new QLabel;
  m_estimateState->setWordWrap(true);
  makeCaption(m_estimateState);
  m_estimateState->hide();

  m_issuesTitle = new QLabel;
  makeHeading(m_issuesTitle);
  m_issues = new QListWidget;
  m_issues->setObjectName("issues");
  m_issues->setAccessibleName(tr("Mistakes"));
  m_issues->setWordWrap(true);
  m_issues->setFrameShape(QFrame::NoFrame);
  m_issues->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  m_issues->setToolTip(tr("Return or a click goes to the field"));
  m_issues->setMaximumHeight(160);

  m_checkResult = new QLabel;
  m_checkResult->setObjectName("checkResult");
  m_checkResult->setWordWrap(true);
  m_checkResult->setTextInteractionFlags(Qt::TextSelectableByMouse);
  m_checkResult->hide();
  m_checkProgress = new QProgressBar;
  m_checkProgress->setRange(0, 0);
  m_checkProgress->setTextVisible(false);
  m_checkProgress->setFixedHeight(4);
  m_checkProgress->setAccessibleName(tr("Check under way"));
  m_checkProgress->hide();

  auto* commandTitle = new QLabel(tr("The same from a terminal"));
  makeHeading(commandTitle);
  m_copy = new QToolButton;
  m_copy->setObjectName("copyCommand");
  m_copy->setIcon(icon("copy"));
  m_copy->setToolTip(tr("Copy the command line"));
  m_copy->setAccessibleName(m_copy->toolTip());
  makeFlat(m_copy);
  m_commandLabel = new QLabel;
  m_commandLabel->setObjectName("commandLine");
  m_commandLabel->setAccessibleName(tr("Command line"));
  m_commandLabel->setWordWrap(true);
  m_commandLabel->setFont(Theme::instance().monoFont());
  m_commandLabel->setTextFormat(Qt::PlainText);
  m_commandLabel->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);

  auto* content = new QWidget;
  auto* column = new QVBoxLayout(content);
  column->setContentsMargins(space::kWide, space::kWide, space::kWide, space::kUnit);
  column->setSpacing(space::kUnit);
  column->addWidget(title);
  column->addWidget(m_sentence);
  column->addLayout(figures.layout());
  column->addSpacing(space::kHalf);
  column->addWidget(memoryTitle);
  column->addWidget(m_memory);
  column->addWidget(m_estimateState);
  column->addSpacing(space::kHalf);
  column->addWidget(m_issuesTitle);
  column->addWidget(m_issues);
  column->addWidget(m_checkProgress);
  column->addWidget(m_checkResult);
  column->addSpacing(space::kHalf);
  auto* commandRow = new QHBoxLayout;
  commandRow->addWidget(commandTitle, 1);
  commandRow->addWidget(m_copy);
  column->addLayout(commandRow);
  column->addWidget(m_commandLabel);
  column->addStretch(1);
  auto* scroll = new QScrollArea;
  scroll->setWidget(content);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);

  m_start = new QPushButton(tr("Start"));
  m_start->setObjectName("startRun");
  makePrimary(m_start);
  m_queue = new QPushButton(tr("Add to queue"));
  m_queue->setObjectName("queueRun");
  m_twin = new QPushButton(tr("Twin…"));
  m_twin->setObjectName("twinRun");
  m_twin->setToolTip(tr("The same run with another method: same seed, data order and budget"));
  m_checkButton = new QPushButton(tr("Check"));
  m_checkButton->setObjectName("checkRun");
  auto* buttons = new QGridLayout;
  buttons->setContentsMargins(space::kWide, space::kUnit, space::kWide, space::kWide);
  buttons->setSpacing(space::kUnit);
  buttons->addWidget(m_start, 0, 0, 1, 3);
  buttons->addWidget(m_queue, 1, 0);
  buttons->addWidget(m_twin, 1, 1);
  buttons->addWidget(m_checkButton, 1, 2);
  auto* whole = new QVBoxLayout(this);
  whole->setContentsMargins(0, 0, 0, 0);
  whole->setSpacing(0);
  whole->addWidget(scroll, 1);
  whole->addLayout(buttons);

  connect(m_start, &QPushButton::clicked, this, &ConsequencesPanel::startAsked);
  connect(m_queue, &QPushButton::clicked, this, &ConsequencesPanel::queueAsked);
  connect(m_twin, &QPushButton::clicked, this, &ConsequencesPanel::twinAsked);
  connect(m_checkButton, &QPushButton::clicked, this, [this] { m_checking ? Q_EMIT checkCancelled() : Q_EMIT checkAsked(); });
  connect(m_copy, &QToolButton::clicked, this, [this] {
    QGuiApplication::clipboard()->setText(m_command);
    m_copy->setIcon(icon("check"));
    QTimer::singleShot(1200, m_copy, [this] { m_copy->setIcon(icon("copy")); });
  });
  const auto open = [this](QListWidgetItem* item) { Q_EMIT goTo(item->data(kKeyRole).toString()); };
  connect(m_issues, &QListWidget::itemClicked, this, open);
  connect(m_issues, &QListWidget::itemActivated, this, open);
  connect(draft, &RunDraft::edited, this, &ConsequencesPanel::refresh);
  connect(draft, &RunDraft::issuesChanged, this, &ConsequencesPanel::refresh);
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    m_copy->setIcon(icon("copy"));
    m_issues->clear();  // its icons carry the theme's colour
    if (m_check) m_checkResult->setStyleSheet("color:" + ui::palette().ok.name());
    refresh();
  });
  refresh();
}

QString ConsequencesPanel::sentence() const {
  const auto& config = m_draft->config();
  if (config.str("model.path").empty() || config.str("data.train").empty()) {
    return tr("Choose a base model and a training file; the figures below then follow every change.");
  }
  const auto method = QString::fromStdString(config.str("method.name"));
  QString how = methodTitle(method);
  if (m_draft->applies("method.rank")) how += tr(" of rank %1").arg(config.integer("method.rank"));
  const auto file = QString::fromStdString(config.str("data.train")).section('/', -1).section(':', -1);
  const auto model = m_modelName.isEmpty() ? QString::fromStdString(shortModelName(config.str("model.path"))) : m_modelName;
  const QLocale locale;
  const QString count = locale.toString(m_trainRows);
  const QString rows = m_trainRows <= 0                                     ? QString()
                       : unitOfTask(config.str("data.task")) == "images" ? tr(" (%1 images)").arg(count)
                                                                            : tr(" (%1 rows)").arg(count);
  const auto maxSteps = config.integer("train.max_steps");
  const QString length = maxSteps > 0 ? tr("%n step(s)", nullptr, static_cast<int>(maxSteps))
                                      : tr("%1 epochs").arg(locale.toString(config.real("train.epochs"), 'g', 4));
  return tr("With %1, %2 trains on %3%4 for %5.").arg(how, model, file, rows, length);
}

void ConsequencesPanel::refresh() {
  m_sentence->setText(sentence());
  const QLocale locale;
  const auto& config = m_draft->config();
  const QString none = QStringLiteral("–");
  if (m_estimate && m_estimate->trainable > 0) {
    const double share = m_estimate->share > 0 ? m_estimate->share : m_estimate->trainable / std::max(1.0, m_estimate->parameters);
    m_trainable->setText(tr("%1 of %2 parameters, %3%")
                             .arg(locale.toString(qlonglong(m_estimate->trainable)), formatCompact(m_estimate->parameters),
                                  locale.toString(100 * share, 'f', share < 0.001 ? 4 : 2)));
  } else {
    m_trainable->setText(none);
  }
  const auto scale = effectiveScale(config);
  m_scale->setText(scale ? locale.toString(*scale, 'g', 4)
                         : methodKind(config.str("method.name")) == MethodKind::Inserted ? tr("none: modules are added, no weight changes") : tr("none: the weights themselves train"));
  if (m_estimate && m_estimate->steps > 0) {
    m_steps->setText(m_estimate->stepsPerEpoch > 0
                         ? tr("%1, %2 per epoch").arg(locale.toString(qlonglong(m_estimate->steps)),
                                                      locale.toString(qlonglong(m_estimate->stepsPerEpoch)))
                         : locale.toString(qlonglong(m_estimate->steps)));
    if (followsMeft(config) && m_estimate->learningRate > 0)
      m_steps->setText(tr("%1; learning rate %2").arg(m_steps->text(), locale.toString(m_estimate->learningRate, 'g', 3)));
    const double perStep = m_estimate->stepsPerEpoch > 0 ? m_estimate->tokensPerEpoch / m_estimate->stepsPerEpoch : 0;
    m_tokens->setText(m_estimate->tokensPerEpoch > 0
                          ? tr("%1 per epoch, %2 per step").arg(formatCompact(m_estimate->tokensPerEpoch), formatCompact(perStep))
                          : none);
  } else {
    m_steps->setText(none);
    m_tokens->setText(none);
  }
  if (m_check && m_check->trainingSeconds > 0) {
    m_time->setText(tr("about %1, as measured").arg(formatDuration(m_check->trainingSeconds)));
  } else {
    m_time->setText(tr("press Check to measure it"));
  }
  m_tokensTitle->setText(unitTitle(unitOfTask(config.str("data.task"))));
  m_tokens->setAccessibleName(m_tokensTitle->text());
  const std::string preset = m_draft->presetName().toStdString();
  m_command = m_makeCommand ? m_makeCommand(config) : QString();
  if (m_command.isEmpty()) m_command = QString::fromStdString(commandText(config, preset, m_draft->base()));
  m_commandLabel->setText(m_command);
  showIssues();

  const bool valid = m_draft->valid();
  const QString why = valid ? QString() : tr("Correct the mistakes first");
  m_start->setEnabled(valid && !m_starting);
  m_queue->setEnabled(valid && !m_starting);
  m_twin->setEnabled(valid && !m_starting);
  m_checkButton->setEnabled(valid || m_checking);
  m_start->setText(m_starting ? tr("Starting…") : tr("Start"));
  m_start->setToolTip(valid ? withShortcut(tr("Start now, in a process of its own"), QKeySequence("Ctrl+Return")) : why);
  m_queue->setToolTip(valid ? withShortcut(tr("Run after what is queued already"), QKeySequence("Ctrl+Shift+Return")) : why);
  m_checkButton->setToolTip(valid ? tr("Run one batch for real: finite loss, measured memory, time per step") : why);
}

void ConsequencesPanel::showIssues() {
  const auto& issues = m_draft->issues();
  m_issuesTitle->setText(issues.empty() ? tr("No mistakes") : tr("%n mistake(s)", nullptr, static_cast<int>(issues.size())));
  m_issues->setVisible(!issues.empty());
  QStringList fresh;
  for (const auto& issue : issues) {
    const auto* option = findOption(issue.key);
    const QString text = errorText(issue.error), title = option ? optionTitle(*option) : QString();
    fresh << (title.isEmpty() || text.startsWith(title, Qt::CaseInsensitive) ? text : title + ": " + text);
  }
  QStringList shown;
  for (int i = 0; i < m_issues->count(); ++i) shown << m_issues->item(i)->text();
  if (fresh == shown) return;
  m_issues->clear();
  for (qsizetype i = 0; i < fresh.size(); ++i) {
    auto* item = new QListWidgetItem(icon("error", ui::palette().danger), fresh[i], m_issues);
    item->setData(kKeyRole, QString::fromStdString(issues[static_cast<size_t>(i)].key));
  }
  const int width = std::max(200, m_issues->viewport()->width() - 30);
  int height = 4;
  for (const auto& text : fresh) {
    height += m_issues->fontMetrics().boundingRect(QRect(0, 0, width, 1000), Qt::TextWordWrap, text).height() + 6;
  }
  m_issues->setFixedHeight(std::clamp(height, 28, 160));
}

void ConsequencesPanel::setEstimate(const RunEstimate& e) {
  m_estimate = e;
  QVector<MemoryPart> parts;
  const auto add = [&parts](const char* key, const QString& title, double bytes) {
    if (bytes > 0) parts.push_back({key, title, bytes});
  };
  add("program", tr("Program"), e.program);
  add("weights", tr("Weights"), e.weights);
  add("adapter", tr("Adapter"), e.adapter);
  add("gradients", tr("Gradients"), e.gradients);
  add("optimizer", e.pageable > 0 ? tr("Moments (pageable)") : tr("Moments"), e.optimizer);
  add("activations", tr("Activations"), e.activations);
  add("logits", tr("Logits"), e.logits);
  add("spectrum", tr("Base spectra"), e.spectrum);
  m_memory->setParts(parts, e.available);
  m_estimateState->hide();
  refresh();
}

void ConsequencesPanel::setEstimateFailed(const QString& reason) {
  m_estimate.reset();
  m_memory->clear();
  m_estimateState->setText(reason);
  m_estimateState->setVisible(!reason.isEmpty());
  refresh();
}

void ConsequencesPanel::setChecking(bool checking, const QString& step) {
  m_checking = checking;
  m_checkProgress->setVisible(checking);
  m_checkButton->setText(checking ? tr("Cancel check") : tr("Check"));
  if (checking) {
    m_checkResult->setText(step.isEmpty() ? tr("Running one batch…") : step);
    m_checkResult->setStyleSheet({});
    m_checkResult->show();
  }
  refresh();
}

void ConsequencesPanel::setCheck(const CheckOutcome& outcome) {
  m_check = outcome;
  setChecking(false);
  const QLocale locale;
  QString text = tr("Checked: loss %1 is finite, peak memory %2, %3 s for the largest step.")
                     .arg(locale.toString(outcome.loss, 'g', 4), formatBytes(outcome.peakMemory),
                          locale.toString(outcome.stepSeconds, 'g', 3));
  for (const auto& remark : outcome.remarks) text += '\n' + remark;
  m_checkResult->setText(text);
  m_checkResult->setStyleSheet("color:" + ui::palette().ok.name());
  m_checkResult->show();
  refresh();
}

void ConsequencesPanel::setCheckFailed(const QString& text) {
  m_check.reset();
  setChecking(false);
  m_checkResult->setText(text);
  m_checkResult->setStyleSheet("color:" + ui::palette().danger.name());
  m_checkResult->setVisible(!text.isEmpty());
}

void ConsequencesPanel::clearCheck() {
  if (m_checking) return;
  m_check.reset();
  m_checkResult->hide();
  refresh();
}

void ConsequencesPanel::setStarting(bool starting) {
  m_starting = starting;
  refresh();
}

}  // namespace rankscope::ui
