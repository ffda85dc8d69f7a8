#include "core/models/heads.h"

#include <algorithm>

#include "core/models/checkpointing.h"
#include "core/models/registry.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

void addLinear(WeightPlan& plan, const std::string& name, const std::string& biasName, int64_t out, int64_t in) {
  plan.parameters.push_back({name + ".weight", {out, in}});
  plan.parameters.back().isHead = true;
  plan.parameters.push_back({biasName, {out}, StartValue::Zeros});
  plan.parameters.back().isHead = true;
}

}  // namespace

std::vector<SiteShape> TaskHead::sites() const {
  if (m_plan.dense.empty() || !m_plan.denseIsSite) return {};
  const auto kind = m_plan.dense.substr(m_plan.dense.rfind('.') + 1);
  return {{m_plan.dense, kind, -1, m_plan.in, m_plan.inner, true}};
}

void TaskHead::addTo(WeightPlan& plan) const {
  if (!m_plan.dense.empty()) addLinear(plan, m_plan.dense, m_plan.dense + ".bias", m_plan.inner, m_plan.in);
  if (!m_plan.norm.empty())
    for (const bool weight : {true, false}) {
      plan.parameters.push_back({m_plan.norm + (weight ? ".weight" : ".bias"),
                                 {m_plan.inner},
                                 weight ? StartValue::Ones : StartValue::Zeros});
      plan.parameters.back().norm = plan.parameters.back().isHead = true;
    }
  if (m_plan.out.empty()) return;
  const auto width = m_plan.dense.empty() ? m_plan.in : m_plan.inner;
  if (m_plan.tiedTo.empty()) {
    addLinear(plan, m_plan.out, biasName(), m_plan.outputs, width);
    return;
  }
  plan.parameters.push_back({biasName(), {m_plan.outputs}, StartValue::Zeros});
  plan.parameters.back().isHead = true;
  if (m_plan.tiedTo == m_plan.out + ".weight") return;  // the embedding under its own name
  plan.aliases.emplace_back(m_plan.out + ".weight", m_plan.tiedTo);
  if (!m_plan.outBias.empty()) {
    plan.aliases.emplace_back(m_plan.out + ".bias", m_plan.outBias);
    plan.oldSuffixes.emplace_back(m_plan.outBias, m_plan.out + ".bias");
  }
}

void TaskHead::bind(const ParameterTable& parameters, LinearSite* denseSite) {
  m_denseSite = denseSite;
  if (!m_plan.dense.empty() && !denseSite) {
    m_denseWeight = parameters.at(m_plan.dense + ".weight");
    m_denseBias = parameters.at(m_plan.dense + ".bias");
  }
  if (!m_plan.norm.empty()) m_norm = normWeights(parameters, m_plan.norm);
  if (m_plan.out.empty()) return;
  m_outWeight = parameters.at(m_plan.out + ".weight");
  m_outBias = parameters.at(biasName());
}

std::vector<std::string> TaskHead::trainedNames(const LoadReport& report) const {
  std::vector<std::string> names;
  const bool always = m_plan.kind == HeadKind::SequenceClassification || m_plan.kind == HeadKind::TokenSpan;
  const auto add = [&](const std::string& name, bool trains) {
    const auto& drawn = report.newlyInitialised;
    if (trains || std::find(drawn.begin(), drawn.end(), name) != drawn.end()) names.push_back(name);
  };
  if (m_plan.kind == HeadKind::None) return names;
  for (const char* tail : {".weight", ".bias"})
    if (!m_plan.dense.empty()) add(m_plan.dense + tail, always && !m_plan.denseIsSite);
  for (const char* tail : {".weight", ".bias"})
    if (!m_plan.norm.empty()) add(m_plan.norm + tail, false);
  if (m_plan.tiedTo.empty()) add(m_plan.out + ".weight", always);
  add(biasName(), always);
  return names;
}

at::Tensor TaskHead::beforeOutput(const at::Tensor& x, ForwardContext& context) const {
  auto h = x;
  if (!m_plan.dense.empty()) {
    h = dropped(h, m_plan.denseDropout, context);
    h = m_denseSite ? m_denseSite->forward(h, context) : kernels::linear(h, m_denseWeight, m_denseBias);
    h = activate(m_plan.activation, h);
  }
  if (!m_plan.norm.empty()) h = kernels::addLayerNorm(h, {}, m_norm.weight, m_norm.bias, m_plan.eps);
  return dropped(h, m_plan.outDropout, context);
}

// A few columns train in float32, and their product is taken there; a vocabulary's stays in the compute dtype.
at::Tensor TaskHead::output(const at::Tensor& x) const {
  const auto type = sumType(x.scalar_type());
  if (m_plan.kind == HeadKind::MaskedLm) return kernels::linear(x, m_outWeight, {}).to(type) + m_outBias.to(type);
  return kernels::linear(x.to(type), m_outWeight.to(type), m_outBias.to(type));
}

at::Tensor TaskHead::forward(const at::Tensor& x, ForwardContext& context) const {
  return output(beforeOutput(x, context));
}

at::Tensor TaskHead::maskedLoss(const at::Tensor& x, const at::Tensor& labels, double normaliser,
                                ForwardContext& context) const {
  const auto h = beforeOutput(x, context);
  const auto count = normaliser > 0 ? normaliser : std::max(1.0, labels.ge(0).sum().item<double>());
  constexpr int64_t kLogits = int64_t{32} << 20;
  const auto block = std::max<int64_t>(1, kLogits / std::max<int64_t>(m_plan.outputs, 1));
  if (h.size(0) <= block) return kernels::crossEntropy(output(h), labels, count);
  at::Tensor sum;
  for (int64_t begin = 0; begin < h.size(0); begin += block) {
    const auto rows = std::min(block, h.size(0) - begin);
    const auto some = labels.narrow(0, begin, rows);
    const auto part = checkpointed(
        [this, some, count](const std::vector<at::Tensor>& in) {
          return std::vector<at::Tensor>{kernels::crossEntropy(output(in[0]), some, count)};
        },
        {h.narrow(0, begin, rows)});
    sum = sum.defined() ? sum + part.front() : part.front();
  }
  return sum;
}

}  // namespace rankscope
