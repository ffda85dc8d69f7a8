#pragma once
// A training of any method on a small model of any family, for the tests of what methods promise.

#include <QtTest/QtTest>

#include "core/methods/inserted.h"
#include "core/methods/peft_format.h"
#include "core/methods/registry.h"
#include "core/optim/registry.h"
#include "tests/support/fake_training.h"
#include "tests/support/random_models.h"

namespace rankscope::testing {

inline PackedBatch batchOf(const std::vector<int64_t>& lengths, HeadKind head, uint64_t seed = 0) {
  PackedBatch batch;
  batch.starts = {0};
  std::vector<int64_t> ids, positions, labels;
  for (const int64_t length : lengths) {
    for (int64_t t = 0; t < length; ++t) {
      ids.push_back(2 + (static_cast<int64_t>(ids.size() + seed) * 17 + t * 5) % 58);
      positions.push_back(t);
    }
    batch.starts.push_back(batch.starts.back() + length);
    batch.prompts.push_back(head == HeadKind::CausalLm ? (length + 1) / 2 : length);
    labels.push_back(static_cast<int64_t>(labels.size() + seed) % 3);
  }
  if (head == HeadKind::CausalLm) {
    labels.clear();
    for (size_t i = 0; i < ids.size(); ++i) labels.push_back(i + 1 < ids.size() ? ids[i + 1] : -100);
  }
  batch.inputIds = at::tensor(ids, at::kLong);
  batch.positionIds = at::tensor(positions, at::kLong);
  batch.labels = at::tensor(labels, at::kLong);
  return batch;
}

inline MethodSettings settingsOf(const std::string& method, const nlohmann::json& options) {
  MethodSettings settings;
  settings.name = method;
  settings.rank = 3;
  settings.seed = 4;
  settings.options = options;
  return settings;
}

// A model with a method on it, and its optimizer.
struct Training {
  Training(const nlohmann::json& config, const MethodSettings& settings, at::ScalarType dtype,
           HeadKind task = HeadKind::SequenceClassification)
      : head(task), model(randomModel(config, task, dtype)), method(test::attached(*model, settings)) {
    auto ready = makeOptimizer(method->trainable(), {.weightDecay = 0.01});
    if (!ready) qFatal("%s", ready.error().message().c_str());
    optimizer = std::move(*ready);
  }

  PackedBatch batch(int64_t step = 0) const { return batchOf({7, 2, 11, 1, 5}, head, static_cast<uint64_t>(step)); }
  at::Tensor logits() const {
    const at::NoGradGuard noGrad;
    ForwardContext context;
    return model->logits(batch(), context);
  }
  at::Tensor loss(int64_t step) const {
    ForwardContext context;
    context.training = true;
    context.step = step;
    return model->loss(batch(step), context, 0);
  }
  void backward(int64_t step) const {
    for (const OptimizedParameter& p : method->trainable()) p.tensor.mutable_grad() = at::Tensor();
    loss(step).backward();
  }
  void run(int64_t from, int64_t to) {
    for (int64_t step = from; step < to; ++step) {
      backward(step);
      method->beforeStep({step, to, 0.01}, *optimizer);
      optimizer->step(0.01);
      method->afterStep({step, to, 0.01}, *optimizer);
    }
  }

  // The outputs of a second model of the same weights, after the method was saved to a folder and loaded on it; undefined,
  // and the test failed, where either is refused.
  at::Tensor logitsThroughFolder(const nlohmann::json& config, at::ScalarType dtype) const;

  HeadKind head;
  std::unique_ptr<Model> model;
  std::unique_ptr<Method> method;
  std::unique_ptr<Optimizer> optimizer;
};

inline at::Tensor Training::logitsThroughFolder(const nlohmann::json& config, at::ScalarType dtype) const {
  const QTemporaryDir folder;
  const std::filesystem::path path = folder.path().toStdString();
  const auto failed = [](const Error& error) {
    QTest::qFail(error.message().c_str(), __FILE__, __LINE__);
    return at::Tensor();
  };
  if (const auto saved = saveAdapterFolder(path, *method, *model, "base"); !saved) return failed(saved.error());
  const auto second = randomModel(config, head, dtype);
  if (const auto loaded = loadAdapterFolder(path, *second); !loaded) return failed(loaded.error());
  const at::NoGradGuard noGrad;
  ForwardContext context;
  return second->logits(batch(), context);
}

}  // namespace rankscope::testing
