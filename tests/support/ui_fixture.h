#pragma once
// Everything a view needs, on a home folder of its own that vanishes with it: store, helper (fake_trainer unless told
// otherwise), settings, selection, undo, places. Also finds controls as a screen reader does, by role and name.

#include <QAccessible>
#include <QApplication>
#include <QTemporaryDir>
#include <QUndoStack>
#include <QWidget>
#include <memory>

#include "core/config/places.h"
#include "ui/shell/plurals.h"
#include "ui/shell/run_selection.h"
#include "ui/shell/settings.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"
#include "ui/shell/view.h"
#include "ui/theme/theme.h"

namespace rankscope::test {

inline QString fakeTrainer() { return QStringLiteral(RANKSCOPE_BIN_DIR "/../tests/fake_trainer"); }

struct UiFixture {
  explicit UiFixture(const QString& program = fakeTrainer()) {
    static const bool installed = [] {
      ui::installPlurals(*qApp);
      ui::Theme::instance().install(*qApp);
      return true;
    }();
    (void)installed;
    const std::filesystem::path root(home.path().toStdString());
    qputenv("RANKSCOPE_RESOURCES", RANKSCOPE_SOURCE_DIR "/resources");
    if (auto found = Places::find(root); found.ok()) places = *found;
    (void)places.ensure();
    store = std::make_unique<ui::StoreService>(places.store, places.runs);
    trainer = std::make_unique<ui::TrainerClient>(program, root);
    settings = std::make_unique<ui::Settings>(root / "workbench.json");
    context = ui::ViewContext{};
    context.store = store.get();
    context.trainer = trainer.get();
    context.settings = settings.get();
    context.selection = &selection;
    context.undo = &undo;
    context.places = &places;
  }

  QTemporaryDir home;
  Places places;
  std::unique_ptr<ui::StoreService> store;
  std::unique_ptr<ui::TrainerClient> trainer;
  std::unique_ptr<ui::Settings> settings;
  ui::RunSelection selection;
  QUndoStack undo;
  ui::ViewContext context;
};

// The first visible control with this role and name below `root`, or null.
inline QAccessibleInterface* accessible(QAccessibleInterface* at, QAccessible::Role role, const QString& name) {
  if (!at) return nullptr;
  if (at->role() == role && at->text(QAccessible::Name) == name && !at->state().invisible) return at;
  for (int i = 0; i < at->childCount(); ++i) {
    if (auto* found = accessible(at->child(i), role, name)) return found;
  }
  return nullptr;
}
inline QAccessibleInterface* accessible(QWidget* root, QAccessible::Role role, const QString& name) {
  return accessible(QAccessible::queryAccessibleInterface(root), role, name);
}

// Visible controls that take the focus but have no name: must be none.
inline QStringList unnamedControls(QWidget* root) {
  QStringList found;
  for (auto* widget : root->findChildren<QWidget*>()) {
    if (!widget->isVisibleTo(root) || widget->focusPolicy() == Qt::NoFocus || widget->focusProxy()) continue;
    const QString type = QString::fromLatin1(widget->metaObject()->className());
    if (type == "QScrollArea" || type.contains("Header") || type == "QSplitterHandle" || type == "QTabBar" ||
        type == "QComboBoxPrivateContainer" || type == "QTabWidget" || widget->objectName().startsWith("qt_")) {
      continue;
    }
    auto* face = QAccessible::queryAccessibleInterface(widget);
    if (!face || face->text(QAccessible::Name).isEmpty()) found << type + "#" + widget->objectName();
  }
  return found;
}

}  // namespace rankscope::test
