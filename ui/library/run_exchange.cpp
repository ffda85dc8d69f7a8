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

void RunExchange::saveResult(const QString& runId, OutputKind kind) {
  if (runId.isEmpty()) return;
  m_context.store->read(
      this, "output",
      [id = runId.toStdString()](Store& store) -> Result<OutputSubject> {
        const Result<RunRow> row = store.run(id);
        if (!row) return row.error();
        OutputSubject subject;
        subject.runId = QString::fromStdString(row->id);
        subject.name = QString::fromStdString(row->name);
        subject.method = QString::fromStdString(row->method);
        subject.parameters = static_cast<double>(row->parameters);
        subject.trainable = static_cast<double>(row->trainable);
        auto checkpoints = presentCheckpoints(store, id);
        if (!checkpoints) return checkpoints.error();
        subject.checkpoints = std::move(*checkpoints);
        return subject;
      },
      [this, kind](Result<OutputSubject> subject) {
        if (!subject.ok()) {
          Q_EMIT said(QString::fromStdString(subject.error().message()));
          return;
        }
        auto* dialog = new OutputDialog(*subject, kind, *m_context.places, *m_context.settings, m_window);
        dialog->setAttribute(Qt::WA_DeleteOnClose);
        connect(dialog, &QDialog::accepted, this,
                [this, dialog] { queue(outputJob(dialog->wish(), TrainerClient::kAsideSlot)); });
        dialog->open();
      });
}

void RunExchange::importAdapter(const QString& adapter) {
  auto* dialog = new ImportDialog(*m_context.trainer, adapter, m_window);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  connect(dialog, &QDialog::accepted, this,
          [this, dialog] { queue(importJob(dialog->wish(), TrainerClient::kAsideSlot)); });
  dialog->open();
}

void RunExchange::evaluate(const QString& runId) {
  if (runId.isEmpty()) return;
  m_context.store->read(
      this, "evaluate",
      [id = runId.toStdString()](Store& store) -> Result<EvaluateSubject> {
        const Result<RunRow> row = store.run(id);
        if (!row) return row.error();
        const Result<nlohmann::json> document = store.runConfig(id);
        if (!document) return document.error();
        Result<RunConfig> config = RunConfig::parse(*document);
        if (!config) return config.error();
        auto checkpoints = presentCheckpoints(store, id);
        if (!checkpoints) return checkpoints.error();
        return EvaluateSubject{QString::fromStdString(row->id), QString::fromStdString(row->name), std::move(*config),
                               std::move(*checkpoints)};
      },
      [this](Result<EvaluateSubject> subject) {
        if (!subject.ok()) {
          Q_EMIT said(QString::fromStdString(subject.error().message()));
          return;
        }
        auto* dialog = new EvaluateDialog(std::move(*subject), *m_context.trainer, m_window);
        dialog->setAttribute(Qt::WA_DeleteOnClose);
        connect(dialog, &QDialog::accepted, this,
                [this, dialog] { queue(evaluateJob(dialog->wish(), TrainerClient::kAsideSlot)); });
        dialog->open();
      });
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
