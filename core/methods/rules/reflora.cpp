#include "core/methods/rules/reflora.h"

#include <limits>

#include "core/methods/rules/warmup.h"
#include "kernels/reflora_ops.h"

namespace rankscope {

namespace {

class RefLoraRule final : public TrainingRule {
 public:
  explicit RefLoraRule(const Warmup& warmup) : m_warmup(warmup) {}

  bool needsRandomB() const override { return m_warmup.steps == 0; }

  void beforeStep(const StepInfo& info, Optimizer&) override {
    if (!m_warmup.actsAt(info.step)) return;
    std::vector<at::Tensor> a, b, gradA, gradB;
    for (const AdaptedSite& adapted : sites()) {
      if (!adapted.a.grad().defined() || !adapted.b.grad().defined()) continue;
      a.push_back(adapted.a);
      b.push_back(adapted.b);
      gradA.push_back(adapted.a.grad());
      gradB.push_back(adapted.b.grad());
    }
    if (!a.empty()) kernels::refloraPrecondition(a, b, gradA, gradB, refloraEpsilon(a.front().scalar_type()));
  }

 private:
  Warmup m_warmup;
};

}  // namespace

Result<std::unique_ptr<TrainingRule>> makeRefLoraRule(const MethodSettings& settings) {
  auto warmup = Warmup::of(settings);
  if (!warmup) return warmup.error();
  return newPart<TrainingRule, RefLoraRule>(*warmup);
}

double refloraEpsilon(at::ScalarType dtype) {
  return dtype == at::kDouble ? std::numeric_limits<double>::epsilon()
                              : static_cast<double>(std::numeric_limits<float>::epsilon());
}

std::pair<at::Tensor, at::Tensor> refloraRefactor(const at::Tensor& a, const at::Tensor& b) {
  const at::NoGradGuard noGrad;
  const at::Tensor a64 = a.detach().to(at::kDouble), b64 = b.detach().to(at::kDouble);
  const auto metric = kernels::refloraMetric({a64}, {b64}, refloraEpsilon(a.scalar_type()));
  // P is unique up to an orthogonal factor; the symmetric root of S is one choice, and P⁻ᵀ = S⁻¹ P.
  const auto [lambda, v] = at::linalg_eigh(metric.s.front());
  const at::Tensor p = (v * lambda.clamp_min(0).sqrt()).mm(v.t());
  return {p.t().mm(a64).to(a.scalar_type()), b64.mm(metric.sInverse.front().mm(p)).to(b.scalar_type())};
}

}  // namespace rankscope
