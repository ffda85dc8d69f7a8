#pragma once
// Rows of the store as `--json` gives them and as tables for people; shared by `store` and `queue`.

#include "app/trainer/command.h"
#include "core/store/ingest.h"
#include "core/store/store.h"

namespace rankscope {

nlohmann::json runDocument(const RunRow& run);
TextTable runTable(const std::vector<RunRow>& runs, const std::vector<std::string>& metrics);
nlohmann::json statisticDocument(const GroupStatistic& statistic);
nlohmann::json ingestDocument(const IngestReport& report);
nlohmann::json jobDocument(const Job& job);
TextTable jobTable(const std::vector<Job>& jobs);
std::string formatTime(double unixSeconds);  // local, "2025-03-01 14:30"; "" when not known

// The store, opened for writing and brought in step with the run folders. Where it cannot be written it is opened for
// reading only, with a warning.
Result<std::unique_ptr<Store>> openCurrentStore(const CommandContext& context);

Result<std::vector<std::string>> resolveRuns(Store& store, const std::vector<std::string>& runs);

// Parts of `store` (store_care.cpp).
void addStoreEditing(CLI::App* store, CommandContext& context);
void addStoreCare(CLI::App* store, CommandContext& context);

}  // namespace rankscope
