#pragma once
// The program's window: navigation, menus and shortcuts made from the table of views, the status bar, the queue's dock, the
// command palette, undo, and what is remembered between starts. It knows no view by name. Owns the views and the undo
// stack; the services belong to whoever made the context and must outlive it.

#include "ui/shell/view.h"

#include <QHash>
#include <QMainWindow>
#include <QUndoStack>

class QButtonGroup;
class QDockWidget;
class QFrame;
class QLabel;
class QPushButton;
class QStackedWidget;
class QToolButton;

namespace rankscope {
struct Job;
}

namespace rankscope::ui {

class CommandPalette;
class QueuePanel;
class Toast;
struct ViewInfo;

class MainWindow : public QMainWindow {
  Q_OBJECT
 public:
  explicit MainWindow(ViewContext context, QWidget* parent = nullptr);
  ~MainWindow() override;

  void showView(const QString& id, const QJsonObject& request = {});
  QString currentViewId() const { return m_current; }
  View* view(const QString& id);  // made when it is not there yet; none for an unknown id
  // A line under the menus that stays until it is closed or replaced: problems of the store, the end of a crash.
  void showBanner(const QString& message);
  QueuePanel* queuePanel() const { return m_queue; }

  // Everything that can be done now, for the command palette: the window's actions and the current view's.
  QList<QAction*> allActions() const;

 protected:
  void closeEvent(QCloseEvent* event) override;

  static constexpr int kMessageMs = 6000;  // how long a line stays in the status bar

 private:
  // main_window_menus.cpp
  void buildNavigation();
  void buildMenus();
  QAction* addAction(const QString& text, const QString& iconName, const QKeySequence& shortcut,
                     std::function<void()> run);
  void fillViewMenu();
  void setTheme(int mode);
  void updateThemeActions();
  // main_window.cpp
  void buildStatusBar();
  void buildQueue();
  void updateRunning();
  void updateStoreStatus();
  void rebuildStore();
  void tellJobEnd(const Job& job);
  void showJobResult(const Job& job);
  void saveLayout();
  void restoreLayout();

  ViewContext m_context;
  QUndoStack m_undo;
  QHash<QString, View*> m_views;
  QString m_current;
  QList<QAction*> m_actions;
  QList<QAction*> m_viewActions;
  QList<QAction*> m_themeActions;

  QFrame* m_navigation = nullptr;
  QButtonGroup* m_navigationButtons = nullptr;
  QStackedWidget* m_stack = nullptr;
  QFrame* m_banner = nullptr;
  QLabel* m_bannerText = nullptr;
  QPushButton* m_rebuild = nullptr;
  QMenu* m_viewMenu = nullptr;
  QDockWidget* m_queueDock = nullptr;
  QueuePanel* m_queue = nullptr;
  QToolButton* m_runningButton = nullptr;
  QLabel* m_storeStatus = nullptr;
  QLabel* m_helperStatus = nullptr;
  CommandPalette* m_palette = nullptr;
  Toast* m_toast = nullptr;
  bool m_storeHasProblem = false;
};

}  // namespace rankscope::ui
