#pragma once
// A sweep: one config over a grid of options and seeds. The plan makes the configs; the table puts what came of them
// side by side, one row per place of the grid with mean ± sd over the seeds. Plain functions.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/trainer/command.h"
#include "core/config/run_config.h"
#include "core/store/job_types.h"
#include "core/store/run_types.h"

namespace rankscope {

// "method.rank=2,4,8": a key and the values it takes. Values that hold commas themselves (lists, maps) are parted by
// semicolons: "method.target_modules=q_proj,v_proj;all-linear".
struct SweepAxis {
  std::string key;
  std::vector<std::string> values;
};
Result<SweepAxis> parseSweepAxis(const std::string& text);

struct SweepPlan {
  std::vector<std::string> keys;   // of the axes, "seed" last when there are seeds
  std::vector<RunConfig> configs;  // in order: the first axis slowest, seeds fastest; no two alike
  int64_t alike = 0;               // places of the grid left out because an option does not apply there
};
// Every mistake of every config is told at once, each only once.
Result<SweepPlan> planSweep(const RunConfig& base, std::vector<SweepAxis> axes, const std::vector<int64_t>& seeds,
                            const Places& places, std::vector<Error>& mistakes);

// One run of a sweep: its config (as the job froze it) and what the store knows of it.
struct SweepRun {
  RunConfig config;
  Job job;
  std::optional<RunRow> row;  // none before it starts
};
struct SweepTable {
  TextTable table;
  nlohmann::json document;  // [{values:{key: value}, runs:[id], finished: n, statistics:{name: {n, mean, sd, …}}}]
};
SweepTable sweepTable(const std::vector<std::string>& keys, const std::vector<SweepRun>& runs);

}  // namespace rankscope
