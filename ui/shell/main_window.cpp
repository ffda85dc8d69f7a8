#include "ui/shell/main_window.h"

#include "core/config/places.h"

#include "core/store/store.h"
#include "ui/shell/command_palette.h"
#include "ui/shell/format.h"
#include "ui/shell/job_result.h"
#include "ui/shell/queue_panel.h"
#include "ui/shell/settings.h"
#include "ui/shell/store_service.h"
#include "ui/shell/toast.h"
#include "ui/shell/trainer_client.h"
#include "ui/shell/views.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QButtonGroup>
#include <QCloseEvent>
#include <QDockWidget>
#include <QFrame>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QStackedWidget>
#include <QStatusBar>
#include <QTimer>
#include <QToolButton>

namespace rankscope::ui {

namespace {

constexpr int kRememberMs = 3000;

}  // namespace

MainWindow::MainWindow(ViewContext context, QWidget* parent) : QMainWindow(parent), m_context(context) {
  setObjectName(QStringLiteral("mainWindow"));
  setMinimumSize(1100, 700);
  m_context.undo = &m_undo;

  auto* centre = new QWidget(this);
  auto* across = new QHBoxLayout(centre);
  across->setContentsMargins(0, 0, 0, 0);
  across->setSpacing(0);
  buildNavigation();
  across->addWidget(m_navigation);
  auto* down = new QVBoxLayout;
  down->setSpacing(0);
  m_banner = new QFrame(centre);
  m_banner->setObjectName(QStringLiteral("banner"));
  auto* bannerLayout = new QHBoxLayout(m_banner);
  bannerLayout->setContentsMargins(space::kWide, space::kHalf, space::kUnit, space::kHalf);
  auto* bannerIcon = new QLabel(m_banner);
  const auto paintIcon = [bannerIcon] {
    bannerIcon->setPixmap(iconPixmap(QStringLiteral("warning"), colours().warning, space::kIcon, bannerIcon->devicePixelRatioF()));
  };
  paintIcon();
  connect(&Theme::instance(), &Theme::changed, bannerIcon, paintIcon);
  m_bannerText = new QLabel(m_banner);
  m_bannerText->setWordWrap(true);
  m_bannerText->setTextInteractionFlags(Qt::TextSelectableByMouse);
  auto* closeBanner = new QToolButton(m_banner);
  closeBanner->setIcon(icon(QStringLiteral("cancel")));
  closeBanner->setAccessibleName(tr("Close message"));
  closeBanner->setToolTip(tr("Close message"));
  connect(closeBanner, &QToolButton::clicked, m_banner, &QWidget::hide);
  bannerLayout->addWidget(bannerIcon);
  m_rebuild = new QPushButton(tr("Rebuild now"), m_banner);
  m_rebuild->setObjectName(QStringLiteral("rebuildStore"));
  m_rebuild->setToolTip(tr("Moves the damaged file aside and reads all run folders again"));
  connect(m_rebuild, &QPushButton::clicked, this, &MainWindow::rebuildStore);
  bannerLayout->addWidget(m_bannerText, 1);
  bannerLayout->addWidget(m_rebuild);
  bannerLayout->addWidget(closeBanner);
  m_banner->hide();
  m_stack = new QStackedWidget(centre);
  m_stack->setObjectName(QStringLiteral("views"));
  down->addWidget(m_banner);
  down->addWidget(m_stack, 1);
  across->addLayout(down, 1);
  setCentralWidget(centre);
  m_toast = new Toast(centre);

  buildQueue();
  buildMenus();
  buildStatusBar();
  m_palette = new CommandPalette(m_context, this);
  connect(m_palette, &CommandPalette::runChosen, this, [this](const QString& id) {
    m_context.selection->set({id});
    showView(QStringLiteral("runs"), {{QStringLiteral("run"), id}});
  });

  StoreService& store = *m_context.store;
  connect(&store, &StoreService::problem, this, [this](const QString& text) {
    m_storeHasProblem = true;
    showBanner(text);
    m_rebuild->setVisible(text.contains(QLatin1String("store rebuild")));  // what the store advises where it is damaged
    updateStoreStatus();
  });
  connect(&store, &StoreService::problemSolved, this, [this] {
    if (std::exchange(m_storeHasProblem, false)) m_banner->hide();
    updateStoreStatus();
  });
  connect(&store, &StoreService::runsChanged, this, &MainWindow::updateStoreStatus);
  connect(&store, &StoreService::liveRunsChanged, this, &MainWindow::updateRunning);
  connect(m_context.settings, &Settings::writeFailed, this, [this](const QString& text) {
    // What ails the store weighs more, and mostly has the same cause.
    if (!m_storeHasProblem) showBanner(tr("Your layout could not be saved: %1").arg(text));
  });
  restoreLayout();
  updateStoreStatus();
  // A window that is killed has said no good-bye: what it looked like is noted every few seconds, where it has changed.
  auto* remember = new QTimer(this);
  connect(remember, &QTimer::timeout, this, &MainWindow::saveLayout);
  remember->start(kRememberMs);
}

MainWindow::~MainWindow() = default;

void MainWindow::buildQueue() {
  m_queueDock = new QDockWidget(tr("Queue"), this);
  m_queueDock->setObjectName(QStringLiteral("queueDock"));
  m_queueDock->setAllowedAreas(Qt::BottomDockWidgetArea | Qt::RightDockWidgetArea);
  m_queueDock->setFeatures(QDockWidget::DockWidgetClosable | QDockWidget::DockWidgetMovable);
  m_queue = new QueuePanel(m_context, m_queueDock);
  m_queueDock->setWidget(m_queue);
  addDockWidget(Qt::BottomDockWidgetArea, m_queueDock);
  m_queueDock->hide();
  connect(m_queue, &QueuePanel::summaryChanged, this, &MainWindow::updateRunning);
  connect(m_queue, &QueuePanel::openRun, this, [this](const QString& id) {
    m_context.selection->set({id});
    showView(QStringLiteral("live"), {{QStringLiteral("run"), id}});
  });
  connect(m_queue, &QueuePanel::statusMessage, this,
          [this](const QString& text) { statusBar()->showMessage(text, kMessageMs); });
  connect(m_queue, &QueuePanel::resultAsked, this, &MainWindow::showJobResult);
  connect(m_queue, &QueuePanel::jobEnded, this, &MainWindow::tellJobEnd);
}

// Work in the background that somebody waits for: its end is told wherever one is in the program.
void MainWindow::tellJobEnd(const Job& job) {
  if (!hasResultPage(job) || job.state == JobState::Cancelled) return;
  std::vector<Toast::Action> actions{{tr("Show the result"), [this, job] { showJobResult(job); }}};
  if (const QString folder = jobFolder(job); !folder.isEmpty())
    actions.push_back({tr("Open folder"), [this, folder] {
                         openFolderOf(folder, [this](const QString& text) { statusBar()->showMessage(text, kMessageMs); });
                       }});
  m_toast->say(QLatin1String(jobStateName(job.state)), jobOutcomeTitle(job),
               jobOutcomeLine(job).replace(QStringLiteral("  ·  "), QStringLiteral("\n")), actions,
               job.state == JobState::Failed);
  if (job.spec.kind == "import" || job.spec.kind == "eval") m_context.store->ingestNow();
}

void MainWindow::showJobResult(const Job& job) {
  auto* dialog = new JobResultDialog(job, this);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &JobResultDialog::showView, this, [this](const QString& id, const QJsonObject& request) { showView(id, request); });
  connect(dialog, &JobResultDialog::statusMessage, this,
          [this](const QString& text) { statusBar()->showMessage(text, kMessageMs); });
  dialog->open();
}

