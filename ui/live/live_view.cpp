#include "ui/live/live_view.h"

#include <QHBoxLayout>
#include <QJsonArray>
#include <QLabel>
#include <QLocale>
#include <QProgressBar>
#include <QPushButton>
#include <QSplitter>
#include <QTabWidget>
#include <QVBoxLayout>

#include "core/config/task_heads.h"
#include "ui/library/run_exchange.h"
#include "ui/live/error_panel.h"
#include "ui/live/live_plots.h"
#include "ui/live/log_panel.h"
#include "ui/live/run_chooser.h"
#include "ui/live/run_controls.h"
#include "ui/live/samples_panel.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"
#include "ui/shell/work_unit.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kRedrawEvery = 100;       // ms between drawings while events stream in

QString stageText(const RunHistory& history) {
  // What goes on within a state is told after it: a start's gradients while the run is loading.
  if (!history.doing().empty()) return QString::fromStdString(history.doing());
  return QString::fromStdString(history.stateDetail());
}

}  // namespace

LiveView::LiveView(ViewContext& context, QWidget* parent) : View(context, parent) {
  setObjectName("liveView");
  m_feed = new RunFeed(this);
  auto* page = new QWidget;
  auto* column = new QVBoxLayout(page);
  column->setContentsMargins(space::kWide, space::kUnit, space::kWide, space::kUnit);
  column->setSpacing(space::kUnit);
  buildHeader(column);
  m_error = new ErrorPanel;
  column->addWidget(m_error);
  m_plots = new LivePlots;
  m_log = new LogPanel;
  m_samples = new SamplesPanel;
  m_tabs = new QTabWidget;
  m_tabs->setObjectName("liveTabs");
  m_tabs->setDocumentMode(true);
  m_tabs->addTab(m_log, tr("Log"));
  m_tabs->addTab(m_samples, tr("Samples"));
  m_split = new QSplitter(Qt::Vertical);
  m_split->setChildrenCollapsible(true);
  m_split->addWidget(m_plots);
  m_split->addWidget(m_tabs);
  m_split->setCollapsible(0, false);
  m_split->setStretchFactor(0, 4);
  m_split->setStretchFactor(1, 1);
  m_split->setSizes({600, 170});
  column->addWidget(m_split, 1);

  auto* whole = new QVBoxLayout(this);
  whole->setContentsMargins(0, 0, 0, 0);
  whole->addWidget(page);

  m_redraw.setSingleShot(true);
  m_sinceRedraw.start();
  connect(&m_redraw, &QTimer::timeout, this, &LiveView::redraw);
  m_clock.setInterval(1000);
  connect(&m_clock, &QTimer::timeout, this, [this] {
    showHeader();
    checkStarting();
  });

  connect(m_feed, &RunFeed::loaded, this, [this](const std::shared_ptr<RunHistory>& history) {
    m_history = std::move(*history);
    if (m_starting) store().ingestNow();  // the folder is there now: let the other views know it at once
    m_loaded = true;
    m_starting = false;
    m_log->sync(nullptr);
    m_plots->setHistory(&m_history);
    redraw();
  });
  connect(m_feed, &RunFeed::arrived, this, [this](const std::shared_ptr<std::vector<event::Event>>& events) {
    for (const auto& each : *events) m_history.apply(each);
    // At once after a pause, else not more often than the eye can use.
    if (!m_redraw.isActive()) m_redraw.start(std::max<int>(0, kRedrawEvery - static_cast<int>(m_sinceRedraw.elapsed())));
  });
  connect(m_feed, &RunFeed::livenessChanged, this, [this](Liveness liveness) {
    m_liveness = liveness;
    m_wordsRead = false;
    redraw();
  });
  connect(m_feed, &RunFeed::failed, this, [this](const QString& message) {
    m_feedProblem = message;
    redraw();
  });
  connect(m_runs, &RunChooser::chosen, this, [this](const QString& id) {
    selection().set({id});
    setRun(id);
  });
  connect(m_runs, &RunChooser::reloaded, this, [this] {
    if (m_run.isEmpty()) chooseDefault();
    showHeader();
  });
  connect(&selection(), &RunSelection::changed, this, [this] {
    if (isVisible() && !selection().current().isEmpty()) setRun(selection().current());
  });
  connect(m_controls, &RunControls::resumeAsked, this, &LiveView::resume);
  connect(&Theme::instance(), &Theme::changed, this, &LiveView::showHeader);

  const auto wish = [this](Command command) { return [this, command] { m_controls->send(command); }; };
  addViewAction(tr("Pause"), "pause", QKeySequence("Ctrl+P"), [this] {
    m_controls->send(m_history.state() == "paused" ? Command::Continue : Command::Pause);
  })->setText(tr("Pause or continue"));
  addViewAction(tr("Checkpoint now"), "save", QKeySequence("Ctrl+S"), wish(Command::Checkpoint));
  addViewAction(tr("Evaluate now"), "evaluate", QKeySequence("Ctrl+E"), wish(Command::Evaluate));
  addViewAction(tr("Sample now"), "sample", QKeySequence("Ctrl+G"), wish(Command::Sample));
  addViewAction(tr("Stop"), "stop", {}, wish(Command::Stop));
  addViewAction(tr("Resume"), "resume", {}, [this] {
    if (m_controls->resumeButton()->isVisible()) resume();
  });
  m_exchange = new RunExchange(context, this);
  connect(m_exchange, &RunExchange::said, this, &View::statusMessage);
  QAction* save = addViewAction(tr("Save the result as model or adapter…"), "export", QKeySequence("Ctrl+Shift+E"),
                                [this] { m_exchange->saveResult(m_run); });
  connect(m_save, &QPushButton::clicked, save, &QAction::trigger);
  addViewSeparator();
  addViewAction(tr("Show everything"), "chart", QKeySequence("Ctrl+0"), [this] { m_plots->fitAll(); });
  addViewAction(tr("Zoom back"), "left", QKeySequence("Alt+Left"), [this] { m_plots->zoomBack(); });
  addViewAction(tr("Zoom forward"), "right", QKeySequence("Alt+Right"), [this] { m_plots->zoomForward(); });
  addViewAction(tr("Search the log"), "log", QKeySequence("Ctrl+F"), [this] {
    m_tabs->setCurrentWidget(m_log);
    if (m_split->sizes().value(1) < 60) m_split->setSizes({3, 1});
    m_log->findChild<QWidget*>("logSearch")->setFocus();
  });
  showHeader();
}

