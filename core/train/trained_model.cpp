#include "core/train/trained_model.h"

#include <fmt/format.h>

#include <charconv>

#include "core/io/safetensors.h"
#include "core/methods/trained_parameters.h"
#include "core/train/checkpoint.h"

namespace rankscope {
namespace {

// Step of the best checkpoint as the newest one tells it.
Result<int64_t> bestStep(const RunFolder& run) {
  std::vector<Error> warnings;
  Result<FoundCheckpoint> newest = findGoodCheckpoint(run.path(), -1, warnings);
  if (!newest) return newest.error();
  if (newest->contents.trainer.bestStep < 0)
    return Error{ErrorCode::Usage, "the run has no best checkpoint", run.id(), "no evaluation", "an evaluated run",
                 "Use --checkpoint last."};
  return newest->contents.trainer.bestStep;
}

Result<FoundCheckpoint> chooseCheckpoint(const RunFolder& run, const std::string& which) {
  int64_t step = -1;
  if (which == "best") {
    Result<int64_t> best = bestStep(run);
    if (!best) return best.error();
    step = *best;
  } else if (which != "last") {
    const auto [end, failure] = std::from_chars(which.data(), which.data() + which.size(), step);
    if (failure != std::errc() || end != which.data() + which.size() || step < 0)
      return Error{ErrorCode::Usage, "this names no checkpoint", "--checkpoint", which, "last, best, or a step",
                   "Look at the folders under the run's checkpoints/."};
  }
  std::vector<Error> warnings;
  Result<FoundCheckpoint> found = findGoodCheckpoint(run.path(), step, warnings);
  if (found && step >= 0 && found->info.step != step)
    return Error{ErrorCode::Usage, "the run has no good checkpoint at this step", "--checkpoint", which,
                 fmt::format("the nearest before it is {}", found->info.step),
                 fmt::format("Use --checkpoint {}.", found->info.step)};
  return found;
}

// A run whose checkpoints were removed still has its adapter.
Result<void> loadAdapter(const RunFolder& run, Method& method) {
  auto file = SafetensorsFile::open(run.adapter() / "adapter_model.safetensors");
  if (!file) return file.error();
  std::map<std::string, at::Tensor> tensors;
  for (const TensorInfo& info : (*file)->header().tensors) {
    Result<at::Tensor> tensor = (*file)->tensor(info.name);
    if (!tensor) return tensor.error();
    tensors.emplace(info.name, *tensor);
  }
  return method.loadAdapterTensors(tensors);
}

}  // namespace

Result<TrainedModel> loadRunModel(const RunFolder& run, const Places& places, const TrainedModelOptions& options) {
  Result<RunConfig> config = run.config();
  if (!config) return config.error();
  Result<FoundCheckpoint> checkpoint = chooseCheckpoint(run, options.checkpoint);
  std::error_code ignored;
  const bool adapterOnly = !checkpoint && listCheckpoints(run.path()).empty() && options.checkpoint == "last" &&
                           std::filesystem::exists(run.adapter(), ignored);
  if (!checkpoint && !adapterOnly) return checkpoint.error();

  SetupOptions setupOptions;
  setupOptions.data = options.data;
  setupOptions.optimizer = false;
  setupOptions.threads = options.threads;
  setupOptions.computeDtype = options.computeDtype;
  setupOptions.stateFollows = true;
  if (checkpoint) {
    setupOptions.labels = checkpoint->contents.trainer.labels;
    if (options.computeDtype.empty()) setupOptions.computeDtype = checkpoint->contents.trainer.computeDtype;
  }
  Result<TrainingSetup> setup = setUpTraining(*config, places, setupOptions);
  if (!setup) return setup.error();
  TrainedModel trained;
  trained.setup = std::move(*setup);
  trained.run = run;
  if (adapterOnly) {
    if (auto loaded = loadAdapter(run, *trained.setup.method); !loaded) return loaded.error();
    return trained;
  }
  const CheckpointContents& contents = checkpoint->contents;
  if (auto copied = copyInto(trained.setup.method->trainable(), contents.trainable); !copied) return copied.error();
  if (auto loaded = trained.setup.method->loadState(contents.method); !loaded) return loaded.error();
  trained.step = contents.trainer.step;
  trained.tokens = contents.trainer.tokens;
  trained.seconds = contents.trainer.seconds;
  if (options.data)
    trained.epoch = StepPlan(planSettingsOf(*config, std::max<size_t>(1, trained.setup.data.train.size()))).epochAt(trained.step);
  return trained;
}

Result<TrainedModel> loadPlainModel(const RunConfig& config, const Places& places, const TrainedModelOptions& options) {
  SetupOptions setupOptions;
  setupOptions.data = false;
  setupOptions.method = false;
  setupOptions.optimizer = false;
  setupOptions.threads = options.threads;
  setupOptions.computeDtype = options.computeDtype;
  Result<TrainingSetup> setup = setUpTraining(config, places, setupOptions);
  if (!setup) return setup.error();
  TrainedModel trained;
  trained.setup = std::move(*setup);
  return trained;
}

}  // namespace rankscope
