// `store rebuild`: the derived rows again from the run folders; out of a damaged file whatever only the user knew.

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"
#include "core/config/log.h"
#include "core/runlog/run_folder.h"
#include "core/store/ingest.h"
#include "core/store/run_rows.h"

namespace rankscope {
namespace fs = std::filesystem;
namespace {

constexpr const char* kUserTables[] = {"user_runs", "tags", "saved_views", "settings", "jobs", "spectra"};

Result<fs::path> moveAside(const fs::path& store) {
  WriterLock lock(fs::path(store).replace_extension(".lock"));
  if (Result<void> locked = lock.acquire(std::chrono::seconds(10)); !locked) return locked.error();
  const fs::path folder = store.parent_path() / "damaged";
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) return systemError(failure.value(), "the folder for the damaged file cannot be made", folder);
  fs::path to;
  for (int number = 0; to.empty() || fs::exists(to, failure); ++number)
    to = folder / fmt::format("store-{:%Y%m%dT%H%M%S}{}.sqlite", fmt::gmtime(std::time(nullptr)),
                              number == 0 ? "" : fmt::format("-{}", number));
  // The main file last: until it is gone nobody makes a new one beside an old WAL.
  for (const char* suffix : {"-wal", "-shm", ""}) {
    const fs::path from = store.string() + suffix;
    if (!fs::exists(from, failure)) continue;
    fs::rename(from, to.string() + suffix, failure);
    if (failure) return systemError(failure.value(), "the damaged file cannot be moved aside", from);
  }
  return to;
}

// Rows of one table as far as they can be read, from the front and, past a damaged page, from the back.
int64_t saveTable(StoreDatabase& into, SQLite::Database& damaged, const std::string& table,
                  std::vector<std::string>& lost) {
  std::string columns, marks;
  {
    Query wanted(into, "SELECT name FROM pragma_table_info(?)");
    wanted.bind(table);
    while (wanted.step()) {
      columns += (columns.empty() ? "" : ", ") + wanted.text(0);
      marks += marks.empty() ? "?" : ", ?";
    }
  }
  int64_t saved = 0;
  bool whole = false;
  for (const char* direction : {"ASC", "DESC"}) {
    try {
      SQLite::Statement from(damaged, "SELECT " + columns + " FROM " + table + " ORDER BY 1 " + direction);
      while (from.executeStep()) {
        SQLite::Statement insert(into.connection(),
                                 "INSERT OR IGNORE INTO " + table + " (" + columns + ") VALUES (" + marks + ")");
        for (int i = 0; i < from.getColumnCount(); ++i) {
          const SQLite::Column value = from.getColumn(i);
          if (value.isInteger())
            insert.bind(i + 1, static_cast<int64_t>(value.getInt64()));
          else if (value.isFloat())
            insert.bind(i + 1, value.getDouble());
          else if (value.isText())
            insert.bind(i + 1, value.getString());
          else if (value.isBlob())
            insert.bind(i + 1, value.getBlob() ? value.getBlob() : "", value.getBytes());
        }
        // A row that breaks a rule of the schema is one of the damaged ones.
        if (insert.tryExecuteStep() == 101) saved += into.connection().getChanges();
      }
      whole = true;
      break;
    } catch (const SQLite::Exception& problem) {
      logWarning("store", "table {}: {}", table, problem.what());
    }
  }
  if (!whole) lost.push_back(table);
  return saved;
}

Result<void> saveUserRows(Store& store, const fs::path& damagedFile, RebuildReport& report) {
  StoreDatabase& into = store.database();
  return into.write("notes and settings are saved", StoreDatabase::Durability::Durable, [&]() -> Result<void> {
    try {
      // Read-write, so that SQLite can recover the WAL that was moved along with the file.
      SQLite::Database damaged(damagedFile.string(), SQLite::OPEN_READWRITE);
      for (const char* table : kUserTables) report.userRowsSaved += saveTable(into, damaged, table, report.lost);
    } catch (const SQLite::Exception& problem) {
      logWarning("store", "nothing can be read from {}: {}", pathText(damagedFile), problem.what());
      report.lost.assign(std::begin(kUserTables), std::end(kUserTables));
    }
    return {};
  });
}

// Back to what the folder alone says, one transaction a run.
Result<void> forgetDerived(Store& store, RebuildReport& report) {
  StoreDatabase& database = store.database();
  Result<std::vector<std::string>> ids =
      database.read("the runs are listed", [&]() -> Result<std::vector<std::string>> {
        std::vector<std::string> all;
        Query query(database, "SELECT uuid FROM runs WHERE trashed_at IS NULL ORDER BY uuid");
        while (query.step()) all.push_back(query.text(0));
        return all;
      });
  if (!ids) return ids.error();
  for (const std::string& id : *ids) {
    Result<void> done =
        database.write("a run is read again", StoreDatabase::Durability::Derived, [&]() -> Result<void> {
          auto run = loadRun(database, id);
          if (!run) return {};
          const fs::path folder = folderPath(database, run->folder);
          const Result<std::string> text = readFileBounded(folder / "config.json", limits::kConfigBytes);
          const Result<nlohmann::json> config = text ? parseJson(*text, id) : Result<nlohmann::json>(text.error());
          if (!config) {
            ++report.keptWithoutFolder;
            return {};
          }
          wipeRun(database, *run);
          storeConfig(database, *run, *config);
          saveRun(database, *run);
          return {};
        });
    if (!done) return done;
  }
  return {};
}

bool damagedError(const Error& error) { return error.what == kDamagedStore; }

}  // namespace

Result<RebuildReport> rebuildStore(const fs::path& storePath) {
  RebuildReport report;
  std::error_code failure;
  const fs::path path = fs::absolute(storePath, failure);
  Result<std::unique_ptr<Store>> store = Store::open(path, Store::Mode::ReadWrite);
  if (!store && !damagedError(store.error())) return store.error();
  report.wasDamaged = !store;
  if (store) {
    const Result<StoreCheck> found = (*store)->check(true);
    if (!found && !damagedError(found.error())) return found.error();
    report.wasDamaged = !found || !found->sound;
  }
  if (report.wasDamaged) {
    if (store) store->reset();
    Result<fs::path> aside = moveAside(path);
    if (!aside) return aside.error();
    report.movedAside = *aside;
    logWarning("store", "the damaged store is now {}", pathText(*aside));
    store = Store::open(path, Store::Mode::ReadWrite);
    if (!store) return store.error();
    if (Result<void> saved = saveUserRows(**store, *aside, report); !saved) return saved.error();
  } else if (Result<void> forgotten = forgetDerived(**store, report); !forgotten) {
    return forgotten.error();
  }
  report.ingest = ingestRuns(**store, (*store)->runsDir(), IngestScope::All);
  if (!report.wasDamaged) {
    if (Result<void> compacted = (*store)->database().compact(); !compacted)
      logWarning("store", "{}", compacted.error().message());
  }
  return report;
}

}  // namespace rankscope
