#pragma once
// A model to ask things of: a run's (base, method and trained tensors of a checkpoint) or a plain model folder. For
// evaluation, generation, merging and export. Owned by the caller, one thread.

#include <optional>
#include <string>

#include "core/runlog/run_folder.h"
#include "core/train/setup.h"

namespace rankscope {

struct TrainedModelOptions {
  std::string checkpoint = "last";  // "last", "best", or a step
  std::string computeDtype;         // empty: as the run was trained
  int threads = 0;
  bool data = false;                // the run's data too
};

struct TrainedModel {
  TrainingSetup setup;           // method is null for a plain model
  std::optional<RunFolder> run;  // unset for a plain model
  int64_t step = 0;
  int64_t tokens = 0;
  double epoch = 0, seconds = 0;
};

Result<TrainedModel> loadRunModel(const RunFolder& run, const Places& places, const TrainedModelOptions& options);
// `config` names the folder (model.path) and, for a classifier, the task and labels.
Result<TrainedModel> loadPlainModel(const RunConfig& config, const Places& places, const TrainedModelOptions& options);

}  // namespace rankscope
