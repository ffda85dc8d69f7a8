#include "tests/support/fake_training.h"

#include <stdexcept>

#include "core/methods/registry.h"
#include "core/methods/seeded_start.h"
#include "core/methods/trained_parameters.h"
#include "core/optim/clip.h"
#include "core/optim/registry.h"

namespace rankscope::test {

namespace {

void orThrow(const auto& result) {
  if (!result) throw std::runtime_error(result.error().message());
}

}  // namespace

MethodSettings smallSettings(const std::string& method, const nlohmann::json& options,
                             const std::vector<std::string>& targets) {
  MethodSettings settings;
  settings.name = method;
  settings.rank = 3;
  settings.alpha = 6;
  settings.seed = 4;
  settings.targetModules = targets;
  if (targets.empty() && methodKind(method) == MethodKind::LowRank) settings.targetModules = {"q_proj", "down_proj"};
  if (!options.is_null()) settings.options = options;
  return settings;
}

StartSupport fakeSupport(const Model& model) {
  StartSupport support;
  support.batches = 2;
  support.batch = [&model](int64_t number) { return fakeBatch(model, static_cast<uint64_t>(number)); };
  return support;
}

std::unique_ptr<Method> attached(Model& model, const MethodSettings& settings) {
  return attached(model, settings, fakeSupport(model));
}

std::unique_ptr<Method> attached(Model& model, const MethodSettings& settings, StartSupport support) {
  auto method = makeMethod(settings);
  orThrow(method);
  (*method)->supportStart(std::move(support));
  orThrow((*method)->attach(model));
  return std::move(method).value();
}

void disturb(const Method& method, double deviation, const std::string& part) {
  const at::NoGradGuard noGrad;
  for (const OptimizedParameter& p : method.trainable()) {
    if (p.name.find(part) == std::string::npos) continue;
    at::Tensor noise = at::empty_like(p.tensor.detach()), target = p.tensor;
    fillNormal(noise, deviation, 8, p.name);
    target.add_(noise);
  }
}

at::Tensor logitsOf(FakeModel& model) {
  const at::NoGradGuard noGrad;
  ForwardContext context;
  return model.logits(fakeBatch(model), context);
}

at::Tensor normalTensor(at::IntArrayRef shape, const std::string& name, double deviation, at::ScalarType dtype) {
  at::Tensor values = at::empty(shape, at::kDouble);
  fillNormal(values, deviation, 11, name);
  return values.to(dtype);
}

double sizeOf(const at::Tensor& tensor) { return tensor.detach().to(at::kDouble).norm().item<double>(); }

double worstDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.detach().to(at::kDouble) - b.detach().to(at::kDouble)).abs().max().item<double>();
}

double relativeDifference(const at::Tensor& a, const at::Tensor& b) {
  return sizeOf(a.detach().to(at::kDouble) - b.detach().to(at::kDouble)) / sizeOf(b);
}

TensorMap copiesOf(const TensorMap& tensors) {
  TensorMap copies;
  for (const auto& [name, tensor] : tensors) copies[name] = tensor.detach().clone();
  return copies;
}

TensorMap trainedTensors(const Method& method) {
  TensorMap copies;
  for (const OptimizedParameter& p : method.trainable()) copies[p.name] = p.tensor.detach().clone();
  return copies;
}

std::string firstDifference(const TensorMap& one, const TensorMap& other) {
  for (const auto& [name, tensor] : one) {
    const auto there = other.find(name);
    if (there == other.end() || !at::equal(tensor, there->second)) return name;
  }
  for (const auto& [name, tensor] : other)
    if (one.count(name) == 0) return name;
  return {};
}

FakeTraining::FakeTraining(const MethodSettings& settings, const FakeTrainingOptions& chosen)
    : options(chosen), model({.dtype = chosen.dtype, .moreSites = chosen.moreSites}), method(attached(model, settings)) {
  auto made = makeOptimizer(method->trainable(), options.optimizer);
  orThrow(made);
  optimizer = std::move(made).value();
}

void FakeTraining::start() { method->onStart(*optimizer); }

void FakeTraining::backward(int64_t step) {
  for (const OptimizedParameter& p : method->trainable()) p.tensor.mutable_grad() = at::Tensor();
  ForwardContext context;
  context.training = true;
  context.step = step;
  context.dropoutSeed = static_cast<uint64_t>(step) + 1;
  model.loss(fakeBatch(model, static_cast<uint64_t>(step % 2)), context, 0).backward();
  if (const at::Tensor term = method->lossTerm(); term.defined()) term.backward();
}

void FakeTraining::update(int64_t step) {
  const StepInfo info = infoOf(step);
  method->beforeClipping(info);
  orThrow(clipGradients(method->trainable(), options.maxGradNorm));
  method->beforeStep(info, *optimizer);
  optimizer->step(info.learningRate);
  method->afterStep(info, *optimizer);
}

void FakeTraining::step(int64_t number) {
  backward(number);
  update(number);
}

void FakeTraining::run(int64_t from, int64_t to) {
  for (int64_t number = from; number < to; ++number) step(number);
}

FakeCheckpoint FakeTraining::checkpoint() const {
  return {trainedTensors(*method), copiesOf(optimizer->state()), copiesOf(method->state())};
}

Result<void> FakeTraining::resume(const FakeCheckpoint& checkpoint) {
  if (auto copied = copyInto(method->trainable(), checkpoint.trainable); !copied) return copied;
  if (auto loaded = optimizer->loadState(checkpoint.optimizer); !loaded) return loaded;
  return method->loadState(checkpoint.method);
}

}  // namespace rankscope::test
