#pragma once
// A fine-tuning method as a set of small decisions: where it attaches, what a site computes, how it starts, which
// tensors train, what happens around the optimizer's step, how it merges. The trainer knows no method by name.
//
// Conventions (METHODS 0): W [out, in], A [r, in], B [out, r], ΔW = s B A.

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/methods/start_support.h"
#include "core/models/model.h"
#include "core/optim/optimizer.h"

namespace rankscope {

struct MethodSettings {
  std::string name = "lora";
  int64_t rank = 8;
  double alpha = 8;
  double dropout = 0;
  std::vector<std::string> targetModules;      // as PEFT matches them: full name or ".suffix"; {"all-linear"}
  std::vector<std::string> layersToTransform;  // "3", "0-5", "8-"; empty: all
  std::map<std::string, int64_t> rankPattern;  // site name or suffix -> rank
  std::map<std::string, double> alphaPattern;
  std::string bias = "none";               // none | all | lora_only
  std::vector<std::string> modulesToSave;  // besides the task head, which always trains
  uint64_t seed = 0;
  // The trained tensors and the method's state are loaded next: a start that takes long to find is not sought.
  bool stateFollows = false;
  // The method's own keys: {"warmup_steps": 100, "interval": 1, "init": "kaiming"}; a key absent has its default.
  nlohmann::json options = nlohmann::json::object();
};

struct StepInfo {
  int64_t step = 0;  // optimizer step, from 0
  int64_t totalSteps = 0;
  double learningRate = 0;
};

// The two factors of one adapted site, for probes and spectra.
struct FactorPair {
  const LinearSite* site = nullptr;
  at::Tensor A;  // [r, in]
  at::Tensor B;  // [out, r]
  double scaling = 1;
  // Set where the start was taken out of the weight (W = W0 − s·startB·startA): the update is s (B A − startB startA).
  at::Tensor startA, startB;
  // DoRA: the rows of W + s B A have these norms [out] instead of their own.
  at::Tensor magnitude;
};

class Method {
 public:
  virtual ~Method() = default;
  virtual const MethodSettings& settings() const = 0;

  // Parameters that attach() replaces by something smaller, so that they can stay in their file while the model is loaded
  // (ModelLoadOptions::leftInFile).
  virtual std::set<std::string> leftInFile(const std::vector<SiteShape>&) const { return {}; }
  // Names of the model's own parameters that train under this method: the head, chosen modules, biases. What attach() goes
  // by; the model is read only and may be one of shapes alone. The errors are those of settings that do not fit the model.
  virtual Result<std::vector<std::string>> wholeParameters(const Model& model) const = 0;
  // For what attach() does next; not kept beyond it.
  virtual void supportStart(StartSupport) {}
  // Puts adapters on the model's sites, freezes and unfreezes, draws the start from settings().seed.
  virtual Result<void> attach(Model& model) = 0;
  // Everything that trains, the task head included; names as in PEFT files without the "base_model.model." prefix.
  virtual std::vector<OptimizedParameter> trainable() const = 0;

  // What training adds to the loss of a step besides the model's own (AdaLoRA's orthogonality): once a step, whatever the
  // number of micro-batches. Undefined: nothing.
  virtual at::Tensor lossTerm() const { return {}; }

  // With the step's whole gradients, before they are clipped.
  virtual void beforeClipping(const StepInfo&) {}
  // Around the optimizer's step. Gradients are accumulated and clipped (METHODS 0, order of a step).
  virtual void beforeStep(const StepInfo&, Optimizer&) {}
  virtual void afterStep(const StepInfo&, Optimizer&) {}
  // Called once, after the optimizer exists and before the first step of a fresh (not resumed) run.
  virtual void onStart(Optimizer&) {}

  // State beyond the trainable tensors and the optimizer's (counters, frozen factors), for checkpoints.
  virtual std::map<std::string, at::Tensor> state() const { return {}; }
  virtual Result<void> loadState(const std::map<std::string, at::Tensor>&) { return {}; }

  virtual std::vector<FactorPair> factorPairs() const { return {}; }  // empty for full fine-tuning
  // Sites that change under this method (all trained linear sites for full fine-tuning).
  virtual std::vector<const LinearSite*> changedSites() const = 0;
  // W0 [out, in] of a changed site before training, when the method altered or trains the weight itself; else
  // undefined.
  virtual at::Tensor originalWeight(const LinearSite&) const { return {}; }

  // PEFT's files: adapter_config.json (sorted) and tensors "base_model.model.<site>.lora_A.weight". Full fine-tuning
  // has an empty config, since it saves a whole model instead; its tensors carry the checkpoint's names.
  virtual nlohmann::json adapterConfig(const Model& model, const std::string& basePath) const = 0;
  virtual std::map<std::string, at::Tensor> adapterTensors() const = 0;
  virtual Result<void> loadAdapterTensors(const std::map<std::string, at::Tensor>& tensors) = 0;

  // Folds the update into the base weights and removes the adapters.
  virtual Result<void> merge(Model& model) = 0;
};

}  // namespace rankscope
