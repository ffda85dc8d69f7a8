#pragma once
// What stands on an encoder's hidden states: sequence classification or regression, masked tokens, answer spans. All of
// them are [dense → activation → norm] → output, where each part may be missing; the plan says which parts there are and
// what the checkpoint calls them. Owned by its model.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/models/layers.h"
#include "core/models/model.h"
#include "core/models/weights.h"

namespace rankscope {

struct HeadPlan {
  HeadKind kind = HeadKind::None;
  std::string dense{};       // "" where there is none
  bool denseIsSite = false;  // an encoder's pooler: a site of the model, which adapters reach
  Activation activation = Activation::Tanh;
  double denseDropout = 0;   // ahead of the dense map
  std::string norm{};        // behind the activation
  double eps = 1e-12;
  double outDropout = 0;
  std::string out{};      // "classifier", "qa_outputs", "lm_head.decoder"
  std::string outBias{};  // "lm_head.bias"; out + ".bias" when empty
  std::string tiedTo{};   // the embedding whose weight is the output's as well
  int64_t in = 0, inner = 0, outputs = 0;
};

class TaskHead {
 public:
  explicit TaskHead(HeadPlan plan) : m_plan(std::move(plan)) {}

  const HeadPlan& plan() const { return m_plan; }
  // The site that the dense map is, when the plan says so.
  std::vector<SiteShape> sites() const;
  void addTo(WeightPlan& plan) const;
  // After the parameters changed. `denseSite` is the model's site, or null.
  void bind(const ParameterTable& parameters, LinearSite* denseSite);
  // Parameters that train beside any adapter: the output of a classifier or a span head with what PEFT saves with it, and
  // whatever of the head the checkpoint did not carry.
  std::vector<std::string> trainedNames(const LoadReport& report) const;

  // x [N, in] in the compute dtype -> [N, outputs], float32 (float64 for a float64 model).
  at::Tensor forward(const at::Tensor& x, ForwardContext& context) const;
  // Mean cross-entropy over rows with a label >= 0, or their sum over `normaliser`. Rows are taken in blocks when the
  // logits of all would be large.
  at::Tensor maskedLoss(const at::Tensor& x, const at::Tensor& labels, double normaliser, ForwardContext& context) const;

 private:
  at::Tensor beforeOutput(const at::Tensor& x, ForwardContext& context) const;
  at::Tensor output(const at::Tensor& x) const;
  std::string biasName() const { return m_plan.outBias.empty() ? m_plan.out + ".bias" : m_plan.outBias; }

  HeadPlan m_plan;
  LinearSite* m_denseSite = nullptr;
  at::Tensor m_denseWeight, m_denseBias, m_outWeight, m_outBias;
  NormWeights m_norm;
};

}  // namespace rankscope
