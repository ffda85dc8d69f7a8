#include "core/methods/lora_adapter.h"

#include "kernels/ops.h"

namespace rankscope {

LoraAdapter::LoraAdapter(at::Tensor a, at::Tensor b, double scaling, double dropout)
    : m_a(std::move(a)), m_b(std::move(b)), m_scaling(scaling), m_dropout(dropout) {}

at::Tensor LoraAdapter::forward(const LinearSite& site, const at::Tensor& x, ForwardContext& context) const {
  const double dropout = context.training ? m_dropout : 0.0;
  const uint64_t place = dropout > 0 ? context.nextPlace++ : 0;
  const uint64_t seed = kernels::dropoutSeed(context.dropoutSeed, context.step, context.microBatch);
  // The fused operator takes a frozen weight in the activations' dtype and float32 factors.
  if (m_a.scalar_type() == at::kFloat && !site.weight.requires_grad() && site.weight.scalar_type() == x.scalar_type())
    return kernels::loraLinear(x, site.weight, site.bias, m_a, m_b, m_scaling, dropout, seed, place);
  const at::Tensor base = site.baseForward(x);
  const at::Tensor input = dropout > 0 ? kernels::dropout(x, dropout, seed, place) : x;
  const at::Tensor down = at::linear(input, m_a.to(x.scalar_type()));
  return base + at::linear(down, m_b.to(x.scalar_type())) * m_scaling;
}

at::Tensor LoraAdapter::deltaWeight() const {
  const at::NoGradGuard noGrad;
  return m_b.mm(m_a).mul_(m_scaling);
}

std::optional<LowRankTerm> LoraAdapter::lowRankTerm() const { return LowRankTerm{m_a, m_b, m_scaling, m_dropout}; }

}  // namespace rankscope