void MainWindow::buildStatusBar() {
  statusBar()->setSizeGripEnabled(false);
  m_helperStatus = new QLabel(tr("Asking the helper…"), this);
  makeCaption(m_helperStatus);
  m_helperStatus->hide();
  m_runningButton = new QToolButton(this);
  m_runningButton->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
  m_runningButton->setIconSize({14, 14});
  m_runningButton->setFont(Theme::instance().smallFont());
  m_runningButton->setToolTip(withShortcut(tr("Show the queue"), m_queueDock->toggleViewAction()->shortcut()));
  connect(m_runningButton, &QToolButton::clicked, this, [this] { m_queueDock->setVisible(!m_queueDock->isVisible()); });
  m_storeStatus = new QLabel(this);
  makeCaption(m_storeStatus);
  m_storeStatus->setContentsMargins(space::kUnit, 0, space::kUnit, 0);
  statusBar()->addPermanentWidget(m_helperStatus);
  statusBar()->addPermanentWidget(m_runningButton);
  statusBar()->addPermanentWidget(m_storeStatus);
  connect(m_context.trainer, &TrainerClient::busyChanged, m_helperStatus, &QWidget::setVisible);
  updateRunning();
}

void MainWindow::updateRunning() {
  if (!m_runningButton) return;
  const qsizetype live = m_context.store->liveRuns().size();
  const QueueSummary summary = m_queue->summary();
  QStringList parts;
  if (live > 0) parts << tr("%n run(s) going", nullptr, static_cast<int>(live));
  if (summary.waiting > 0) parts << tr("%n waiting", nullptr, summary.waiting);
  const QString text = parts.isEmpty() ? tr("Nothing running") : parts.join(QStringLiteral(" · "));
  m_runningButton->setText(text);
  m_runningButton->setAccessibleName(tr("Queue: %1").arg(text));
  m_runningButton->setIcon(live > 0 ? icon(QStringLiteral("state-running"), colours().info) : icon(QStringLiteral("queue")));
}

