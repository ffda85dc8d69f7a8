#pragma once
// Ctrl+K: everything that can be done, every view and every run, found by typing a few letters in any order of words.
// Runs are asked of the store as the user types (newest wins). A child of the main window; GUI thread only.

#include "ui/shell/view.h"

#include <QFrame>
#include <QPointer>

class QLineEdit;
class QListWidget;

namespace rankscope::ui {

class CommandPalette : public QFrame {
  Q_OBJECT
 public:
  CommandPalette(ViewContext& context, QWidget* window);
  void popUp(const QList<QAction*>& actions);

  // How well `text` answers the typed words: 0 = not at all. Words may stand anywhere; beginnings of words count more.
  static int score(const QString& typed, const QString& text);

 Q_SIGNALS:
  void runChosen(const QString& id);

 protected:
  bool eventFilter(QObject* object, QEvent* event) override;

 private:
  struct Entry {
    QString title, hint, iconName, runId;
    QPointer<QAction> action;
    int score = 0;
  };
  void refresh();
  void show(const std::vector<Entry>& entries);
  void accept();
  void dismiss();

  ViewContext& m_context;
  QLineEdit* m_input;
  QListWidget* m_list;
  QList<QPointer<QAction>> m_actions;
  std::vector<Entry> m_matches, m_runs;
  QPointer<QWidget> m_focusBefore;
};

}  // namespace rankscope::ui
