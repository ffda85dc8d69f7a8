#pragma once
// Optimizers over float32 (or float64) parameters whose gradients lie in Tensor::grad().

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

struct OptimizedParameter {
  std::string name;  // unique: the key of the saved state
  at::Tensor tensor;
  double learningRateScale = 1.0;  // LoRA+ gives lora_B its own
  bool decay = true;               // weight decay applies (off for biases and norms in full fine-tuning)
  bool movedByMethod = false;      // the optimizer keeps nothing for it and passes it over
};

struct OptimizerSettings {
  std::string name = "adamw";  // or "sgd"
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weightDecay = 0.0;
  double momentum = 0.0;  // sgd
  std::filesystem::path pagedIn;  // folder of the file that holds the moments; empty: they lie in ordinary memory
};

// Moments of one parameter, for methods that move or precondition the state (RefLoRA-S, LoRA-RITE).
struct MomentView {
  at::Tensor first;  // undefined when the optimizer keeps none
  at::Tensor second;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // One update with the present gradients; parameters without a gradient are skipped. No autograd recording.
  virtual void step(double learningRate) = 0;
  virtual int64_t stepsTaken() const = 0;
  virtual const OptimizerSettings& settings() const = 0;
  virtual MomentView moments(const at::Tensor& parameter) = 0;
  // Everything resume needs, by "<parameter name>.exp_avg" and the like; load checks names and shapes.
  virtual std::map<std::string, at::Tensor> state() const = 0;
  virtual Result<void> loadState(const std::map<std::string, at::Tensor>& state) = 0;
};

}  // namespace rankscope
