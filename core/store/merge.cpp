// Taking another store's runs into this one, by uuid: what is here already stays as it is, so merging twice adds
// nothing.

#include <fmt/format.h>

#include <unordered_map>

#include "core/config/files.h"
#include "core/store/folder_move.h"
#include "core/store/ingest.h"
#include "core/store/run_rows.h"
#include "core/store/series_rows.h"

namespace rankscope {
namespace fs = std::filesystem;
namespace {

using IdMap = std::unordered_map<int64_t, int64_t>;

class RunCopier {
 public:
  RunCopier(StoreDatabase& from, StoreDatabase& to) : m_from(from), m_to(to) {}

  // All derived rows of a run whose folder is not at hand.
  void copy(const std::string& uuid) {
    auto run = loadRun(m_from, uuid);
    if (!run) return;
    const int64_t source = run->rid;
    run->folder = pathText(folderPath(m_from, run->folder));
    insertRun(m_to, *run);
    saveCursor(m_to, run->rid, loadCursor(m_from, source));
    m_rid = run->rid;
    m_series.clear();
    m_axes.clear();
    for (const char* table : {"run_configs", "run_config_values", "run_summaries", "run_metrics", "run_sparklines",
                              "run_log", "samples", "checkpoints", "changes", "sites"})
      copyTable(table, "rid = ?", source, "", nullptr);
    copyTable("series", "rid = ?", source, "sid", &m_series);
    copyTable("axis_blocks", "rid = ?", source, "aid", &m_axes);
    for (const char* table : {"series_tails", "series_chunks"})
      copyTable(table, "sid IN (SELECT sid FROM series WHERE rid = ?)", source,
                std::string(table) == "series_chunks" ? "cid" : "", nullptr);
    refreshUserColumns(m_to, uuid);
  }

 private:
  // `key` is the table's own number, given anew here and remembered in `made`.
  void copyTable(const std::string& table, const std::string& where, int64_t rid, const std::string& key, IdMap* made) {
    Query rows(m_from, "SELECT * FROM " + table + " WHERE " + where);
    rows.bind(rid);
    std::string columns, marks;
    for (int c = 0; c < rows.columns(); ++c) {
      if (rows.columnName(c) == key) continue;
      columns += (columns.empty() ? "" : ", ") + rows.columnName(c);
      marks += marks.empty() ? "?" : ", ?";
    }
    Query insert(m_to, "INSERT INTO " + table + " (" + columns + ") VALUES (" + marks + ")");
    while (rows.step()) {
      insert.restart();
      int64_t old = 0;
      for (int c = 0; c < rows.columns(); ++c) {
        const std::string name = rows.columnName(c);
        if (name == key)
          old = rows.integer(c);
        else if (name == "rid")
          insert.bind(m_rid);
        else if (name == "name_id")
          insert.bind(mappedName(rows.integer(c)));
        else if (name == "sid")
          insert.bind(mapped(m_series, rows.integer(c)));
        else if (name == "aid")
          insert.bind(mapped(m_axes, rows.integer(c)));
        else
          insert.bindFrom(rows, c);
      }
      insert.run();
      if (made) (*made)[old] = m_to.lastInsertId();
    }
  }

  static int64_t mapped(const IdMap& map, int64_t old) {
    if (const auto found = map.find(old); found != map.end()) return found->second;
    throw ErrorException(Error{ErrorCode::Store, kDamagedStore, "the other store", "rows that belong to nothing", "",
                               "Run `rankscope-train store rebuild` with the other store's --home first."});
  }

  int64_t mappedName(int64_t old) {
    if (const auto found = m_names.find(old); found != m_names.end()) return found->second;
    Query query(m_from, "SELECT text FROM names WHERE id = ?");
    query.bind(old);
    const std::string text = query.step() ? query.text(0) : std::string();
    return m_names[old] = nameId(m_to, text);
  }

