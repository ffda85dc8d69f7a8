#pragma once
// The wishes one can have of a running trainer: pause or continue, checkpoint, evaluate, sample, stop; and resume for a
// run that is not running. A wish is written to the run's control.json on a worker thread; until the trainer acknowledges
// it, the line beside the buttons says what is being waited for. A button that cannot be used says why. GUI thread.

#include <QElapsedTimer>
#include <QHash>
#include <QThreadPool>
#include <QTimer>
#include <QWidget>
#include <filesystem>
#include <optional>

#include "core/runlog/control.h"
#include "core/runlog/heartbeat.h"
#include "ui/live/run_history.h"

class QLabel;
class QPushButton;

namespace rankscope::ui {

class RunControls : public QWidget {
  Q_OBJECT

 public:
  explicit RunControls(QWidget* parent = nullptr);
  void setRun(const QString& id, const std::filesystem::path& folder);
  // After every batch of events and every change of liveness.
  void refresh(const RunHistory* history, std::optional<Liveness> liveness);
  QPushButton* button(Command command) const { return m_buttons.value(static_cast<int>(command)); }
  QPushButton* resumeButton() const { return m_resume; }
  QString note() const;
  void send(Command command);
  bool waiting() const { return !m_pending.isEmpty(); }

 Q_SIGNALS:
  void resumeAsked();

 private:
  struct Pending {
    Command command = Command::Pause;
    qint64 since = 0;  // ms of m_clock
    bool written = false;
    QString id;
  };
  void showNote();
  QString reason(Command command) const;  // why it cannot be used now; empty: it can

  QString m_run, m_state, m_doing, m_lastNote;
  std::filesystem::path m_folder;
  bool m_live = false, m_ended = false, m_known = false;
  size_t m_acksSeen = 0;
  bool m_samples = true;
  QList<Pending> m_pending;
  QThreadPool m_writer;  // one thread: wishes reach the trainer in the order in which they were asked
  QElapsedTimer m_clock;
  QTimer m_tick, m_fade;
  QHash<int, QPushButton*> m_buttons;
  QPushButton* m_resume;
  QLabel* m_note;
};

}  // namespace rankscope::ui
