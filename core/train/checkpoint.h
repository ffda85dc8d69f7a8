#pragma once
// Checkpoints of a run: checkpoints/step-00000120/ with manifest.json (size and CRC-32 of every file), trainer.json and
// safetensors files. A checkpoint is written beside its name, synced, renamed, and the folder synced, so that a name that
// exists is a whole checkpoint; the manifest's sums tell a damaged one. The trainer's thread writes; anyone may read.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

// Where training stands. The position in the data and every dropout mask follow from `step` and the seed of the config.
struct TrainerState {
  int64_t step = 0;      // optimizer steps done
  int64_t tokens = 0;    // trained so far
  double seconds = 0;    // of training (pauses, evaluations and checkpoints not counted)
  int64_t life = 1;      // which start of the run wrote this
  int threads = 0;       // sums over threads depend on their number: a resumed run uses the same
  std::string computeDtype;
  std::string bestMetric;
  double bestValue = 0;
  int64_t bestStep = -1;  // -1: none yet
  int64_t badEvaluations = 0;  // in a row without improvement
  int64_t lastEvaluatedStep = -1;
  std::vector<std::string> labels;  // classes by index, as found in the training data
  nlohmann::json lastEvaluation = nlohmann::json::object();  // its values
};

using TensorMap = std::map<std::string, at::Tensor>;

struct CheckpointContents {
  TrainerState trainer;
  TensorMap trainable;  // float32 masters, exact
  TensorMap optimizer;
  TensorMap method;
};

struct CheckpointInfo {
  std::filesystem::path path;
  int64_t step = 0;
  int64_t bytes = 0;
};

Result<CheckpointInfo> writeCheckpoint(const std::filesystem::path& runDir, const CheckpointContents& contents);
// Checks every size and sum before believing a byte.
Result<CheckpointContents> readCheckpoint(const std::filesystem::path& checkpoint);
// By step, newest first; unfinished ones (temporary names) are not listed.
std::vector<CheckpointInfo> listCheckpoints(const std::filesystem::path& runDir);
// Removes all but the newest `keep` and the one of `bestStep`, and what killed writers left behind.
void pruneCheckpoints(const std::filesystem::path& runDir, int64_t keep, int64_t bestStep);

// The newest checkpoint that is whole, at most `atStep` when that is >= 0; a damaged one is skipped and told in `warnings`.
struct FoundCheckpoint {
  CheckpointInfo info;
  CheckpointContents contents;
};
Result<FoundCheckpoint> findGoodCheckpoint(const std::filesystem::path& runDir, int64_t atStep,
                                           std::vector<Error>& warnings);

}  // namespace rankscope
