#pragma once
// Edits of runs as undoable commands: what only the user knows (tags, notes, names, stars, colours, archive) and deleting
// (into the trash). Each command remembers the runs as they were, at its first doing, and puts exactly that back. The
// writing happens on the store's thread. GUI thread.

#include "core/config/result.h"

#include <QStringList>
#include <QUndoCommand>

#include <functional>
#include <memory>
#include <string>
#include <vector>

class QUndoStack;

namespace rankscope {
class Store;
}

namespace rankscope::ui {

class StoreService;

struct EditContext {
  StoreService* store = nullptr;
  QUndoStack* undo = nullptr;
  std::function<void(const QString&)> say;  // failures and outcomes, for the status bar
};

std::vector<std::string> strings(const QStringList& list);  // as the store takes ids and tags

void editName(const EditContext& context, const QString& id, const QString& name);
void editNote(const EditContext& context, const QString& id, const QString& markdown);
void editTags(const EditContext& context, const QStringList& ids, const QStringList& add, const QStringList& remove);
void editColour(const EditContext& context, const QStringList& ids, const QString& colour);  // "" = by method
void editStarred(const EditContext& context, const QStringList& ids, bool starred);
void editArchived(const EditContext& context, const QStringList& ids, bool archived);
// Into the trash; says how much that was.
void deleteRuns(const EditContext& context, const QStringList& ids);

}  // namespace rankscope::ui
