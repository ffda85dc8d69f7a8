// Starting, queueing, going on from another run (newrun_view.h).
#include <QMessageBox>
#include <QtConcurrent>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/runlog/run_folder.h"
#include "core/runlog/uuid.h"
#include "core/store/command_job.h"
#include "core/store/store.h"
#include "ui/newrun/consequences_panel.h"
#include "ui/newrun/newrun_view.h"
#include "ui/newrun/parent_bar.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/twin_dialog.h"
#include "ui/shell/error_text.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"

namespace rankscope::ui {

void NewRunView::failed(const QString& what, const Error& error) {
  Q_EMIT statusMessage(what + ". " + errorText(error));
  QMessageBox box(QMessageBox::Warning, what, what + ".", QMessageBox::Ok, this);
  box.setInformativeText(errorText(error));
  box.exec();
}

void NewRunView::start() {
  if (!m_draft->valid() || !m_consequences->startButton()->isEnabled()) return;
  m_consequences->setStarting(true);
  // The config is frozen in a file first: what is started is what was on screen, whatever is typed meanwhile.
  const auto id = newUuid();
  const auto file = m_places.home / "drafts" / (id + ".json");
  const auto bytes = jsonText(m_draft->config().toJson(), 2);
  QtConcurrent::run([file, bytes] { return writeFileAtomically(file, bytes); })
      .then(this, [this, id, file](const Result<void>& written) {
        if (!written.ok()) {
          m_consequences->setStarting(false);
          failed(tr("The run was not started"), written.error());
          return;
        }
        const auto run = QString::fromStdString(id);
        const auto started = trainer().startDetached(startWords(QString::fromStdString(file.string()), run), "train-" + run.left(8));
        m_consequences->setStarting(false);
        if (!started.ok()) {
          failed(tr("The run was not started"), started.error());
          return;
        }
        store().ingestNow();
        selection().set({run});
        Q_EMIT statusMessage(tr("Started."));
        Q_EMIT showView("live", {{"run", run}, {"starting", true}});
      });
}

QStringList NewRunView::startWords(const QString& file, const QString& run) const {
  const QStringList rest{"--config", file, "--id", run};
  return m_parent->runId().isEmpty() ? QStringList{"train"} + rest : QStringList{"branch", m_parent->runId()} + rest;
}

// The config waits in a file, as for a start: what is queued is what was on screen.
void NewRunView::queueBranch() {
  const auto id = newUuid();
  const auto file = m_places.home / "drafts" / (id + ".json");
  const RunConfig& config = m_draft->config();
  std::vector<std::string> words;
  for (const QString& word : startWords(QString::fromStdString(file.string()), QString::fromStdString(id)).mid(1)) words.push_back(word.toStdString());
  const JobSpec job = commandJob("branch", words, id, config.str("name").empty() ? defaultRunName(config) : config.str("name"));
  m_consequences->setStarting(true);
  store().write(
      this, {},
      [file, job, bytes = jsonText(config.toJson(), 2)](Store& s) -> Result<std::vector<Job>> {
        if (auto written = writeFileAtomically(file, bytes); !written) return written.error();
        return s.addJobs({job});
      },
      [this](Result<std::vector<Job>> added) { queued(added, 1); });
}

void NewRunView::queueRuns(const std::vector<RunConfig>& runs) {
  if (!m_parent->runId().isEmpty()) return queueBranch();
  std::vector<JobSpec> jobs;
  const auto group = runs.size() > 1 ? newUuid() : std::string();
  for (const auto& config : runs) {
    JobSpec job;
    job.kind = "train";
    job.name = config.str("name").empty() ? defaultRunName(config) : config.str("name");
    job.config = config.toJson();
    job.group = group;
    jobs.push_back(std::move(job));
  }
  const int count = static_cast<int>(jobs.size());
  m_consequences->setStarting(true);
  store().write(
      this, {}, [jobs](Store& s) { return s.addJobs(jobs); },
      [this, count](Result<std::vector<Job>> added) { queued(added, count); });
}

void NewRunView::queued(const Result<std::vector<Job>>& added, int count) {
  m_consequences->setStarting(false);
  if (!added.ok()) {
    failed(tr("Nothing was queued"), added.error());
    return;
  }
  store().announceQueue();
  const auto runner = trainer().startQueueRunner();
  if (!runner.ok()) {
    failed(tr("Queued, but the queue's runner did not start"), runner.error());
    return;
  }
  Q_EMIT statusMessage(tr("Queued %n run(s); the queue starts them one after the other.", nullptr, count));
}

void NewRunView::twins() {
  if (!m_parent->runId().isEmpty()) {
    Q_EMIT statusMessage(tr("A run that goes on from another keeps its method; start from the base model for twins."));
    return;
  }
  if (!m_draft->valid()) {
    Q_EMIT statusMessage(tr("Correct the mistakes first."));
    return;
  }
  auto* dialog = new TwinDialog(m_draft->config(), this);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &QDialog::accepted, this, [this, dialog] { queueRuns(dialog->chosen()); });
  dialog->open();
}

}  // namespace rankscope::ui
