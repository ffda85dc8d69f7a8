#include "ui/spectrum/run_job.h"

#include <QProgressBar>
#include <algorithm>

#include "core/store/command_job.h"
#include "core/store/store.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"

namespace rankscope::ui {
namespace {

bool waitsOrRuns(const Job& job) {
  return job.state == JobState::Queued || job.state == JobState::Held || job.state == JobState::Running;
}

}  // namespace

RunJob::RunJob(const char* kind, StoreService* store, TrainerClient* trainer, QObject* parent)
    : QObject(parent), m_kind(kind), m_store(store), m_trainer(trainer) {
  connect(m_store, &StoreService::queueChanged, this, &RunJob::refresh);
}

void RunJob::follow(const QString& runId) {
  if (runId == m_run) return;
  m_run = runId;
  m_job.reset();
  m_known = m_starting = m_cancelStarting = false;
  refresh();
}

bool RunJob::active() const { return m_starting || (m_job && waitsOrRuns(*m_job)); }

void RunJob::showOn(QProgressBar* bar) const {
  const double share = m_job ? m_job->progress : -1;
  bar->setRange(0, share >= 0 ? 1000 : 0);
  bar->setValue(static_cast<int>(std::max(0.0, share) * 1000));
  bar->setVisible(active());
}

void RunJob::start(std::vector<std::string> arguments) {
  if (m_run.isEmpty() || active()) return;
  m_starting = true;
  m_cancelStarting = false;
  m_store->write(
      this, {},
      [kind = m_kind, run = m_run.toStdString(), given = std::move(arguments)](Store& store) -> Result<Job> {
        std::vector<std::string> words{run};
        words.insert(words.end(), given.begin(), given.end());
        JobSpec spec = commandJob(kind, std::move(words), run, {}, TrainerClient::kAsideSlot);
        if (const auto row = store.run(run); row.ok()) spec.name = row->name;
        return store.addJob(spec);
      },
      [this, run = m_run](Result<Job> added) {
        if (run != m_run) {
          if (added.ok()) startRunner();
          return;
        }
        m_starting = false;
        if (!added.ok()) {
          Q_EMIT failed(QString::fromStdString(added.error().message()));
          return;
        }
        m_job = std::move(*added);
        m_known = true;
        if (std::exchange(m_cancelStarting, false)) {
          cancel();
          return;
        }
        startRunner();
        Q_EMIT changed();
      });
  Q_EMIT changed();
}

void RunJob::startRunner() {
  if (const auto started = m_trainer->startAsideRunner(); !started.ok())
    Q_EMIT failed(QString::fromStdString(started.error().message()));
}

void RunJob::cancel() {
  if (m_starting) {
    m_cancelStarting = true;
    return;
  }
  if (!m_job || !waitsOrRuns(*m_job)) return;
  m_store->write(
      this, {}, [id = m_job->id](Store& store) { return store.cancelJob(id); },
      [this](Result<void> done) {
        if (!done.ok()) Q_EMIT failed(QString::fromStdString(done.error().message()));
        refresh();
      });
}

void RunJob::refresh() {
  if (m_run.isEmpty()) return;
  m_store->read(
      this, "job",
      [kind = m_kind, run = m_run.toStdString()](Store& store) -> Result<std::optional<Job>> {
        const auto jobs = store.listJobs(true);
        if (!jobs.ok()) return jobs.error();
        std::optional<Job> newest;
        for (const Job& job : *jobs)
          if (job.spec.kind == kind && job.spec.runId == run && (!newest || job.id > newest->id)) newest = job;
        return newest;
      },
      [this](Result<std::optional<Job>> job) {
        if (job.ok()) take(std::move(*job));
      });
}

void RunJob::take(std::optional<Job> job) {
  const bool followed = m_known && m_job && job && m_job->id == job->id;
  const bool wasActive = followed && waitsOrRuns(*m_job);
  const bool first = !std::exchange(m_known, true);
  m_job = std::move(job);
  // A job that was left by an earlier session and has no runner any more finds one again.
  if (first && m_job && (m_job->state == JobState::Queued || m_job->state == JobState::Running)) startRunner();
  if (wasActive && m_job->state == JobState::Done) Q_EMIT finished();
  if (wasActive && m_job->state == JobState::Cancelled) Q_EMIT cancelled();
  if (m_job && m_job->state == JobState::Failed && (wasActive || first))
    Q_EMIT failed(QString::fromStdString(m_job->error ? m_job->error->message() : std::string("The job failed.")));
  Q_EMIT changed();
}

}  // namespace rankscope::ui