LiveView::~LiveView() { m_feed->stop(); }

void LiveView::buildHeader(QBoxLayout* column) {
  auto* row = new QHBoxLayout;
  row->setSpacing(space::kUnit);
  m_runs = new RunChooser(&store());
  row->addWidget(m_runs);
  m_icon = new QLabel;
  m_state = new QLabel;
  m_state->setObjectName("runState");
  m_state->setAccessibleName(tr("State of the run"));
  makeHeading(m_state);
  row->addWidget(m_icon);
  row->addWidget(m_state);
  m_controls = new RunControls;
  row->addWidget(m_controls, 1);
  m_save = new QPushButton(tr("Save result…"));
  m_save->setObjectName("saveResult");
  m_save->setToolTip(withShortcut(tr("As a merged model, a PEFT adapter or a GGUF adapter"), QKeySequence("Ctrl+Shift+E")));
  m_save->hide();
  row->addWidget(m_save);
  column->addLayout(row);

  row = new QHBoxLayout;
  row->setSpacing(space::kWide);
  m_progress = new QProgressBar;
  m_progress->setObjectName("runProgress");
  m_progress->setAccessibleName(tr("Progress"));
  m_progress->setTextVisible(false);
  m_progress->setFixedHeight(6);
  m_progressText = new QLabel;
  m_progressText->setObjectName("progressText");
  m_progressText->setFont(Theme::tabular(m_progressText->font()));
  m_figures = new QLabel;
  m_figures->setObjectName("liveFigures");
  m_figures->setFont(Theme::tabular(m_figures->font()));
  m_figures->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  row->addWidget(m_progressText);
  row->addWidget(m_progress, 1);
  row->addWidget(m_figures);
  column->addLayout(row);
}

void LiveView::setRun(const QString& id) {
  if (id == m_run && m_feed->runId() == id) return;
  m_run = id;
  m_history = RunHistory();
  m_plots->setHistory(nullptr);
  m_log->sync(nullptr);
  m_samples->sync(nullptr);
  m_error->clear();
  m_liveness.reset();
  m_loaded = false;
  m_starting = false;
  m_wordsRead = false;
  m_lastWords.clear();
  m_feedProblem.clear();
  m_runs->choose(id);
  if (id.isEmpty()) {
    m_feed->stop();
    m_controls->setRun({}, {});
  } else {
    const auto folder = store().runFolder(id);
    m_controls->setRun(id, folder);
    m_feed->follow(id, folder);
  }
  showHeader();
}

void LiveView::chooseDefault() {
  if (!selection().current().isEmpty()) {
    setRun(selection().current());
  } else if (m_runs->count() > 0) {
    setRun(m_runs->itemData(0, RunChooser::IdRole).toString());  // running ones stand first
  }
}

void LiveView::onActivated() {
  m_feed->setPaused(false);
  m_clock.start();
  const auto wanted = selection().current();
  if (!wanted.isEmpty() && wanted != m_run) setRun(wanted);
  if (m_run.isEmpty() && m_runs->loaded()) chooseDefault();
}

void LiveView::onDeactivated() {
  m_feed->setPaused(true);
  m_clock.stop();
}

void LiveView::open(const QJsonObject& request) {
  const auto id = request.value("run").toString();
  if (id.isEmpty()) return;
  setRun(id);
  if (request.value("starting").toBool() && !m_loaded) {
    m_starting = true;
    m_startAsked = event::unixTime();
    showHeader();
  }
}

