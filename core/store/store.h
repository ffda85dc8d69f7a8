#pragma once
// The run store: the searchable history of all runs, what only the user knows about them, and the queue, in one SQLite
// file. A Store is one connection and belongs to one thread at a time; a second thread opens its own (about a
// millisecond). Reading never waits for a writer. Every write waits (bounded) for the store's lock file, so that one
// process at a time writes and checkpoints. Everything about runs is derived from the run folders (ingest.h) and can be
// made again; notes, tags, stars, colours, names, views, settings, spectra and jobs live only here.

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/config/result.h"
#include "core/store/filter.h"
#include "core/store/job_types.h"
#include "core/store/run_types.h"
#include "core/store/series_types.h"

namespace rankscope {

class StoreDatabase;  // connection, lock and cache; core/store/database.h

struct StoreCheck {
  bool sound = true;
  std::vector<std::string> problems;  // as SQLite words them, at most 100
  int64_t runs = 0, jobs = 0, bytes = 0;
  int version = 0;
};

struct MergeReport {
  int64_t added = 0, present = 0, foldersCopied = 0, userDataTaken = 0;
  std::vector<Error> problems;  // runs that could not be taken, and why
};

struct SavedView {
  std::string name;
  nlohmann::json body;
};

class Store {
 public:
  enum class Mode { ReadOnly, ReadWrite };

  // ReadWrite makes the file where there is none and brings an older one up to date (after a backup beside it).
  // The runs' folders are expected in `runs` beside the file, the trash in `trash`.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& path, Mode mode);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const std::filesystem::path& path() const;
  std::filesystem::path home() const;      // folder of the file
  std::filesystem::path runsDir() const;   // home/runs
  std::filesystem::path trashDir() const;  // home/trash
  Mode mode() const;
  // Longest wait for another writer before a call gives up with ErrorCode::Store; 5 s unless set.
  void setLockTimeout(std::chrono::milliseconds timeout);
  // A number that changes whenever anybody has written; compare with the one before to know whether to read again.
  Result<int64_t> revision();

  // --- runs (store_runs.cpp) ---
  Result<RunPage> listRuns(const RunQuery& query);
  Result<std::vector<std::string>> listRunIds(const RunQuery& query);  // the ids of listRuns()
  Result<RunRow> run(const std::string& id);
  // A uuid, a unique prefix of one (4 characters or more) or a name; several matches are an error that lists them.
  Result<std::string> resolveRun(const std::string& text);
  Result<std::vector<RunGroup>> groupRuns(const GroupQuery& query);
  Result<nlohmann::json> runConfig(const std::string& id);
  Result<std::vector<RunDifference>> configDifferences(const std::vector<std::string>& ids);
  Result<FilterNames> names();  // every metric and config key that occurs, for completion
  std::optional<FilterProblem> checkFilter(const std::string& text);  // none: it can be used
  // The distinct texts of a column or config key with how many runs have them, most frequent first.
  Result<std::vector<std::pair<std::string, int64_t>>> distinctValues(const std::string& field, int64_t limit = 200);

  // --- curves (store_series.cpp) ---
  Result<std::vector<std::string>> seriesNames(const std::string& id);
  Result<std::vector<SeriesInfo>> seriesInfo(const std::string& id);
  Result<Series> readSeries(const std::string& id, const std::string& name);
  // Points from index `from` on, to follow a live curve. A rewind shortens the series: compare seriesInfo().count.
  Result<Series> readSeriesFrom(const std::string& id, const std::string& name, int64_t from);
  Result<SeriesRange> readSeriesRange(const std::string& id, const std::string& name, double x0, double x1,
                                      int64_t maxBuckets, Axis axis = Axis::Step);

  // --- what else a run said (store_series.cpp) ---
  Result<std::vector<RunLogLine>> readLog(const std::string& id, const LogQuery& query);
  Result<std::vector<SampleRow>> samples(const std::string& id);
  Result<std::vector<CheckpointRow>> checkpoints(const std::string& id);
  Result<std::vector<ChangeRow>> changes(const std::string& id);
  Result<std::vector<SiteRow>> sites(const std::string& id);
  Result<nlohmann::json> summary(const std::string& id);  // of the end event; null before the end

