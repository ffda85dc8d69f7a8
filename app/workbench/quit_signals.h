#pragma once
// SIGTERM, SIGINT and SIGHUP (a log-out, Ctrl+C, a closed terminal) end the program as closing its window does: layout
// saved, no crash reported at the next start. Training runs are processes of their own and go on. One object, GUI thread.

#include <QObject>
#include <QSocketNotifier>

namespace rankscope::ui {

class QuitSignals : public QObject {
  Q_OBJECT
 public:
  explicit QuitSignals(QObject* parent = nullptr);
  ~QuitSignals() override;

 Q_SIGNALS:
  void quitAsked();

 private:
  QSocketNotifier* m_notifier = nullptr;  // null: no pipe could be had, the signals end the program at once
};

}  // namespace rankscope::ui