void LiveView::redraw() {
  m_sinceRedraw.start();
  m_plots->advance();
  m_log->sync(&m_history);
  m_samples->sync(&m_history);
  m_tabs->setTabText(1, m_samples->count() > 0 ? tr("Samples (%1)").arg(m_samples->count()) : tr("Samples"));
  m_controls->refresh(&m_history, m_liveness);
  showHeader();
  showError();
}

void LiveView::showHeader() {
  const bool dead = m_liveness && (*m_liveness == Liveness::Dead) && !m_history.ended();
  m_save->setVisible(!m_run.isEmpty() && m_loaded && (dead || m_history.ended()));
  QString state = QString::fromStdString(m_history.state());
  if (dead) state = QStringLiteral("interrupted");
  if (m_run.isEmpty()) {
    m_icon->clear();
    m_state->setText(m_runs->isEmpty() ? tr("No run yet. Start one in New run.") : QString());
    m_progress->hide();
    m_progressText->clear();
    m_figures->clear();
    return;
  }
  if (m_starting) {
    m_icon->setPixmap(iconPixmap(stateIcon("loading"), stateColour("loading"), space::kIcon, devicePixelRatioF()));
    m_state->setText(tr("Starting…"));
    m_progressText->setText(tr("The trainer is being started; its first events follow."));
    m_progress->setRange(0, 0);
    m_progress->show();
    m_figures->clear();
    return;
  }
  m_icon->setPixmap(state.isEmpty() ? QPixmap() : iconPixmap(stateIcon(state), stateColour(state), space::kIcon, devicePixelRatioF()));
  m_state->setText(state.isEmpty() ? (m_loaded ? tr("No state yet") : tr("Reading…")) : stateTitle(state));
  const int64_t total = m_history.totalSteps();
  const bool over = m_history.ended() || dead;
  m_progress->setVisible(total > 0 || !over);
  if (total > 0) {
    m_progress->setRange(0, static_cast<int>(std::min<int64_t>(total, 1 << 30)));
    m_progress->setValue(static_cast<int>(std::min(m_history.step(), total)));
  } else {
    m_progress->setRange(0, over ? 1 : 0);
  }
  QStringList place;
  if (m_history.step() > 0 || total > 0) {
    place << (total > 0 ? tr("step %1 of %2").arg(formatInteger(m_history.step()), formatInteger(total))
                        : tr("step %1").arg(formatInteger(m_history.step())));
  }
  if (m_history.epoch() > 0) place << tr("epoch %1").arg(formatNumber(m_history.epoch(), 3));
  if (!over && m_history.etaSeconds()) place << tr("%1 left").arg(formatDuration(*m_history.etaSeconds()));
  if (!over) {
    if (const auto stage = stageText(m_history); !stage.isEmpty()) place << stage;
  }
  m_progressText->setText(place.join(QStringLiteral("  ·  ")));

  QStringList figures;
  const auto add = [this, &figures](const std::string& series, const QString& title, auto format) {
    if (const auto value = m_history.last(series)) figures << QStringLiteral("%1 %2").arg(title, format(*value));
  };
  const auto plain = [](double value) { return formatNumber(value, 4); };
  add("train/loss", tr("loss"), plain);
  add("eval/loss", tr("eval"), plain);
  const std::string unit = m_history.start() ? m_history.start()->unit : kUsualUnit;
  add(speedSeries(unit), speedUnit(unit), [](double value) { return formatCompact(value); });
  add("memory/peak", tr("peak"), [](double value) { return formatBytes(value); });
  if (!m_history.clock().empty()) figures << formatDuration(m_history.clock().back().seconds);
  if (m_history.bestStep()) figures << tr("best at step %1").arg(formatInteger(*m_history.bestStep()));
  m_figures->setText(figures.join(QStringLiteral("  ·  ")));
}

void LiveView::resume() {
  if (m_run.isEmpty()) return;
  const auto started = trainer().startDetached({"resume", m_run}, "train-" + m_run.left(8));
  if (!started.ok()) {
    m_error->setError(started.error(), 0);
    return;
  }
  m_error->clear();
  m_feedProblem.clear();
  m_wordsRead = false;
  store().ingestNow();
  Q_EMIT statusMessage(tr("Resuming from the newest checkpoint."));
}

QJsonObject LiveView::saveState() const {
  QJsonArray sizes;
  for (int size : m_split->sizes()) sizes << size;
  return {{"run", m_run}, {"plots", m_plots->saveState()}, {"split", sizes}, {"tab", m_tabs->currentIndex()}};
}

void LiveView::restoreState(const QJsonObject& state) {
  m_plots->restoreState(state.value("plots").toObject());
  m_tabs->setCurrentIndex(state.value("tab").toInt());
  QList<int> sizes;
  for (const auto& size : state.value("split").toArray()) sizes << size.toInt();
  if (sizes.size() == 2 && sizes[0] > 0) m_split->setSizes(sizes);
}

}  // namespace rankscope::ui
