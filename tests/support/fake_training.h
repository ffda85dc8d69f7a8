#pragma once
// Methods on the fake model, as their tests need them: settings, attaching, values away from the start, and training
// by real optimizer steps. A FakeTraining owns its model, method and optimizer. One thread.
//
// What a test cannot go on without is thrown: a method that cannot be attached, a gradient that is not finite.

#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/methods/method.h"
#include "core/optim/optimizer.h"
#include "tests/support/fake_model.h"

namespace rankscope::test {

using TensorMap = std::map<std::string, at::Tensor>;

// Rank 3 and alpha 6; without targets on q_proj and down_proj, or on all that full fine-tuning trains.
MethodSettings smallSettings(const std::string& method, const nlohmann::json& options = {},
                             const std::vector<std::string>& targets = {});

// The two batches of a FakeTraining, for starts that look at gradients.
StartSupport fakeSupport(const Model& model);

std::unique_ptr<Method> attached(Model& model, const MethodSettings& settings);
std::unique_ptr<Method> attached(Model& model, const MethodSettings& settings, StartSupport support);

// Adds noise to what trains, as if after training; to what has `part` in its name where one is given.
void disturb(const Method& method, double deviation = 0.1, const std::string& part = {});

// Of fakeBatch(model), without dropout.
at::Tensor logitsOf(FakeModel& model);

// Values that follow from the name.
at::Tensor normalTensor(at::IntArrayRef shape, const std::string& name, double deviation = 1,
                        at::ScalarType dtype = at::kDouble);

// In float64, whatever the dtypes.
double sizeOf(const at::Tensor& tensor);  // Frobenius
double worstDifference(const at::Tensor& a, const at::Tensor& b);
double relativeDifference(const at::Tensor& a, const at::Tensor& b);  // ‖a − b‖ / ‖b‖

TensorMap copiesOf(const TensorMap& tensors);
TensorMap trainedTensors(const Method& method);  // copies, by name
// The first name that only one of them has or that is not the same to the bit; empty: there is none.
std::string firstDifference(const TensorMap& one, const TensorMap& other);

struct FakeTrainingOptions {
  at::ScalarType dtype = at::kFloat;
  OptimizerSettings optimizer{.weightDecay = 0.01};
  double learningRate = 0.01;
  double maxGradNorm = 1;  // 0: gradients are not clipped
  int64_t totalSteps = 20;
  bool moreSites = false;
};

// What a checkpoint keeps of a training; copies.
struct FakeCheckpoint {
  TensorMap trainable, optimizer, method;
};

// The trainer's step (core/train/step_engine.cpp) on two batches in turn, in its two halves.
class FakeTraining {
 public:
  explicit FakeTraining(const MethodSettings& settings, const FakeTrainingOptions& options = {});

  // Once, before the first step of a training that is not resumed.
  void start();
  // Fresh gradients of the loss and of the method's own term.
  void backward(int64_t step);
  // With the gradients there are: clips, steps, and calls the method around it.
  void update(int64_t step);
  void step(int64_t number);
  void run(int64_t from, int64_t to);  // steps from … to − 1

  FakeCheckpoint checkpoint() const;
  Result<void> resume(const FakeCheckpoint& checkpoint);

  StepInfo infoOf(int64_t step) const { return {step, options.totalSteps, options.learningRate}; }
  at::Tensor logits() { return logitsOf(model); }

  FakeTrainingOptions options;
  FakeModel model;
  std::unique_ptr<Method> method;
  std::unique_ptr<Optimizer> optimizer;
};

}  // namespace rankscope::test
