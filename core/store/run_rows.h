#pragma once
// Rows about runs as ingest and the user's edits write them. Used inside transactions of StoreDatabase.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/store/database.h"
#include "core/store/run_types.h"

namespace rankscope {

// The derived columns of table runs; what the user decides (name shown, star, …) is not among them.
struct RunRecord {
  int64_t rid = 0;
  std::string uuid, configName, status = "queued", statusDetail, method;
  std::optional<int64_t> rank;
  double alpha = kUnknown;
  std::string model, data, task;
  int64_t seed = 0;
  double created = kUnknown, started = kUnknown, finished = kUnknown;
  int64_t step = 0, totalSteps = 0, tokens = 0;
  double seconds = kUnknown, eta = kUnknown;
  int64_t peakMemory = 0, trainable = 0, parameters = 0;
  std::string bestMetric;
  double bestValue = kUnknown;
  int64_t bestStep = -1;
  double trainLoss = kUnknown, evalLoss = kUnknown;
  int64_t lives = 0;
  std::string host, version, device, computeDtype, chatTemplate, parent;
  int64_t parentStep = 0;
  std::string folder;  // relative to home where it lies inside
};

struct RunCursor {
  int64_t position = 0, sequence = 0, life = 0;
  int64_t complete = 0;  // 1: an end was seen; 2: its process is gone without one
};

std::optional<int64_t> findRid(StoreDatabase& database, const std::string& uuid);
int64_t requireRid(StoreDatabase& database, const std::string& uuid);  // ErrorException when there is no such run
std::optional<RunRecord> loadRun(StoreDatabase& database, const std::string& uuid);
void insertRun(StoreDatabase& database, RunRecord& run);  // sets rid; takes what the user said about the uuid before
void saveRun(StoreDatabase& database, const RunRecord& run);
RunCursor loadCursor(StoreDatabase& database, int64_t rid);
void saveCursor(StoreDatabase& database, int64_t rid, const RunCursor& cursor);

// Config as JSON, as flat values, and the columns that come from it.
void storeConfig(StoreDatabase& database, RunRecord& run, const nlohmann::json& config);
// Brings the copies in runs (name, star, …) and the search text in step with user_runs and tags.
void refreshUserColumns(StoreDatabase& database, const std::string& uuid);
// Forgets everything that events gave, to read the log again from the start.
void wipeRun(StoreDatabase& database, RunRecord& run);
// best_*, train_loss, eval_loss and the sparkline from the series.
void refreshSummary(StoreDatabase& database, RunRecord& run, bool sparkline);

std::string folderText(const StoreDatabase& database, const std::filesystem::path& folder);
std::filesystem::path folderPath(const StoreDatabase& database, const std::string& text);

}  // namespace rankscope
