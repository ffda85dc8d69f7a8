#pragma once
// From a RunQuery to the runs it means, in order, and their rows. Used inside a read of StoreDatabase.

#include <string>
#include <vector>

#include "core/store/database.h"
#include "core/store/run_types.h"

namespace rankscope {

FilterNames storeNames(StoreDatabase& database);
// rids in the order asked for, all pages. A wrong filter or sort key is an error of code Usage.
Result<std::vector<int64_t>> selectRuns(StoreDatabase& database, const RunQuery& query, const FilterNames& names);
std::vector<RunRow> loadRows(StoreDatabase& database, const std::vector<int64_t>& rids, bool withMetrics,
                             bool withSparkline);

}  // namespace rankscope
