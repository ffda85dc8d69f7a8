#pragma once
// A model of nothing but linear sites with zero weights: what a method needs to replay recorded gradients.

#include <memory>

#include "core/models/model.h"

namespace rankscope::golden {

class PairModel final : public Model {
 public:
  struct Shape {
    std::string name;
    int64_t out = 0, in = 0;
  };
  PairModel(const std::vector<Shape>& shapes, at::ScalarType dtype);

  const char* family() const override { return "pairs"; }
  void rebind() override;
  std::vector<std::string> headParameters() const override { return {}; }
  at::Tensor hidden(const PackedBatch&, ForwardContext&) override { return {}; }
  std::vector<at::Tensor> hiddenStates(const PackedBatch&, ForwardContext&) override { return {}; }
  at::Tensor logits(const PackedBatch&, ForwardContext&) override { return {}; }
  at::Tensor loss(const PackedBatch&, ForwardContext&, double) override { return {}; }

 private:
  std::vector<std::unique_ptr<LinearSite>> m_owned;
};

}  // namespace rankscope::golden