void MainWindow::updateStoreStatus() {
  if (m_storeHasProblem) {
    m_storeStatus->setText(tr("Store not available"));
    return;
  }
  m_context.store->read(
      this, "status", [](Store& store) {
        RunQuery query;
        query.limit = 1;
        query.withMetrics = query.withSparkline = false;
        return store.listRuns(query);
      },
      [this](Result<RunPage> page) {
        if (!page.ok()) return;
        m_storeStatus->setText(tr("%n run(s)", nullptr, static_cast<int>(page->total)));
        m_storeStatus->setToolTip(tr("Store: %1").arg(QString::fromStdString(m_context.places->store.string())));
      });
}

View* MainWindow::view(const QString& id) {
  if (View* known = m_views.value(id)) return known;
  const ViewInfo* info = findView(id);
  if (!info) return nullptr;
  View* made = info->make(m_context, m_stack);
  made->setObjectName(id);
  made->setAccessibleName(viewTitle(*info));
  m_views.insert(id, made);
  m_stack->addWidget(made);
  const QJsonValue state = m_context.settings->value(QStringLiteral("view.") + id);
  if (state.isObject()) made->restoreState(state.toObject());
  connect(made, &View::showView, this, [this](const QString& to, const QJsonObject& request) { showView(to, request); });
  connect(made, &View::statusMessage, this, [this](const QString& text) { statusBar()->showMessage(text, kMessageMs); });
  return made;
}

void MainWindow::showView(const QString& id, const QJsonObject& request) {
  View* next = view(id);
  if (!next) return;
  if (id != m_current) {
    if (View* previous = m_views.value(m_current)) {
      previous->onDeactivated();
      m_context.settings->setValue(QStringLiteral("view.") + m_current, previous->saveState());
    }
    m_current = id;
    m_stack->setCurrentWidget(next);
    m_context.settings->setValue(QStringLiteral("window.view"), id);
    const ViewInfo* info = findView(id);
    setWindowTitle(tr("%1 – Rankscope").arg(viewTitle(*info)));
    m_viewMenu->setTitle(viewTitle(*info));
    for (QAbstractButton* button : m_navigationButtons->buttons())
      if (button->property("viewId").toString() == id) button->setChecked(true);
    fillViewMenu();
    next->onActivated();
    if (!next->isAncestorOf(QApplication::focusWidget())) next->setFocus(Qt::OtherFocusReason);
  }
  if (!request.isEmpty()) next->open(request);
}

void MainWindow::showBanner(const QString& message) {
  QString text = message;
  if (!text.isEmpty()) text[0] = text[0].toUpper();
  m_rebuild->hide();
  m_bannerText->setText(text);
  m_bannerText->setAccessibleName(text);
  m_banner->setVisible(!text.isEmpty());
}

// The command does the work in a process of its own; the store service opens what it made as soon as it is there.
void MainWindow::rebuildStore() {
  const auto started = m_context.trainer->startDetached({QStringLiteral("store"), QStringLiteral("rebuild")}, QStringLiteral("store-rebuild"));
  if (!started.ok()) {
    statusBar()->showMessage(QString::fromStdString(started.error().message()), kMessageMs);
    return;
  }
  m_rebuild->hide();
  m_bannerText->setText(tr("The history is being made again from the run folders. Nothing needs to be done meanwhile."));
}

void MainWindow::restoreLayout() {
  const Settings& settings = *m_context.settings;
  const QByteArray geometry = QByteArray::fromBase64(settings.string(QStringLiteral("window.geometry")).toLatin1());
  if (geometry.isEmpty() || !restoreGeometry(geometry)) resize(1440, 900);
  restoreState(QByteArray::fromBase64(settings.string(QStringLiteral("window.state")).toLatin1()));
  updateThemeActions();
  showView(settings.string(QStringLiteral("window.view"), QLatin1String(viewTable().front().id)));
  if (m_current.isEmpty()) showView(QLatin1String(viewTable().front().id));
}

void MainWindow::saveLayout() {
  Settings& settings = *m_context.settings;
  settings.setValue(QStringLiteral("window.geometry"), QString::fromLatin1(saveGeometry().toBase64()));
  settings.setValue(QStringLiteral("window.state"), QString::fromLatin1(saveState().toBase64()));
  for (auto it = m_views.cbegin(); it != m_views.cend(); ++it)
    settings.setValue(QStringLiteral("view.") + it.key(), it.value()->saveState());
}

void MainWindow::closeEvent(QCloseEvent* event) {
  if (View* current = m_views.value(m_current)) current->onDeactivated();
  saveLayout();
  m_context.settings->flush();
  event->accept();
}

}  // namespace rankscope::ui