  StoreDatabase& m_from;
  StoreDatabase& m_to;
  int64_t m_rid = 0;
  IdMap m_series, m_axes, m_names;
};

// The other store's words about a run where this one has none. Returns how many were taken.
int64_t takeUserData(StoreDatabase& from, StoreDatabase& to, const std::string& uuid) {
  int64_t taken = 0;
  {
    Query theirs(from, "SELECT name, note, colour, starred, archived, changed FROM user_runs WHERE uuid = ?");
    theirs.bind(uuid);
    if (theirs.step()) {
      Query insert(
          to,
          "INSERT INTO user_runs (uuid, name, note, colour, starred, archived, changed) VALUES (?1, ?2, ?3, ?4, ?5, "
          "?6, ?7) "
          "ON CONFLICT (uuid) DO UPDATE SET name = CASE name WHEN '' THEN ?2 ELSE name END, "
          "note = CASE note WHEN '' THEN ?3 ELSE note END, colour = CASE colour WHEN '' THEN ?4 ELSE colour END, "
          "starred = MAX(starred, ?5) "
          "WHERE (name = '' AND ?2 <> '') OR (note = '' AND ?3 <> '') OR (colour = '' AND ?4 <> '') OR starred < ?5");
      insert.bind(uuid);
      for (int c = 0; c < 6; ++c) insert.bindFrom(theirs, c);
      insert.run();
      taken += to.connection().getChanges();
    }
  }
  Query tags(from, "SELECT tag FROM tags WHERE uuid = ?");
  tags.bind(uuid);
  while (tags.step()) {
    Query(to, "INSERT OR IGNORE INTO tags (uuid, tag) VALUES (?, ?)").bind(uuid, tags.text(0)).run();
    taken += to.connection().getChanges();
  }
  Query spectra(from, "SELECT owner, step, site, name, dtype, shape, meta, saved, packed FROM spectra WHERE owner = ?");
  spectra.bind(uuid);
  while (spectra.step()) {
    Query insert(to,
                 "INSERT OR IGNORE INTO spectra (owner, step, site, name, dtype, shape, meta, saved, packed) "
                 "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    for (int c = 0; c < 9; ++c) insert.bindFrom(spectra, c);
    insert.run();
    taken += to.connection().getChanges();
  }
  refreshUserColumns(to, uuid);
  return taken;
}

}  // namespace

Result<MergeReport> Store::merge(const fs::path& otherStore) {
  MergeReport report;
  std::error_code failure;
  if (fs::equivalent(otherStore, path(), failure))
    return Error{ErrorCode::Usage, "this is the same store",      pathText(otherStore), "",
                 "another one",    "Give the other store's file."};
  Result<std::unique_ptr<Store>> other = Store::open(otherStore, Mode::ReadOnly);
  if (!other) return other.error();
  const Result<StoreCheck> sound = (*other)->check(false);
  if (!sound) return sound.error();
  if (!sound->sound)
    return Error{ErrorCode::Store,
                 kDamagedStore,
                 pathText(otherStore),
                 sound->problems.front(),
                 "",
                 "Run `rankscope-train store rebuild` with that store's --home first."};
  StoreDatabase& from = (*other)->database();
  Result<std::vector<std::string>> ids = (*other)->listRunIds(RunQuery{.limit = -1, .includeArchived = true});
  if (!ids) return ids.error();

  const auto takeRun = [&](const std::string& id) -> Result<void> {
    Result<fs::path> theirs = from.read("a run is looked up", [&]() -> Result<fs::path> {
      const auto run = loadRun(from, id);
      return run && !run->folder.empty() ? folderPath(from, run->folder) : fs::path();
    });
    if (!theirs) return theirs.error();
    Result<bool> present =
        m_database->read("a run is looked up", [&]() -> Result<bool> { return findRid(*m_database, id).has_value(); });
    if (!present) return present.error();
    if (*present) {
      ++report.present;
    } else if (!theirs->empty() && fs::exists(*theirs / "config.json", failure)) {
      const fs::path ours = runsDir() / id;
      if (!fs::exists(ours, failure)) {
        if (Result<void> copied = copyFolder(*theirs, ours); !copied) return copied;
        ++report.foldersCopied;
      }
      if (Result<IngestReport> taken = ingestRun(*this, ours); !taken) return taken.error();
      ++report.added;
    } else {
      Result<void> copied = from.read("a run is read", [&]() -> Result<void> {
        return m_database->write("a run is taken over", StoreDatabase::Durability::Derived,
                                 [&] { RunCopier(from, *m_database).copy(id); });
      });
      if (!copied) return copied;
      ++report.added;
    }
    return from.read("notes are read", [&]() -> Result<void> {
      return m_database->write("notes are taken over", StoreDatabase::Durability::Durable,
                               [&] { report.userDataTaken += takeUserData(from, *m_database, id); });
    });
  };
  for (const std::string& id : *ids) {
    Result<void> taken = takeRun(id);
    if (!taken) report.problems.push_back(taken.error());
  }
  Result<void> views = from.read("views are read", [&]() -> Result<void> {
    return m_database->write("views are taken over", StoreDatabase::Durability::Durable, [&] {
      Query rows(from, "SELECT scope, name, body, position FROM saved_views");
      while (rows.step()) {
        Query insert(*m_database,
                     "INSERT OR IGNORE INTO saved_views (scope, name, body, position) VALUES (?, ?, ?, ?)");
        for (int c = 0; c < 4; ++c) insert.bindFrom(rows, c);
        insert.run();
        report.userDataTaken += m_database->connection().getChanges();
      }
    });
  });
  if (!views) report.problems.push_back(views.error());
  return report;
}

}  // namespace rankscope
