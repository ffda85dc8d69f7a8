#pragma once
// A small model of our own for tests that need sites, a head and gradients but no files: an embedding, two blocks of
// three linear sites with a norm, mean pooling and a classifier. Weights are a function of the seed. float32, bfloat16
// or float64.

#include <ATen/ATen.h>

#include <memory>

#include "core/models/model.h"

namespace rankscope::test {

struct FakeModelOptions {
  at::ScalarType dtype = at::kFloat;
  uint64_t seed = 1;
  bool classification = true;  // false: a language model whose lm_head is tied to the embedding
  bool moreSites = false;      // the embedding is a site, and a convolution "model.patches" joins the stream before the blocks
};

class FakeModel final : public Model {
 public:
  static constexpr int64_t kHidden = 12, kInner = 20, kNarrow = 8, kVocab = 17, kLabels = 3, kLayers = 2;

  explicit FakeModel(const FakeModelOptions& options = {});

  const char* family() const override { return "fake"; }
  void rebind() override;
  std::vector<std::string> headParameters() const override;
  at::Tensor hidden(const PackedBatch& batch, ForwardContext& context) override;
  std::vector<at::Tensor> hiddenStates(const PackedBatch& batch, ForwardContext& context) override;
  at::Tensor logits(const PackedBatch& batch, ForwardContext& context) override;
  at::Tensor loss(const PackedBatch& batch, ForwardContext& context, double normaliser) override;

  LinearSite& site(const std::string& name);

 private:
  bool m_moreSites;
  std::vector<std::unique_ptr<LinearSite>> m_owned;
};

// Three sequences of different lengths with labels that fit the model's head.
PackedBatch fakeBatch(const Model& model, uint64_t seed = 3);

}  // namespace rankscope::test
