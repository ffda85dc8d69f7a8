#pragma once
// The newest job of one kind about one run in the queue (its spectrum, its mitigation): queues it, starts the runner that works beside the training runs, and
// follows it. The work belongs to the runner, a process of its own, so it goes on when this program ends and is found
// again at the next start; the result is written into the run's folder by rename, so that a cancelled or killed job leaves
// nothing half done. GUI thread; never waits.

#include <QObject>
#include <QString>
#include <optional>
#include <string>
#include <vector>

#include "core/store/job_types.h"

class QProgressBar;

namespace rankscope::ui {

class StoreService;
class TrainerClient;

class RunJob : public QObject {
  Q_OBJECT

 public:
  // `kind`: a sub-command of the trainer whose first argument is the run.
  RunJob(const char* kind, StoreService* store, TrainerClient* trainer, QObject* parent = nullptr);
  void follow(const QString& runId);  // from now on, that run's job
  void start(std::vector<std::string> arguments = {});  // of the run that is followed
  void cancel();

  bool active() const;                                  // asked for, waiting or running
  void showOn(QProgressBar* bar) const;                 // visible while it is active, busy until it tells a share
  const std::optional<Job>& job() const { return m_job; }  // none: never asked for, or no longer in the list

 Q_SIGNALS:
  void changed();
  void finished();  // while it was followed
  void failed(const QString& message);
  void cancelled();

 private:
  void refresh();
  void take(std::optional<Job> job);
  void startRunner();

  const char* m_kind;
  StoreService* m_store;
  TrainerClient* m_trainer;
  QString m_run;
  std::optional<Job> m_job;
  bool m_starting = false;        // the job is being written
  bool m_cancelStarting = false;  // and is to be cancelled as soon as it is there
  bool m_known = false;           // m_job is what the store says, not yet what it will say
};

}  // namespace rankscope::ui
