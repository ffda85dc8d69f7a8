#include "ui/library/run_exchange.h"

#include "core/store/store.h"
#include "ui/library/evaluate_dialog.h"
#include "ui/library/import_dialog.h"
#include "ui/library/output_dialog.h"
#include "ui/shell/queue_model.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"

namespace rankscope::ui {

namespace {

// Those that are still there: step, and whether it is the best.
Result<std::vector<std::pair<qint64, bool>>> presentCheckpoints(Store& store, const std::string& id) {
  const Result<std::vector<CheckpointRow>> all = store.checkpoints(id);
  if (!all) return all.error();
  std::vector<std::pair<qint64, bool>> present;
  for (const CheckpointRow& each : *all)
    if (each.present) present.emplace_back(each.step, each.best);
  return present;
}

}  // namespace

RunExchange::RunExchange(ViewContext& context, QWidget* window) : QObject(window), m_context(context), m_window(window) {}

// A subject is what a dialog has to know of a run: `fill` reads what is its own.
template <typename Subject, typename Fill, typename Show>
void RunExchange::readAnd(const QString& runId, const char* slot, Fill fill, Show show) {
  if (runId.isEmpty()) return;
  m_context.store->read(
      this, slot,
      [id = runId.toStdString(), fill](Store& store) -> Result<Subject> {
        const Result<RunRow> row = store.run(id);
        if (!row) return row.error();
        auto checkpoints = presentCheckpoints(store, id);
        if (!checkpoints) return checkpoints.error();
        Subject subject;
        subject.runId = QString::fromStdString(row->id);
        subject.name = QString::fromStdString(row->name);
        subject.checkpoints = std::move(*checkpoints);
        if (const Result<void> filled = fill(store, *row, &subject); !filled) return filled.error();
        return subject;
      },
      [this, show](Result<Subject> subject) {
        if (subject.ok())
          show(std::move(*subject));
        else
          Q_EMIT said(QString::fromStdString(subject.error().message()));
      });
}

// What is wished for in the dialog becomes a job.
template <typename Dialog, typename Wish>
void RunExchange::ask(Dialog* dialog, JobSpec (*job)(const Wish&, const std::string&)) {
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &QDialog::accepted, this, [this, dialog, job] { queue(job(dialog->wish(), TrainerClient::kAsideSlot)); });
  dialog->open();
}

void RunExchange::saveResult(const QString& runId, OutputKind kind) {
  readAnd<OutputSubject>(
      runId, "output",
      [](Store&, const RunRow& row, OutputSubject* subject) -> Result<void> {
        subject->method = QString::fromStdString(row.method);
        subject->parameters = static_cast<double>(row.parameters);
        subject->trainable = static_cast<double>(row.trainable);
        return {};
      },
      [this, kind](OutputSubject subject) {
        ask(new OutputDialog(std::move(subject), kind, *m_context.places, *m_context.settings, m_window), outputJob);
      });
}

void RunExchange::importAdapter(const QString& adapter) {
  ask(new ImportDialog(*m_context.trainer, adapter, m_window), importJob);
}

void RunExchange::evaluate(const QString& runId) {
  readAnd<EvaluateSubject>(
      runId, "evaluate",
      [](Store& store, const RunRow& row, EvaluateSubject* subject) -> Result<void> {
        const Result<nlohmann::json> document = store.runConfig(row.id);
        if (!document) return document.error();
        Result<RunConfig> config = RunConfig::parse(*document);
        if (!config) return config.error();
        subject->config = std::move(*config);
        return {};
      },
      [this](EvaluateSubject subject) { ask(new EvaluateDialog(std::move(subject), *m_context.trainer, m_window), evaluateJob); });
}

void RunExchange::queue(const JobSpec& job) {
  m_context.store->write(
      this, {}, [job](Store& store) { return store.addJob(job); },
      [this, title = jobKindTitle(QString::fromStdString(job.kind))](Result<Job> added) {
        if (!added.ok()) {
          Q_EMIT said(QString::fromStdString(added.error().message()));
          return;
        }
        m_context.store->announceQueue();
        const auto started = m_context.trainer->startAsideRunner();
        Q_EMIT said(started.ok() ? tr("%1: it works in the background; the queue shows how far it is").arg(title)
                                 : QString::fromStdString(started.error().message()));
        Q_EMIT queued();
      });
}

}  // namespace rankscope::ui
