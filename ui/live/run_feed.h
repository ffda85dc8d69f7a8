#pragma once
// Follows one run's event log and hands what is new to the GUI thread: first the whole history, built on the feed's own
// thread and moved over, then batches of new events about 16 times a second while the log grows (one stat otherwise).
// Also tells whether the trainer is alive. Objects live on the GUI thread; the thread behind is private.

#include <QObject>
#include <QThread>
#include <atomic>
#include <filesystem>
#include <memory>
#include <vector>

#include "core/runlog/events.h"
#include "core/runlog/heartbeat.h"
#include "ui/live/run_history.h"

namespace rankscope::ui {

class RunFeed : public QObject {
  Q_OBJECT

 public:
  explicit RunFeed(QObject* parent = nullptr);
  ~RunFeed() override;

  // Lets go of the run before. A folder that is not there yet is waited for: a run just started makes it.
  void follow(const QString& runId, const std::filesystem::path& folder);
  void stop();
  // While nobody looks, the log is not read; what was missed comes at once afterwards.
  void setPaused(bool paused);
  const QString& runId() const { return m_runId; }

 Q_SIGNALS:
  void loaded(std::shared_ptr<rankscope::ui::RunHistory> history);  // replaces what was there
  void arrived(std::shared_ptr<std::vector<rankscope::event::Event>> events);
  void livenessChanged(rankscope::Liveness liveness);
  void failed(const QString& message);

 private:
  struct Shared;
  static void work(RunFeed* feed, std::shared_ptr<Shared> shared, std::filesystem::path folder);

  QString m_runId;
  std::shared_ptr<Shared> m_shared;
  std::unique_ptr<QThread> m_thread;
  bool m_paused = false;
};

}  // namespace rankscope::ui
