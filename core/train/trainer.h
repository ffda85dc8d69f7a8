#pragma once
// Trains a run, from its folder's config to its end: the loop that knows no method, model or task by name. Everything
// that happens goes into the run's event log; wishes come in through control.json and the stop signals. One call, on the
// calling thread; the event log, the heartbeat and the control file have small threads of their own.

#include <nlohmann/json.hpp>
#include <optional>

#include "core/config/places.h"
#include "core/runlog/run_folder.h"
#include "core/train/estimate.h"
#include "core/train/run_recorder.h"

namespace rankscope {

struct TrainOptions {
  bool resume = false;    // go on from the newest good checkpoint; without one, from the start
  ProgressSink progress;  // on the trainer's thread
};

struct TrainOutcome {
  event::RunState state = event::RunState::Failed;  // Finished, Stopped, Interrupted or Failed
  std::optional<Error> error;
  int64_t step = 0;
  nlohmann::json summary = nlohmann::json::object();
  int exitCode() const;
};

TrainOutcome trainRun(const RunFolder& run, const Places& places, const TrainOptions& options);

// A new run that continues `parent` from its checkpoint at `atStep` (-1: the newest good one), with `config` instead of
// the parent's. The checkpoint is copied. `id`: the new run's, "" = a new one.
Result<RunFolder> branchRun(const RunFolder& parent, const Places& places, const RunConfig& config, int64_t atStep,
                            std::vector<Error>& warnings, const std::string& id = {});

// An Error for what was thrown while training: memory that could not be had is told from everything else.
Error errorFromException(const std::exception& problem, const RunConfig& config, const std::optional<RunEstimate>& estimate,
                         int64_t step);

}  // namespace rankscope
