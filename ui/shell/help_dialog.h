#pragma once
// Help pages (resources/help, compiled in), the table of shortcuts, and what this program is made of. GUI thread only.

#include <QList>
#include <QString>

class QAction;
class QWidget;

namespace rankscope::ui {

class HelpDialog {
 public:
  static void showPage(QWidget* parent, const QString& page);
  static void showShortcuts(QWidget* parent, const QList<QAction*>& actions);
  static void showAbout(QWidget* parent);
};

}  // namespace rankscope::ui
