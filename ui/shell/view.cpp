#include "ui/shell/view.h"

#include "ui/theme/theme.h"

namespace rankscope::ui {

QString withShortcut(const QString& text, const QKeySequence& shortcut) {
  if (shortcut.isEmpty()) return text;
  return QStringLiteral("%1 (%2)").arg(text, shortcut.toString(QKeySequence::NativeText));
}

QAction* View::addViewAction(const QString& text, const QString& iconName, const QKeySequence& shortcut,
                             std::function<void()> run) {
  auto* action = new QAction(text, this);
  if (!iconName.isEmpty()) action->setIcon(icon(iconName));
  QString plain = text;
  plain.remove(QLatin1Char('&'));
  action->setToolTip(withShortcut(plain, shortcut));
  if (!shortcut.isEmpty()) {
    action->setShortcut(shortcut);
    action->setShortcutContext(Qt::WidgetWithChildrenShortcut);
  }
  connect(action, &QAction::triggered, this, [run = std::move(run)] { run(); });
  addAction(action);
  m_actions.push_back(action);
  return action;
}

}  // namespace rankscope::ui
