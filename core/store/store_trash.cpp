// Delete, undo and empty the trash, a transaction a run. The folder is moved first and the row marked after: a crash
// between the two leaves a run whose folder is in the trash, which deleting it again puts right.

#include "core/config/files.h"
#include "core/runlog/events.h"
#include "core/runlog/heartbeat.h"
#include "core/store/folder_move.h"
#include "core/store/run_rows.h"
#include "core/store/store.h"

namespace rankscope {
namespace fs = std::filesystem;
namespace {

constexpr auto kDurable = StoreDatabase::Durability::Durable;

struct Place {
  std::string folder, trashed;  // as stored: relative to home where inside
  bool inTrash = false;
};

Place placeOf(StoreDatabase& database, const std::string& id) {
  Query query(database,
              "SELECT r.folder, u.folder, r.trashed_at FROM runs r LEFT JOIN user_runs u ON u.uuid = r.uuid "
              "WHERE r.rid = ?");
  query.bind(requireRid(database, id));
  if (!query.step()) return {};
  return {query.text(0), query.text(1), !query.isNull(2)};
}

void markTrashed(StoreDatabase& database, const std::string& id, double time, const std::string& folder) {
  Query(database,
        "INSERT INTO user_runs (uuid, trashed_at, folder, changed) VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT (uuid) DO UPDATE SET trashed_at = ?2, folder = ?3, changed = ?4")
      .bind(id, time, folder, event::unixTime())
      .run();
  refreshUserColumns(database, id);
}

}  // namespace

Result<void> Store::deleteRuns(const std::vector<std::string>& ids) {
  Result<void> allowed = m_database->read("runs are looked at", [&]() -> Result<void> {
    for (const std::string& id : ids) {
      const Place place = placeOf(*m_database, id);
      if (!place.inTrash && runLiveness(folderPath(*m_database, place.folder)) == Liveness::Live)
        return Error{ErrorCode::Usage, "the run is still going", id,
                     "a live process", "a run that has ended",   "Stop it first, then delete it."};
    }
    return {};
  });
  if (!allowed) return allowed;
  for (const std::string& id : ids) {
    Result<void> done = m_database->write("a run is moved to the trash", kDurable, [&]() -> Result<void> {
      const Place place = placeOf(*m_database, id);
      if (place.inTrash) return {};
      std::error_code failure;
      const fs::path from = folderPath(*m_database, place.folder), to = trashDir() / id;
      if (!place.folder.empty() && fs::exists(from, failure)) {
        if (Result<void> moved = moveFolder(from, to); !moved) return moved;
      }
      markTrashed(*m_database, id, event::unixTime(), folderText(*m_database, to));
      return {};
    });
    if (!done) return done;
  }
  return {};
}

Result<void> Store::restoreRuns(const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    Result<void> done = m_database->write("a run is taken out of the trash", kDurable, [&]() -> Result<void> {
      const Place place = placeOf(*m_database, id);
      if (!place.inTrash) return {};
      std::error_code failure;
      const fs::path from = trashDir() / id, to = folderPath(*m_database, place.folder);
      if (!place.folder.empty() && fs::exists(from, failure)) {
        if (Result<void> moved = moveFolder(from, to); !moved) return moved;
      }
      markTrashed(*m_database, id, kUnknown, "");
      return {};
    });
    if (!done) return done;
  }
  return {};
}

Result<int64_t> Store::emptyTrash(const std::vector<std::string>& ids) {
  Result<std::vector<std::string>> chosen = ids;
  if (ids.empty()) {
    RunQuery trashed;
    trashed.onlyTrashed = true;
    trashed.limit = -1;
    trashed.includeArchived = true;
    chosen = listRunIds(trashed);
  }
  if (!chosen) return chosen.error();
  int64_t freed = 0;
  for (const std::string& id : *chosen) {
    // One transaction a run: large folders take their time, and others may want to write.
    Result<int64_t> bytes = m_database->write("a run is deleted", kDurable, [&]() -> Result<int64_t> {
      const Place place = placeOf(*m_database, id);
      if (!place.inTrash)
        return Error{
            ErrorCode::Usage, "the run is not in the trash", id, "", "", "Delete it first; that can be undone."};
      Query(*m_database, "DELETE FROM spectra WHERE owner = ?").bind(id).run();
      Query(*m_database, "DELETE FROM tags WHERE uuid = ?").bind(id).run();
      Query(*m_database, "DELETE FROM user_runs WHERE uuid = ?").bind(id).run();
      Query(*m_database, "DELETE FROM series WHERE rid = (SELECT rid FROM runs WHERE uuid = ?)").bind(id).run();
      Query(*m_database, "DELETE FROM runs WHERE uuid = ?").bind(id).run();
      return removeFolder(trashDir() / id);
    });
    if (!bytes) return bytes.error();
    freed += *bytes;
  }
  return freed;
}

Result<int64_t> Store::folderBytes(const std::string& id) {
  Result<fs::path> folder = m_database->read("a run's folder is measured", [&]() -> Result<fs::path> {
    const Place place = placeOf(*m_database, id);
    return place.inTrash ? trashDir() / id : folderPath(*m_database, place.folder);
  });
  if (!folder) return folder.error();
  return folderSize(*folder);
}

}  // namespace rankscope
