#pragma once
// One page of the main window. A view is made on first activation, gets its services through ViewContext, and never
// reads a file, the store or a process itself: it asks StoreService or TrainerClient and is called back on the GUI
// thread. To add a view, derive from View and name it in views.cpp.

#include "ui/shell/run_selection.h"

#include <QAction>
#include <QIcon>
#include <QJsonObject>
#include <QKeySequence>
#include <QWidget>

#include <functional>
#include <string>
#include <vector>

class QUndoStack;

namespace rankscope {
struct Places;
}

namespace rankscope::ui {

class Settings;
class StoreService;
class TrainerClient;

// The services of the program; owned by the main window (or a test) and valid as long as any view lives.
struct ViewContext {
  const Places* places = nullptr;
  StoreService* store = nullptr;
  TrainerClient* trainer = nullptr;
  Settings* settings = nullptr;
  RunSelection* selection = nullptr;
  QUndoStack* undo = nullptr;
};

class View : public QWidget {
  Q_OBJECT
 public:
  explicit View(ViewContext& context, QWidget* parent = nullptr) : QWidget(parent), m_context(context) {}

  // Actions of this view, in menu order: they appear in the "View's own" menu and in the command palette while the view
  // is current. A null pointer is a separator. Give each a text, and a shortcut and icon where it has one; the view adds
  // them to itself so that shortcuts work (addViewAction does all of it).
  const QList<QAction*>& viewActions() const { return m_actions; }

  // Called each time the view becomes current, and when it stops being so (then stop timers, drop large data).
  virtual void onActivated() {}
  virtual void onDeactivated() {}
  // Another view asks this one to show something: e.g. {"preset":"…"}, {"config":{…}}, {"run":"<id>"}, {"runs":[…]}.
  virtual void open(const QJsonObject& request) { Q_UNUSED(request); }
  // What is remembered between starts (splitters, columns, filters, zooms, drafts); kept under "view.<id>".
  virtual QJsonObject saveState() const { return {}; }
  virtual void restoreState(const QJsonObject& state) { Q_UNUSED(state); }

 Q_SIGNALS:
  // Switch to another view ("runs", "newrun", "live", "compare", "spectrum") and hand it a request.
  void showView(const QString& viewId, const QJsonObject& request);
  // A short line in the status bar; goes away after a few seconds.
  void statusMessage(const QString& text);

 protected:
  ViewContext& context() const { return m_context; }
  const Places& places() const { return *m_context.places; }
  StoreService& store() const { return *m_context.store; }
  TrainerClient& trainer() const { return *m_context.trainer; }
  Settings& settings() const { return *m_context.settings; }
  RunSelection& selection() const { return *m_context.selection; }

  // Makes an action of this view: registered for menu and palette, its shortcut working inside the view and shown in its
  // tool tip.
  QAction* addViewAction(const QString& text, const QString& iconName, const QKeySequence& shortcut,
                         std::function<void()> run);
  void addViewSeparator() { m_actions.push_back(nullptr); }

 private:
  ViewContext& m_context;
  QList<QAction*> m_actions;
};

// "Text (Ctrl+K)": the tool tip of an action or button that has a shortcut.
QString withShortcut(const QString& text, const QKeySequence& shortcut);

}  // namespace rankscope::ui
