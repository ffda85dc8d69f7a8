#pragma once
// Everything that a config stands for, loaded: tokenizer, data, model with the method attached, optimizer, schedule, plan
// of steps. Made once at the start of a life; owned by whoever trains, checks or evaluates. One thread.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/config/places.h"
#include "core/config/run_config.h"
#include "core/data/masking.h"
#include "core/data/prepare.h"
#include "core/methods/registry.h"
#include "core/models/registry.h"
#include "core/optim/registry.h"
#include "core/text/registry.h"
#include "core/train/image_batch.h"
#include "core/train/step_engine.h"
#include "core/train/step_plan.h"

namespace rankscope {

struct SetupOptions {
  bool data = true;       // false: model, tokenizer and method only
  bool method = true;     // false: the plain model
  bool optimizer = true;  // false: nothing will be trained
  std::vector<std::string> labels;  // known classes, when the data is not read
  bool stateFollows = false;  // a checkpoint is loaded into the method next
  std::filesystem::path stateFolder;  // for paged moments; empty: the runs folder, or that of temporary files
  int threads = 0;    // of an earlier life; 0: as the config says
  std::string computeDtype;  // of an earlier life; empty: as the config says
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(const std::string& what)> progress;
  // While a method seeks a start that takes long: how far it is, 0 … 1. False: leave, with ErrorCode::Interrupted.
  std::function<bool(const std::string& what, double share)> startProgress;
};

struct TrainingSetup {
  RunConfig config;
  DataTask task = DataTask::CausalLm;
  HeadKind head = HeadKind::CausalLm;
  std::filesystem::path modelFolder;
  int threads = 1;
  at::ScalarType computeDtype = at::kFloat;
  DataSettings dataSettings;
  PreparedData data;
  std::unique_ptr<Tokenizer> tokenizer;  // null for a task that reads images
  std::optional<TokenMasking> masking;   // of a masked language model
  ImageAugmentation augmentation;        // of training batches
  std::unique_ptr<Model> model;
  std::unique_ptr<Method> method;
  std::unique_ptr<Optimizer> optimizer;
  Schedule schedule;
  StepPlan plan;
  StepSettings stepSettings;
  std::vector<std::string> remarks;  // what loading found out of the ordinary, for the log

  PackedBatch pack(const TokenizedSet& set, std::span<const uint32_t> indices, uint64_t draw) const;
  std::vector<PackedBatch> packStep(int64_t step);  // the micro-batches of a training step

  int64_t trainableCount() const;
  // Of the model with its head and what the method adds, as PEFT counts them: a share of it is never above 1.
  int64_t parameterCount() const;
};

Result<TrainingSetup> setUpTraining(const RunConfig& config, const Places& places, const SetupOptions& options = {});

// The parts of it, for estimates and checks that load less.
Result<HeadKind> headOf(const RunConfig& config, const ModelFamily& family);
// Outputs of a classification head: one of a regression; as many as the data has classes, or, where that is not known (0),
// as many as the model's config.json names; at least two.
int64_t labelCountOf(const RunConfig& config, const nlohmann::json& modelConfig, int64_t classes);
Result<MethodSettings> methodSettingsOf(const RunConfig& config, const ModelFamily& family);
OptimizerSettings optimizerSettingsOf(const RunConfig& config);
StepPlan::Settings planSettingsOf(const RunConfig& config, size_t examples);
// bf16 where the processor has instructions for it.
Result<at::ScalarType> computeDtypeOf(const std::string& name);
const char* computeDtypeName(at::ScalarType type);  // "fp32", "bf16"
// The device that the config asks for, or why it cannot be had.
Result<std::string> deviceOf(const RunConfig& config);
int threadsOf(const RunConfig& config);
// Sets the number of threads of all operators and asks for deterministic ones.
void configureOperators(int threads);

}  // namespace rankscope
