#include "core/store/ingest.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <unordered_map>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"
#include "core/config/log.h"
#include "core/runlog/event_log.h"
#include "core/runlog/heartbeat.h"
#include "core/runlog/run_folder.h"
#include "core/runlog/uuid.h"
#include "core/store/database.h"
#include "core/store/ingest_apply.h"

namespace rankscope {
namespace {

using std::filesystem::path;
constexpr size_t kBatchBytes = 4 << 20;  // of events per transaction: tens of milliseconds under the lock
constexpr size_t kRecheckedPerCall = 500;
constexpr auto kDerived = StoreDatabase::Durability::Derived;

struct Seen {
  RunCursor cursor;
  std::string folder;
};

// What is known of a folder besides its events; read before the run's row is made.
struct FolderFacts {
  nlohmann::json config;
  RunInfo info;
};

Result<FolderFacts> readFacts(const RunFolder& folder) {
  FolderFacts facts;
  Result<std::string> text = readFileBounded(folder.configFile(), limits::kConfigBytes);
  if (!text) return text.error();
  Result<nlohmann::json> config = parseJson(*text, pathText(folder.configFile()));
  if (!config) return config.error();
  if (!config->is_object())
    return Error{ErrorCode::BadInput, "config.json does not hold a config",     pathText(folder.configFile()), "",
                 "a JSON object",     "Delete the folder if it is not a run's."};
  facts.config = std::move(*config);
  // Older folders have no run.json; the file's time stands in for it.
  if (Result<RunInfo> info = folder.info(); info) {
    facts.info = std::move(*info);
  } else {
    struct stat file {};
    if (stat(folder.configFile().c_str(), &file) == 0) facts.info.created = static_cast<double>(file.st_mtim.tv_sec);
  }
  return facts;
}

std::string runIdOf(const RunFolder& folder) {
  if (isUuid(folder.id())) return folder.id();
  const Result<RunInfo> info = folder.info();
  return info && isUuid(info->id) ? info->id : std::string();
}

struct Batch {
  std::vector<NumberedEvent> events;
  EventCursor end;
  LogTail tail = LogTail::Clean;
  int64_t unreadable = 0;
};

Result<Batch> readBatch(const path& file, const RunCursor& from) {
  Batch batch;
  batch.end = {static_cast<uint64_t>(from.position), static_cast<uint64_t>(from.sequence)};
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) {
    if (from.position > 0) batch.tail = LogTail::Replaced;
    return batch;
  }
  if (status.st_size == from.position || status.st_size == 0) {
    if (status.st_size < from.position) batch.tail = LogTail::Replaced;
    return batch;
  }
  Result<EventReader> reader = EventReader::open(file, batch.end);
  if (!reader) return reader.error();
  Result<LogTail> tail = reader->read(
      [&batch, &file](const EventRecord& record) {
        Result<event::Event> parsed = event::parseEvent(record.payload, pathText(file));
        if (parsed)
          batch.events.push_back({static_cast<int64_t>(record.sequence), std::move(*parsed)});
        else
          ++batch.unreadable;
        return true;
      },
      kBatchBytes);
  if (!tail) return tail.error();
  batch.tail = *tail;
  batch.end = reader->cursor();
  return batch;
}

class FolderIngest {
 public:
  FolderIngest(Store& store, RunFolder folder, std::string id, IngestReport& report)
      : m_database(store.database()), m_folder(std::move(folder)), m_id(std::move(id)), m_report(report) {}

  Result<void> run(const std::optional<RunCursor>& known) {
    RunCursor cursor;
    if (known) {
      cursor = *known;
    } else {
      Result<RunCursor> made = makeRow();
      if (!made) return made.error();
      cursor = *made;
    }
    // A log that keeps being replaced under us must not hold this call for ever.
    for (int turn = 0, replaced = 0; turn < 1000000 && replaced < 3; ++turn) {
      Result<Batch> batch = readBatch(m_folder.eventsFile(), cursor);
      if (!batch) return batch.error();
      if (batch->tail == LogTail::Replaced) {
        ++replaced;
        if (Result<void> wiped = startOver(cursor); !wiped) return wiped;
        continue;
      }
      const bool moved = batch->end.offset != static_cast<uint64_t>(cursor.position);
      if (moved) {
        Result<bool> applied = apply(*batch, cursor);
        if (!applied) return applied.error();
        if (!*applied) continue;  // somebody else was faster; cursor is theirs now
      }
      if (batch->tail != LogTail::More) break;
    }
    if (Result<void> settled = settle(cursor); !settled) return settled;
    if (m_changed) {
      ++m_report.runsChanged;
      m_report.changedIds.push_back(m_id);
    }
    return {};
  }

