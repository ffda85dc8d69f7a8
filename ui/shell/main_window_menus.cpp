// The window's navigation, menus and actions, made from the table of views (main_window.h).
#include "core/config/places.h"
#include "ui/shell/command_palette.h"
#include "ui/shell/help_dialog.h"
#include "ui/shell/main_window.h"
#include "ui/shell/settings.h"
#include "ui/shell/store_service.h"
#include "ui/shell/views.h"
#include "ui/theme/theme.h"

#include <QActionGroup>
#include <QButtonGroup>
#include <QDesktopServices>
#include <QDockWidget>
#include <QFrame>
#include <QMenuBar>
#include <QStatusBar>
#include <QToolButton>
#include <QUrl>
#include <QVBoxLayout>

namespace rankscope::ui {

namespace {

constexpr int kNavigationWidth = 76;

}  // namespace

void MainWindow::buildNavigation() {
  m_navigation = new QFrame(this);
  m_navigation->setObjectName(QStringLiteral("navigation"));
  m_navigation->setAccessibleName(tr("Views"));
  m_navigation->setFixedWidth(space::scaled(kNavigationWidth));
  auto* layout = new QVBoxLayout(m_navigation);
  layout->setContentsMargins(0, space::kUnit, 0, space::kUnit);
  layout->setSpacing(2);
  m_navigationButtons = new QButtonGroup(this);
  m_navigationButtons->setExclusive(true);
  int number = 0;
  for (const ViewInfo& info : viewTable()) {
    const QString id = QLatin1String(info.id);
    const QKeySequence shortcut(QStringLiteral("Ctrl+%1").arg(++number));
    auto* button = new QToolButton(m_navigation);
    button->setText(viewTitle(info));
    button->setIcon(icon(QLatin1String(info.icon)));
    button->setIconSize({20, 20});
    button->setToolButtonStyle(Qt::ToolButtonTextUnderIcon);
    button->setCheckable(true);
    button->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    button->setFont(Theme::instance().smallFont());
    button->setToolTip(withShortcut(viewQuestion(info), shortcut));
    button->setAccessibleName(viewTitle(info));
    button->setAccessibleDescription(viewQuestion(info));
    button->setProperty("viewId", id);
    m_navigationButtons->addButton(button);
    connect(button, &QToolButton::clicked, this, [this, id] { showView(id); });
    layout->addWidget(button);
    QAction* action = addAction(tr("Go to %1").arg(viewTitle(info)), QLatin1String(info.icon), shortcut, [this, id] { showView(id); });
    m_viewActions.push_back(action);
  }
  layout->addStretch(1);
}

QAction* MainWindow::addAction(const QString& text, const QString& iconName, const QKeySequence& shortcut,
                               std::function<void()> run) {
  auto* action = new QAction(text, this);
  if (!iconName.isEmpty()) action->setIcon(icon(iconName));
  if (!shortcut.isEmpty()) action->setShortcut(shortcut);
  connect(action, &QAction::triggered, this, [run = std::move(run)] { run(); });
  QWidget::addAction(action);
  m_actions.push_back(action);
  return action;
}

void MainWindow::buildMenus() {
  QMenu* program = menuBar()->addMenu(tr("&Rankscope"));
  program->addAction(addAction(tr("Command palette…"), QStringLiteral("search"), QKeySequence(QStringLiteral("Ctrl+K")),
                               [this] { m_palette->popUp(allActions()); }));
  program->addAction(addAction(tr("New run"), QStringLiteral("view-newrun"), QKeySequence::New,
                               [this] { showView(QStringLiteral("newrun")); }));
  program->addAction(addAction(tr("Look for new runs"), QStringLiteral("retry"), QKeySequence(QStringLiteral("Ctrl+R")), [this] {
    m_context.store->ingestNow();
    statusBar()->showMessage(tr("Looking through the run folders"), kMessageMs);
  }));
  program->addAction(addAction(tr("Open the data folder"), QStringLiteral("folder"), {}, [this] {
    QDesktopServices::openUrl(QUrl::fromLocalFile(QString::fromStdString(m_context.places->home.string())));
  }));
  program->addSeparator();
  QAction* quit = addAction(tr("Quit"), {}, QKeySequence::Quit, [this] { close(); });
  quit->setStatusTip(tr("Training runs go on without this window."));
  program->addAction(quit);

  QMenu* edit = menuBar()->addMenu(tr("&Edit"));
  QAction* undo = m_undo.createUndoAction(this, tr("Undo"));
  undo->setShortcut(QKeySequence::Undo);
  undo->setIcon(icon(QStringLiteral("undo")));
  QAction* redo = m_undo.createRedoAction(this, tr("Redo"));
  redo->setShortcuts({QKeySequence(QStringLiteral("Ctrl+Shift+Z")), QKeySequence(QStringLiteral("Ctrl+Y"))});
  redo->setIcon(icon(QStringLiteral("redo")));
  edit->addActions({undo, redo});
  m_actions << undo << redo;

  QMenu* show = menuBar()->addMenu(tr("&View"));
  show->addActions(m_viewActions);
  show->addSeparator();
  QAction* queue = m_queueDock->toggleViewAction();
  queue->setText(tr("Queue"));
  queue->setIcon(icon(QStringLiteral("queue")));
  queue->setShortcut(QKeySequence(QStringLiteral("Ctrl+Shift+Q")));
  show->addAction(queue);
  m_actions << queue;
  show->addSeparator();
  QMenu* theme = show->addMenu(icon(QStringLiteral("theme")), tr("Theme"));
  auto* group = new QActionGroup(this);
  const QStringList names = {tr("Like the system"), tr("Light"), tr("Dark")};
  for (int mode = 0; mode < names.size(); ++mode) {
    QAction* action = addAction(tr("Theme: %1").arg(names[mode]), {}, {}, [this, mode] { setTheme(mode); });
    action->setCheckable(true);
    group->addAction(action);
    theme->addAction(action);
    m_themeActions << action;
  }
  show->addAction(addAction(tr("Switch between light and dark"), QStringLiteral("theme"),
                            QKeySequence(QStringLiteral("Ctrl+Shift+L")),
                            [this] { setTheme(static_cast<int>(Theme::instance().dark() ? ThemeMode::Light : ThemeMode::Dark)); }));
  QAction* full = addAction(tr("Full screen"), QStringLiteral("window"), QKeySequence(Qt::Key_F11),
                            [this] { setWindowState(windowState() ^ Qt::WindowFullScreen); });
  show->addAction(full);

  m_viewMenu = menuBar()->addMenu(QString());
  connect(m_viewMenu, &QMenu::aboutToShow, this, &MainWindow::fillViewMenu);

  QMenu* help = menuBar()->addMenu(tr("&Help"));
  help->addAction(addAction(tr("About this view"), QStringLiteral("help"), QKeySequence::HelpContents, [this] {
    if (const ViewInfo* info = findView(m_current)) HelpDialog::showPage(this, QLatin1String(info->help));
  }));
  help->addAction(addAction(tr("Keyboard shortcuts"), {}, QKeySequence(QStringLiteral("Ctrl+F1")),
                            [this] { HelpDialog::showShortcuts(this, allActions()); }));
  help->addSeparator();
  help->addAction(addAction(tr("About Rankscope"), QStringLiteral("info"), {}, [this] { HelpDialog::showAbout(this); }));
}

void MainWindow::fillViewMenu() {
  m_viewMenu->clear();
  const View* current = m_views.value(m_current);
  if (!current) return;
  for (QAction* action : current->viewActions()) {
    if (action)
      m_viewMenu->addAction(action);
    else
      m_viewMenu->addSeparator();
  }
  m_viewMenu->menuAction()->setVisible(!m_viewMenu->isEmpty());
}

QList<QAction*> MainWindow::allActions() const {
  QList<QAction*> all = m_actions;
  if (const View* current = m_views.value(m_current))
    for (QAction* action : current->viewActions())
      if (action) all.push_back(action);
  return all;
}

void MainWindow::setTheme(int mode) {
  Theme::instance().setMode(static_cast<ThemeMode>(mode));
  m_context.settings->setValue(QStringLiteral("theme"), mode);
  updateThemeActions();
}

void MainWindow::updateThemeActions() {
  m_themeActions[static_cast<int>(Theme::instance().mode())]->setChecked(true);
}

}  // namespace rankscope::ui
