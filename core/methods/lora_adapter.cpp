#include "core/methods/lora_adapter.h"

#include "kernels/ops.h"

namespace rankscope {

at::Tensor lowRankForward(const LinearSite& site, const at::Tensor& x, const LowRankTerm& term,
                          ForwardContext& context) {
  const bool lookup = site.operation == SiteOperation::Embedding;  // tokens are not dropped
  const double dropout = context.training && !lookup ? term.dropout : 0.0;
  const uint64_t place = dropout > 0 ? context.nextPlace++ : 0;
  const uint64_t seed = kernels::dropoutSeed(context.dropoutSeed, context.step, context.microBatch);
  const auto dropped = [&] { return dropout > 0 ? kernels::dropout(x, dropout, seed, place) : x; };
  if (site.operation != SiteOperation::Linear) {
    // Neither operation keeps its result for backward: the small term is added to it where it lies.
    at::Tensor out = site.baseForward(x);
    return out.add_(site.spread(site.through(dropped(), term.a), term.b * term.scaling));
  }
  if (site.coded.defined() && term.a.scalar_type() == at::kFloat)
    return kernels::fourBitLoraLinear(x, site.coded, site.bias, term.a, term.b, term.scaling, dropout, seed, place);
  // The fused operator takes a frozen weight in the activations' dtype and float32 factors.
  if (!site.coded.defined() && term.a.scalar_type() == at::kFloat && !site.weight.requires_grad() &&
      site.weight.scalar_type() == x.scalar_type())
    return kernels::loraLinear(x, site.weight, site.bias, term.a, term.b, term.scaling, dropout, seed, place);
  const at::Tensor base = site.baseForward(x);
  return base + site.spread(site.through(dropped(), term.a), term.b) * term.scaling;
}

LoraAdapter::LoraAdapter(LowRankTerm term) : m_term(std::move(term)) {}

at::Tensor LoraAdapter::forward(const LinearSite& site, const at::Tensor& x, ForwardContext& context) const {
  return lowRankForward(site, x, m_term, context);
}

at::Tensor LoraAdapter::deltaWeight() const {
  const at::NoGradGuard noGrad;
  return m_term.b.mm(m_term.a).mul_(m_term.scaling);
}

std::optional<LowRankTerm> LoraAdapter::lowRankTerm() const { return m_term; }

}  // namespace rankscope
