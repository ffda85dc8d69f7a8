#pragma once
// A notice over the lower right corner of the window: something that was going on in the background has ended. Good news
// goes away by itself (not while the pointer or the keyboard is on it), bad news stays until it is closed. One at a time:
// the newest; the queue keeps them all. GUI thread.

#include <QFrame>
#include <QTimer>

class QHBoxLayout;
class QLabel;

namespace rankscope::ui {

class Toast : public QFrame {
  Q_OBJECT

 public:
  struct Action {
    QString text;
    std::function<void()> run;
  };

  explicit Toast(QWidget* over);
  void say(const QString& state, const QString& title, const QString& text, const std::vector<Action>& actions, bool stays);
  QString text() const;

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;
  void enterEvent(QEnterEvent* event) override;
  void leaveEvent(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  void place();

  QWidget* m_over;
  QLabel *m_mark, *m_title, *m_text;
  QHBoxLayout* m_actions;
  QTimer m_leave;
  bool m_stays = false;
};

}  // namespace rankscope::ui
