#pragma once
// From the run folders into the store. Each run has a cursor {offset, sequence, life} that moves in the same
// transaction as the rows made from the events before it, so ingest may stop anywhere, run twice, or run in two
// processes, and the rows are those of one pass. Events are read and parsed outside the store's lock; only short
// transactions hold it. Calls block: they belong on a worker thread.

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/store/store.h"

namespace rankscope {

struct IngestReport {
  int64_t runsSeen = 0, runsChanged = 0, runsAdded = 0, events = 0;
  std::vector<std::string> changedIds;  // runs with anything new
  std::vector<Error> problems;          // folders that could not be read; the others are done
};

enum class IngestScope {
  All,    // look at every folder (one stat each)
  Active  // runs that may still be living, and folders not seen before: cheap enough for several times a second
};

IngestReport ingestRuns(Store& store, const std::filesystem::path& runsDir, IngestScope scope = IngestScope::All);
// One folder, whose name need not be its id; the id is its config's or the folder's name.
Result<IngestReport> ingestRun(Store& store, const std::filesystem::path& runDir);

struct RebuildReport {
  IngestReport ingest;
  bool wasDamaged = false;
  std::filesystem::path movedAside;  // the damaged file, if it was
  int64_t userRowsSaved = 0;         // notes, tags, settings, jobs, spectra … that could be read from it
  int64_t keptWithoutFolder = 0;     // runs of a sound store whose folder is gone; they stay
  std::vector<std::string> lost;     // tables of the damaged file that could not be read to the end
};
// Makes every derived row again. A damaged file is moved aside and what only the user knew is saved from it.
Result<RebuildReport> rebuildStore(const std::filesystem::path& storePath);

}  // namespace rankscope
