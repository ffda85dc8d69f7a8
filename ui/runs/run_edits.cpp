#include "ui/runs/run_edits.h"

#include "core/store/store.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"

#include <QCoreApplication>
#include <QUndoStack>

namespace rankscope::ui {

namespace {

QString trN(const char* text, qsizetype n) {
  return QCoreApplication::translate("RunEdits", text, nullptr, static_cast<int>(n));
}

using Before = std::shared_ptr<std::vector<RunRow>>;
using Do = std::function<Result<void>(Store&)>;
using Undo = std::function<Result<void>(Store&, const std::vector<RunRow>&)>;

class RunEdit : public QUndoCommand {
 public:
  RunEdit(EditContext context, const QString& text, QStringList ids, Do work, Undo back, QString said = {})
      : QUndoCommand(text), m_context(std::move(context)), m_ids(std::move(ids)), m_do(std::move(work)),
        m_back(std::move(back)), m_said(std::move(said)) {}

  void redo() override {
    m_context.store->write(
        m_context.store, m_ids,
        [ids = strings(m_ids), before = m_before, work = m_do](Store& store) -> Result<void> {
          if (before->empty()) {
            for (const std::string& id : ids) {
              auto row = store.run(id);
              if (!row.ok()) return row.error();
              before->push_back(std::move(*row));
            }
          }
          return work(store);
        },
        report(m_said));
  }

  void undo() override {
    m_context.store->write(m_context.store, m_ids,
                           [before = m_before, back = m_back](Store& store) { return back(store, *before); }, report({}));
  }

 private:
  std::function<void(Result<void>)> report(const QString& said) const {
    return [say = m_context.say, said](Result<void> result) {
      if (!say) return;
      if (!result.ok())
        say(QString::fromStdString(result.error().message()));
      else if (!said.isEmpty())
        say(said);
    };
  }
  EditContext m_context;
  QStringList m_ids;
  Before m_before = std::make_shared<std::vector<RunRow>>();
  Do m_do;
  Undo m_back;
  QString m_said;
};

void push(const EditContext& context, const QString& text, const QStringList& ids, Do work, Undo back, const QString& said = {}) {
  if (ids.isEmpty()) return;
  context.undo->push(new RunEdit(context, text, ids, std::move(work), std::move(back), said));
}

// Applies a setter for one run to each of the rows as they were.
template <typename Setter>
Undo eachAsBefore(Setter setter) {
  return [setter](Store& store, const std::vector<RunRow>& before) -> Result<void> {
    for (const RunRow& row : before)
      if (const Result<void> done = setter(store, row); !done.ok()) return done;
    return {};
  };
}

}  // namespace

std::vector<std::string> strings(const QStringList& list) {
  std::vector<std::string> out;
  for (const QString& text : list) out.push_back(text.toStdString());
  return out;
}

void editName(const EditContext& context, const QString& id, const QString& name) {
  push(context, QCoreApplication::translate("RunEdits", "rename"), {id},
       [id = id.toStdString(), name = name.toStdString()](Store& store) { return store.setName(id, name); },
       eachAsBefore([](Store& store, const RunRow& row) { return store.setName(row.id, row.name); }));
}

void editNote(const EditContext& context, const QString& id, const QString& markdown) {
  push(context, QCoreApplication::translate("RunEdits", "edit note"), {id},
       [id = id.toStdString(), text = markdown.toStdString()](Store& store) { return store.setNote(id, text); },
       eachAsBefore([](Store& store, const RunRow& row) { return store.setNote(row.id, row.note); }));
}

void editTags(const EditContext& context, const QStringList& ids, const QStringList& add, const QStringList& remove) {
  if (add.isEmpty() && remove.isEmpty()) return;
  push(context, trN("tag %n run(s)", ids.size()), ids,
       [all = strings(ids), more = strings(add), less = strings(remove)](Store& store) -> Result<void> {
         if (!less.empty())
           if (const Result<void> done = store.removeTags(all, less); !done.ok()) return done;
         return more.empty() ? Result<void>() : store.addTags(all, more);
       },
       eachAsBefore([](Store& store, const RunRow& row) { return store.setTags(row.id, row.tags); }));
}

void editColour(const EditContext& context, const QStringList& ids, const QString& colour) {
  push(context, trN("colour %n run(s)", ids.size()), ids,
       [all = strings(ids), name = colour.toStdString()](Store& store) { return store.setColour(all, name); },
       eachAsBefore([](Store& store, const RunRow& row) { return store.setColour({row.id}, row.colour); }));
}

void editStarred(const EditContext& context, const QStringList& ids, bool starred) {
  push(context, starred ? trN("star %n run(s)", ids.size()) : trN("unstar %n run(s)", ids.size()), ids,
       [all = strings(ids), starred](Store& store) { return store.setStarred(all, starred); },
       eachAsBefore([](Store& store, const RunRow& row) { return store.setStarred({row.id}, row.starred); }));
}

void editArchived(const EditContext& context, const QStringList& ids, bool archived) {
  push(context, archived ? trN("archive %n run(s)", ids.size()) : trN("unarchive %n run(s)", ids.size()), ids,
       [all = strings(ids), archived](Store& store) { return store.setArchived(all, archived); },
       eachAsBefore([](Store& store, const RunRow& row) { return store.setArchived({row.id}, row.archived); }),
       archived ? trN("%n run(s) archived. Ctrl+Z brings them back.", ids.size()) : QString());
}

void deleteRuns(const EditContext& context, const QStringList& ids) {
  push(context, trN("delete %n run(s)", ids.size()), ids,
       [all = strings(ids)](Store& store) { return store.deleteRuns(all); },
       [all = strings(ids)](Store& store, const std::vector<RunRow>&) { return store.restoreRuns(all); },
       trN("%n run(s) moved to the trash. Ctrl+Z brings them back.", ids.size()));
}

}  // namespace rankscope::ui