 private:
  Result<RunCursor> makeRow() {
    Result<FolderFacts> facts = readFacts(m_folder);
    if (!facts) return facts.error();
    return m_database.write("a run is added to the store", kDerived, [&]() -> Result<RunCursor> {
      if (auto present = loadRun(m_database, m_id)) {
        // Known from elsewhere (merged, or its folder was moved): the folder is here now.
        present->folder = folderText(m_database, m_folder.path());
        saveRun(m_database, *present);
        return loadCursor(m_database, present->rid);
      }
      RunRecord run;
      run.uuid = m_id;
      run.created = facts->info.created > 0 ? facts->info.created : kUnknown;
      run.host = facts->info.host;
      run.version = facts->info.version;
      run.parent = facts->info.parent;
      run.parentStep = facts->info.parentStep;
      run.folder = folderText(m_database, m_folder.path());
      insertRun(m_database, run);
      storeConfig(m_database, run, facts->config);
      saveRun(m_database, run);
      ++m_report.runsAdded;
      m_changed = true;
      return RunCursor{};
    });
  }

  // False: another program has moved the cursor meanwhile; `cursor` is then its.
  Result<bool> apply(const Batch& batch, RunCursor& cursor) {
    RunCursor next = cursor;
    Result<bool> done = m_database.write("events are taken into the store", kDerived, [&]() -> Result<bool> {
      auto run = loadRun(m_database, m_id);
      if (!run)
        return Error{ErrorCode::Store, "the run was removed meanwhile", m_id, "", "", "Nothing needs to be done."};
      next = loadCursor(m_database, run->rid);
      if (next.position != cursor.position || next.sequence != cursor.sequence) return false;
      EventApplier applier(m_database, *run, next);
      for (const NumberedEvent& numbered : batch.events) applier.apply(numbered);
      applier.finish();
      next.position = static_cast<int64_t>(batch.end.offset);
      next.sequence = static_cast<int64_t>(batch.end.sequence);
      saveRun(m_database, *run);
      saveCursor(m_database, run->rid, next);
      return true;
    });
    if (!done) return done;
    cursor = next;
    if (*done) {
      m_changed = true;
      m_report.events += static_cast<int64_t>(batch.events.size());
      if (batch.unreadable > 0)
        logWarning("store", "{}: {} events could not be understood and were passed over",
                   pathText(m_folder.eventsFile()), batch.unreadable);
    }
    return done;
  }

  Result<void> startOver(RunCursor& cursor) {
    logInfo("store", "{} is another log than before; it is read again from the start", pathText(m_folder.eventsFile()));
    return m_database.write("a run is read again", kDerived, [&]() -> Result<void> {
      auto run = loadRun(m_database, m_id);
      if (!run)
        return Error{ErrorCode::Store, "the run was removed meanwhile", m_id, "", "", "Nothing needs to be done."};
      const RunCursor now = loadCursor(m_database, run->rid);
      if (now.position != cursor.position || now.sequence != cursor.sequence) {
        cursor = now;
        return {};
      }
      wipeRun(m_database, *run);
      saveRun(m_database, *run);
      cursor = {};
      m_changed = true;
      return {};
    });
  }

  // A run without an end whose process is gone was interrupted, whatever it said last.
  Result<void> settle(RunCursor& cursor) {
    if (cursor.complete != 0 || cursor.sequence == 0) return {};
    const Liveness liveness = runLiveness(m_folder.path());
    if (liveness != Liveness::Dead && liveness != Liveness::Finished) return {};
    std::string status = "interrupted", detail = "its process ended without saying so; it can be resumed";
    double ended = event::unixTime();
    if (const Result<HeartbeatRecord> heartbeat = readHeartbeat(m_folder.path()); heartbeat) {
      if (liveness == Liveness::Finished) {
        // The end event may be on its way; it is waited for a little.
        if (event::unixTime() - heartbeat->time < 5) return {};
        status = event::runStateName(heartbeat->state);
        detail = "its last events were lost";
      }
      ended = heartbeat->time;
    }
    return m_database.write("a run's end is noted", kDerived, [&]() -> Result<void> {
      auto run = loadRun(m_database, m_id);
      if (!run) return {};
      RunCursor now = loadCursor(m_database, run->rid);
      if (now.sequence != cursor.sequence || now.complete != 0) return {};
      run->status = status;
      run->statusDetail = detail;
      run->finished = ended;
      run->eta = kUnknown;
      now.complete = 2;
      saveRun(m_database, *run);
      saveCursor(m_database, run->rid, now);
      m_changed = true;
      return {};
    });
  }

