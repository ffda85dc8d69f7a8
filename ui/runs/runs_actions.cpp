// What can be done with runs: actions with undo (runs_view.h).
#include "core/store/command_job.h"
#include "core/store/store.h"
#include "ui/library/run_exchange.h"
#include "ui/runs/details_panel.h"
#include "ui/runs/filter_box.h"
#include "ui/runs/run_table.h"
#include "ui/runs/runs_view.h"
#include "ui/runs/tag_dialog.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QClipboard>
#include <QColorDialog>
#include <QDesktopServices>
#include <QInputDialog>
#include <QJsonArray>
#include <QJsonDocument>
#include <QMenu>
#include <QMessageBox>
#include <QPushButton>
#include <QUrl>

namespace rankscope::ui {

EditContext RunsView::edits() {
  return {&store(), context().undo, [this](const QString& text) { Q_EMIT statusMessage(text); }};
}

void RunsView::withSelected(const std::function<void(const QStringList&)>& run) {
  if (const QStringList ids = selection().ids(); !ids.isEmpty()) run(ids);
}

void RunsView::buildActions() {
  const auto go = [this](const QString& view) {
    return [this, view] {
      withSelected([this, view](const QStringList& ids) {
        Q_EMIT showView(view, {{QStringLiteral("run"), ids.first()}, {QStringLiteral("runs"), QJsonArray::fromStringList(ids)}});
      });
    };
  };
  addViewAction(tr("Filter…"), QStringLiteral("filter"), QKeySequence::Find, [this] { m_filter->focusInput(); });
  addViewSeparator();
  m_live = addViewAction(tr("Watch in Live"), QStringLiteral("view-live"), {}, go(QStringLiteral("live")));
  m_compare = addViewAction(tr("Compare"), QStringLiteral("view-compare"), QKeySequence(QStringLiteral("Ctrl+Return")), go(QStringLiteral("compare")));
  m_spectrum = addViewAction(tr("Show the spectrum"), QStringLiteral("view-spectrum"), {}, go(QStringLiteral("spectrum")));
  m_again = addViewAction(tr("New run like this…"), QStringLiteral("view-newrun"), {}, [this] { newFrom(selection().current(), false); });
  m_goOn = addViewAction(tr("New run that goes on from this one…"), QStringLiteral("branch"), {}, [this] { newFrom(selection().current(), true); });
  m_resume = addViewAction(tr("Resume"), QStringLiteral("resume"), {}, [this] { resume(selection().current()); });
  m_exchange = new RunExchange(context(), this);
  connect(m_exchange, &RunExchange::said, this, &View::statusMessage);
  m_evaluate = addViewAction(tr("Evaluate…"), QStringLiteral("evaluate"), QKeySequence(Qt::Key_E), [this] { m_exchange->evaluate(selection().current()); });
  m_save = addViewAction(tr("Save the result as model or adapter…"), QStringLiteral("export"), QKeySequence(QStringLiteral("Ctrl+Shift+E")),
                         [this] { m_exchange->saveResult(selection().current()); });
  addViewAction(tr("Import an adapter…"), QStringLiteral("import"), QKeySequence(QStringLiteral("Ctrl+I")), [this] { m_exchange->importAdapter(); });
  addViewSeparator();
  m_star = addViewAction(tr("Star or unstar"), QStringLiteral("star"), QKeySequence(Qt::Key_S), [this] {
    withSelected([this](const QStringList& ids) {
      const int row = m_model->rowOfLoaded(ids.first());
      const RunRow* first = row < 0 ? nullptr : m_model->rowAt(row);
      editStarred(edits(), ids, !(first && first->starred));
    });
  });
  m_tag = addViewAction(tr("Edit tags…"), QStringLiteral("tag"), QKeySequence(Qt::Key_T), [this] { editTagsOfSelected(); });
  m_note = addViewAction(tr("Write a note"), QStringLiteral("note"), QKeySequence(Qt::Key_N), [this] {
    m_detailsAction->setChecked(true);
    m_details->focusNote();
  });
  m_rename = addViewAction(tr("Rename…"), QStringLiteral("edit"), QKeySequence(Qt::Key_F2), [this] { renameSelected(); });
  m_colour = addViewAction(tr("Colour…"), QStringLiteral("palette"), {}, [this] { chooseColour(); });
  m_baseline = addViewAction(tr("Compare numbers with this run"), QStringLiteral("diff"), QKeySequence(Qt::Key_B), [this] { toggleBaseline(); });
  m_archive = addViewAction(tr("Archive or bring back"), QStringLiteral("archive"), QKeySequence(Qt::Key_A), [this] {
    withSelected([this](const QStringList& ids) {
      const int row = m_model->rowOfLoaded(ids.first());
      const RunRow* first = row < 0 ? nullptr : m_model->rowAt(row);
      editArchived(edits(), ids, !(first && first->archived));
    });
  });
  m_delete = addViewAction(tr("Delete"), QStringLiteral("delete"), QKeySequence::Delete, [this] { deleteSelected(); });
  m_restore = addViewAction(tr("Bring back from the trash"), QStringLiteral("undo"), {}, [this] {
    withSelected([this](const QStringList& ids) {
      store().write(this, ids, [all = strings(ids)](Store& s) { return s.restoreRuns(all); },
                    [this, n = ids.size()](Result<void> done) {
                      Q_EMIT statusMessage(done.ok() ? tr("%n run(s) brought back", nullptr, static_cast<int>(n))
                                                     : QString::fromStdString(done.error().message()));
                    });
    });
  });
  addViewSeparator();
  m_folder = addViewAction(tr("Open the run's folder"), QStringLiteral("folder"), {}, [this] { openFolder(); });
  m_copyId = addViewAction(tr("Copy id"), QStringLiteral("copy"), QKeySequence::Copy, [this] {
    withSelected([this](const QStringList& ids) {
      QApplication::clipboard()->setText(ids.join(QLatin1Char('\n')));
      Q_EMIT statusMessage(tr("%n id(s) copied", nullptr, static_cast<int>(ids.size())));
    });
  });
  addViewAction(tr("Copy table as CSV"), QStringLiteral("table"), {}, [this] { copyTable(&TextTable::toCsv); });
  addViewAction(tr("Copy table as Markdown"), QStringLiteral("table"), {}, [this] { copyTable(&TextTable::toMarkdown); });
  addViewAction(tr("Copy table as LaTeX"), QStringLiteral("table"), {}, [this] { copyTable(&TextTable::toLatex); });
  addViewAction(tr("Export table…"), QStringLiteral("export"), {}, [this] { exportTable(); });
  addViewSeparator();
  m_showArchived = addViewAction(tr("Show archived runs"), QStringLiteral("archive"), {}, [] {});
  m_showArchived->setCheckable(true);
  connect(m_showArchived, &QAction::toggled, this, [this](bool on) {
    m_archived = on;
    applyQuery();
  });
  m_showTrash = addViewAction(tr("Show the trash"), QStringLiteral("delete"), {}, [] {});
  m_showTrash->setCheckable(true);
  connect(m_showTrash, &QAction::toggled, this, [this](bool on) {
    m_trash = on;
    applyQuery();
    updateActions();
  });
  addViewAction(tr("Empty the trash…"), {}, {}, [this] { emptyTrash(); });
  m_detailsAction = addViewAction(tr("Show details"), QStringLiteral("layout-side"), QKeySequence(QStringLiteral("Ctrl+D")), [] {});
  m_detailsAction->setCheckable(true);
  m_detailsAction->setChecked(true);
  connect(m_detailsAction, &QAction::toggled, m_details, &QWidget::setVisible);
  updateActions();
}

void RunsView::updateActions() {
  const QStringList ids = selection().ids();
  const bool any = !ids.isEmpty(), one = ids.size() == 1;
  for (QAction* action : {m_star, m_tag, m_archive, m_delete, m_compare, m_live, m_spectrum, m_copyId, m_colour})
    action->setEnabled(any && (!m_trash || action == m_copyId));
  for (QAction* action : {m_note, m_rename, m_folder, m_again, m_goOn}) action->setEnabled(one && !m_trash);
  m_restore->setEnabled(any && m_trash);
  const int row = one ? m_model->rowOfLoaded(ids.first()) : -1;
  const RunRow* run = row < 0 ? nullptr : m_model->rowAt(row);
  m_resume->setEnabled(run && !m_trash && (run->status == "interrupted" || run->status == "stopped" || run->status == "failed"));
  m_save->setEnabled(run && !m_trash && run->step >= 0 && run->status != "queued" && run->status != "loading");
  m_evaluate->setEnabled(m_save->isEnabled() && !run->live());  // a live one is asked in Live: it writes its record itself
  m_baseline->setEnabled(one || m_model->baseline());
  m_baseline->setText(m_model->baseline() ? tr("Stop comparing numbers") : tr("Compare numbers with this run"));
}

void RunsView::showContextMenu(const QPoint& at) {
  auto* menu = new QMenu(this);
  menu->setAttribute(Qt::WA_DeleteOnClose);
  if (m_trash) {
    menu->addAction(m_restore);
    menu->addAction(m_copyId);
  } else {
    menu->addActions({m_live, m_compare, m_spectrum, m_again, m_goOn});
    if (m_resume->isEnabled()) menu->addAction(m_resume);
    menu->addActions({m_evaluate, m_save});
    menu->addSeparator();
    menu->addActions({m_star, m_tag, m_note, m_rename, m_colour, m_baseline});
    menu->addSeparator();
    menu->addActions({m_folder, m_copyId});
    menu->addSeparator();
    menu->addActions({m_archive, m_delete});
  }
  menu->popup(at);
}

void RunsView::editTagsOfSelected() {
  withSelected([this](const QStringList& ids) {
    struct Answer {
      QStringList known;
      QHash<QString, int> counts;
    };
    store().read(this, "tags",
                 [all = strings(ids)](Store& s) -> Result<Answer> {
                   Answer answer;
                   auto tags = s.allTags();
                   if (!tags.ok()) return tags.error();
                   for (const auto& [tag, count] : *tags) answer.known << QString::fromStdString(tag);
                   RunQuery query;
                   query.ids = all;
                   query.limit = -1;
                   query.includeArchived = true;
                   query.withMetrics = query.withSparkline = false;
                   auto page = s.listRuns(query);
                   if (!page.ok()) return page.error();
                   for (const RunRow& row : page->rows)
                     for (const std::string& tag : row.tags) ++answer.counts[QString::fromStdString(tag)];
                   return answer;
                 },
                 [this, ids](Result<Answer> answer) {
                   if (!answer.ok()) {
                     Q_EMIT statusMessage(QString::fromStdString(answer.error().message()));
                     return;
                   }
                   auto* dialog = new TagDialog(answer->known, answer->counts, static_cast<int>(ids.size()), this);
                   dialog->setAttribute(Qt::WA_DeleteOnClose);
                   connect(dialog, &QDialog::accepted, this,
                           [this, dialog, ids] { editTags(edits(), ids, dialog->toAdd(), dialog->toRemove()); });
                   dialog->open();
                 });
  });
}

void RunsView::renameSelected() {
  const QString id = selection().current();
  const int row = m_model->rowOfLoaded(id);
  const RunRow* run = row < 0 ? nullptr : m_model->rowAt(row);
  if (!run) return;
  const QString before = QString::fromStdString(run->name);
  auto* dialog = new QInputDialog(this);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  dialog->setWindowTitle(tr("Rename run"));
  dialog->setLabelText(tr("Name; empty for the configuration's own"));
  dialog->setTextValue(before);
  dialog->resize(420, dialog->height());
  connect(dialog, &QInputDialog::textValueSelected, this, [this, id, before](const QString& name) {
    if (name.trimmed() != before) editName(edits(), id, name.trimmed());
  });
  dialog->open();
}

void RunsView::chooseColour() {
  withSelected([this](const QStringList& ids) {
    auto* menu = new QMenu(this);
    menu->setAttribute(Qt::WA_DeleteOnClose);
    connect(menu->addAction(tr("By method and rank")), &QAction::triggered, this, [this, ids] { editColour(edits(), ids, {}); });
    menu->addSeparator();
    const QStringList names = {tr("Blue"), tr("Orange"), tr("Green"), tr("Purple"), tr("Sky"), tr("Vermilion"), tr("Yellow")};
    for (int i = 0; i < names.size(); ++i) {
      QPixmap swatch(14, 14);
      swatch.fill(categoryColour(i));
      connect(menu->addAction(QIcon(swatch), names[i]), &QAction::triggered, this,
              [this, ids, i] { editColour(edits(), ids, categoryColour(i).name()); });
    }
    menu->addSeparator();
    connect(menu->addAction(tr("Another…")), &QAction::triggered, this, [this, ids] {
      const QColor colour = QColorDialog::getColor(colours().accent, this, tr("Colour of the run"));
      if (colour.isValid()) editColour(edits(), ids, colour.name());
    });
    menu->popup(QCursor::pos());
  });
}

// Resuming is a job like any other: it waits for its device, and goes on when this program ends.
void RunsView::resume(const QString& id) {
  const int row = m_model->rowOfLoaded(id);
  const RunRow* run = row < 0 ? nullptr : m_model->rowAt(row);
  const std::string plain = id.toStdString();
  const JobSpec spec = commandJob("resume", {plain}, plain, run ? run->name : plain);
  store().write(this, {id}, [spec](Store& s) { return s.addJob(spec); }, [this](Result<Job> job) {
    if (!job.ok()) {
      Q_EMIT statusMessage(QString::fromStdString(job.error().message()));
      return;
    }
    store().announceQueue();
    const auto started = trainer().startQueueRunner();
    Q_EMIT statusMessage(started.ok() ? tr("The run goes on from its last checkpoint")
                                      : QString::fromStdString(started.error().message()));
  });
}

void RunsView::openFolder() {
  const QString folder = QString::fromStdString(store().runFolder(selection().current()).string());
  if (!QDesktopServices::openUrl(QUrl::fromLocalFile(folder)))
    Q_EMIT statusMessage(tr("No program opens folders here. It is %1").arg(folder));
}

void RunsView::deleteSelected() {
  withSelected([this](const QStringList& ids) {
    store().read(this, "size",
                 [all = strings(ids)](Store& s) {
                   int64_t bytes = 0;
                   for (const std::string& id : all)
                     if (const auto size = s.folderBytes(id); size.ok()) bytes += *size;
                   return bytes;
                 },
                 [this, ids](Result<int64_t> bytes) {
                   deleteRuns(edits(), ids);
                   if (bytes.ok())
                     Q_EMIT statusMessage(tr("%n run(s), ", nullptr, static_cast<int>(ids.size())) +
                                          tr("%1, moved to the trash. Ctrl+Z brings them back.").arg(formatBytes(static_cast<double>(*bytes))));
                 });
  });
}

void RunsView::emptyTrash() {
  struct Trash {
    int64_t runs = 0, bytes = 0;
  };
  store().read(this, "trash",
               [](Store& s) -> Result<Trash> {
                 RunQuery query;
                 query.onlyTrashed = true;
                 query.limit = -1;
                 query.includeArchived = true;
                 auto ids = s.listRunIds(query);
                 if (!ids.ok()) return ids.error();
                 Trash trash{static_cast<int64_t>(ids->size()), 0};
                 for (const std::string& id : *ids)
                   if (const auto size = s.folderBytes(id); size.ok()) trash.bytes += *size;
                 return trash;
               },
               [this](Result<Trash> trash) {
                 if (!trash.ok() || trash->runs == 0) {
                   Q_EMIT statusMessage(tr("The trash is empty"));
                   return;
                 }
                 auto* box = new QMessageBox(QMessageBox::Warning, tr("Empty the trash"),
                                             tr("%n run(s) ", nullptr, static_cast<int>(trash->runs)) +
                                                 tr("with %1 of checkpoints and logs will be removed for good.").arg(formatBytes(static_cast<double>(trash->bytes))),
                                             QMessageBox::Cancel, this);
                 box->setAttribute(Qt::WA_DeleteOnClose);
                 QPushButton* remove = box->addButton(tr("Remove for good"), QMessageBox::DestructiveRole);
                 makeDanger(remove);
                 box->setDefaultButton(QMessageBox::Cancel);
                 connect(remove, &QPushButton::clicked, this, [this] {
                   store().write(this, {}, [](Store& s) { return s.emptyTrash(); }, [this](Result<int64_t> freed) {
                     Q_EMIT statusMessage(freed.ok() ? tr("%1 freed").arg(formatBytes(static_cast<double>(*freed)))
                                                     : QString::fromStdString(freed.error().message()));
                     m_model->refresh();
                   });
                 });
                 box->open();
               });
}

// A draft with the run's configuration; `goOn`: from its newest checkpoint instead of the base model.
void RunsView::newFrom(const QString& id, bool goOn) {
  struct Answer {
    nlohmann::json config;
    std::string name;
  };
  store().read(this, "config",
               [id = id.toStdString()](Store& s) -> Result<Answer> {
                 auto config = s.runConfig(id);
                 if (!config.ok()) return config.error();
                 auto row = s.run(id);
                 if (!row.ok()) return row.error();
                 return Answer{std::move(*config), row->name};
               },
               [this, id, goOn](Result<Answer> answer) {
                 if (!answer.ok()) {
                   Q_EMIT statusMessage(QString::fromStdString(answer.error().message()));
                   return;
                 }
                 const QJsonDocument document = QJsonDocument::fromJson(QByteArray::fromStdString(answer->config.dump()));
                 QJsonObject request{{QStringLiteral("config"), document.object()}};
                 if (goOn) {
                   request.insert(QStringLiteral("branch"), id);
                   request.insert(QStringLiteral("name"), QString::fromStdString(answer->name));
                 }
                 Q_EMIT showView(QStringLiteral("newrun"), request);
               });
}

void RunsView::toggleBaseline() {
  if (m_model->baseline()) {
    m_model->setBaseline(std::nullopt);
  } else {
    const int row = m_model->rowOfLoaded(selection().current());
    if (const RunRow* run = row < 0 ? nullptr : m_model->rowAt(row)) {
      m_model->setBaseline(*run);
      Q_EMIT statusMessage(tr("Numbers are compared with “%1”. Press B again to stop.").arg(QString::fromStdString(run->name)));
    }
  }
  updateActions();
}

}  // namespace rankscope::ui