  // --- what only the user knows (store_user.cpp); ids that do not exist are an error ---
  Result<void> setName(const std::string& id, const std::string& name);  // "" = the config's own again
  Result<void> setNote(const std::string& id, const std::string& markdown);
  Result<void> setTags(const std::string& id, const std::vector<std::string>& tags);
  Result<void> addTags(const std::vector<std::string>& ids, const std::vector<std::string>& tags);
  Result<void> removeTags(const std::vector<std::string>& ids, const std::vector<std::string>& tags);
  Result<std::vector<std::pair<std::string, int64_t>>> allTags();
  Result<void> setColour(const std::vector<std::string>& ids, const std::string& colour);
  Result<void> setStarred(const std::vector<std::string>& ids, bool starred);
  Result<void> setArchived(const std::vector<std::string>& ids, bool archived);
  // Moves the folders into the trash; live runs are refused. restoreRuns takes them back; emptyTrash is final.
  Result<void> deleteRuns(const std::vector<std::string>& ids);
  Result<void> restoreRuns(const std::vector<std::string>& ids);
  Result<int64_t> emptyTrash(const std::vector<std::string>& ids = {});  // none given: all; returns bytes freed
  Result<int64_t> folderBytes(const std::string& id);                    // reads the disk: not for the GUI's thread

  Result<std::vector<SavedView>> savedViews(const std::string& scope);  // scope: "runs", "compare", …
  Result<void> saveView(const std::string& scope, const SavedView& view);
  Result<void> deleteView(const std::string& scope, const std::string& name);
  Result<nlohmann::json> setting(const std::string& key);  // null when unset
  Result<void> setSetting(const std::string& key, const nlohmann::json& value);

  // --- queue (store_jobs.cpp) ---
  Result<Job> addJob(const JobSpec& spec);
  Result<std::vector<Job>> addJobs(const std::vector<JobSpec>& specs);  // all or none (a sweep)
  Result<Job> job(int64_t id);
  Result<std::vector<Job>> listJobs(bool withFinished = true);  // running, then by position, then finished ones
  Result<void> moveJob(int64_t id, int64_t place);              // to the place-th (from 0) of those waiting
  Result<void> holdJob(int64_t id, bool hold);
  Result<void> cancelJob(int64_t id);  // a waiting one at once; of a running one the runner is asked to stop it
  Result<Job> retryJob(int64_t id);    // a failed, cancelled or done one waits again, at the end
  Result<void> removeJob(int64_t id);  // a finished or cancelled one leaves the list
  // The first waiting job of that slot (or of any), now Running and owned by `worker`; none if nothing waits. Two
  // runners never get the same one. With `group`, only jobs of that group.
  Result<std::optional<Job>> claimNextJob(const std::string& slot, const std::string& worker,
                                          const std::string& group = {});
  Result<void> reportJob(int64_t id, double progress, const std::string& detail);
  Result<void> finishJob(int64_t id, JobState state, const std::optional<Error>& error = std::nullopt,
                         const nlohmann::json& result = nullptr);
  // Running jobs whose worker is gone wait again (or fail after `maxAttempts`); returns how many.
  Result<int64_t> recoverJobs(const std::function<bool(const Job&)>& workerAlive, int maxAttempts = 3);

  // --- spectra (store_spectra.cpp) ---
  Result<void> saveSpectrum(const SpectrumKey& key, const ArrayBlob& array);  // replaces one of the same key
  Result<ArrayBlob> readSpectrum(const SpectrumKey& key);
  Result<bool> hasSpectrum(const SpectrumKey& key);
  Result<std::vector<SpectrumInfo>> listSpectra(const std::string& owner);
  Result<void> deleteSpectra(const std::string& owner);

  // --- care (store_care.cpp) ---
  Result<StoreCheck> check(bool thorough);
  Result<void> backup(const std::filesystem::path& to);  // while in use; never over an existing file
  Result<MergeReport> merge(const std::filesystem::path& otherStore);

  StoreDatabase& database();  // for ingest and tests

 private:
  explicit Store(std::unique_ptr<StoreDatabase> database);
  std::unique_ptr<StoreDatabase> m_database;
};

}  // namespace rankscope