  StoreDatabase& m_database;
  RunFolder m_folder;
  std::string m_id;
  IngestReport& m_report;
  bool m_changed = false;
};

bool hasConfig(const RunFolder& folder) {
  std::error_code failure;
  return std::filesystem::is_regular_file(folder.configFile(), failure);
}

}  // namespace

IngestReport ingestRuns(Store& store, const path& runsDir, IngestScope scope) {
  IngestReport report;
  StoreDatabase& database = store.database();
  Result<std::unordered_map<std::string, Seen>> known =
      database.read("the runs are listed", [&]() -> Result<std::unordered_map<std::string, Seen>> {
        std::unordered_map<std::string, Seen> all;
        Query query(database,
                    "SELECT r.uuid, r.folder, c.position, c.sequence, c.life, c.complete FROM runs r "
                    "JOIN run_cursors c ON c.rid = r.rid");
        while (query.step())
          all[query.text(0)] = {{query.integer(2), query.integer(3), query.integer(4), query.integer(5)},
                                query.text(1)};
        return all;
      });
  if (!known) {
    report.problems.push_back(known.error());
    return report;
  }
  std::vector<path> folders;
  std::error_code failure;
  for (std::filesystem::directory_iterator entry(runsDir, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (folders.size() >= limits::kRunFolders) break;
    if (isUuid(entry->path().filename().string())) folders.push_back(entry->path());
  }
  if (failure && failure != std::errc::no_such_file_or_directory)
    report.problems.push_back(systemError(failure.value(), "the folder of the runs cannot be read", runsDir));
  std::sort(folders.begin(), folders.end());

  // Finished runs may be resumed; in Active they are looked at in turns.
  const size_t turn = database.ingestTurn;
  database.ingestTurn = folders.empty() ? 0 : (turn + kRecheckedPerCall) % folders.size();
  for (size_t i = 0; i < folders.size(); ++i) {
    const RunFolder folder(folders[i]);
    const std::string id = folder.id();
    const auto seen = known->find(id);
    std::optional<RunCursor> cursor;
    if (seen != known->end()) {
      const size_t distance = (i + folders.size() - turn) % folders.size();
      if (scope == IngestScope::Active && seen->second.cursor.complete != 0 && distance >= kRecheckedPerCall) continue;
      ++report.runsSeen;
      if (folderPath(database, seen->second.folder) == folders[i]) cursor = seen->second.cursor;
      struct stat log {};
      if (cursor && cursor->complete != 0 && stat(folder.eventsFile().c_str(), &log) == 0 &&
          log.st_size == cursor->position)
        continue;
    } else if (!hasConfig(folder)) {
      continue;
    } else {
      ++report.runsSeen;
    }
    if (Result<void> done = FolderIngest(store, folder, id, report).run(cursor); !done) {
      report.problems.push_back(done.error());
      if (done.error().code == ErrorCode::Store && report.problems.size() > 3)
        break;  // busy or damaged: the rest fares no better
    }
  }
  return report;
}

Result<IngestReport> ingestRun(Store& store, const path& runDir) {
  IngestReport report;
  std::error_code failure;
  path absolute = std::filesystem::absolute(runDir, failure).lexically_normal();
  if (!absolute.has_filename()) absolute = absolute.parent_path();
  const RunFolder folder(absolute);
  if (!hasConfig(folder))
    return Error{ErrorCode::BadInput,         "this is not a run's folder",
                 pathText(absolute),          "no config.json",
                 "a folder with config.json", "Give the folder of one run, for example runs/<uuid>."};
  const std::string id = runIdOf(folder);
  if (id.empty())
    return Error{ErrorCode::BadInput,
                 "the run has no id",
                 pathText(absolute),
                 "",
                 "a folder named by a uuid, or a run.json with one",
                 "Rename the folder to a new uuid, or copy the whole run folder again."};
  report.runsSeen = 1;
  StoreDatabase& database = store.database();
  Result<std::optional<RunCursor>> known =
      database.read("a run is looked up", [&]() -> Result<std::optional<RunCursor>> {
        const auto run = loadRun(database, id);
        if (!run || folderPath(database, run->folder) != absolute) return std::optional<RunCursor>();
        return std::optional<RunCursor>(loadCursor(database, run->rid));
      });
  if (!known) return known.error();
  if (Result<void> done = FolderIngest(store, folder, id, report).run(*known); !done) return done.error();
  return report;
}

}  // namespace rankscope
