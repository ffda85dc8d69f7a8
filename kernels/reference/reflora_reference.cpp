#include "kernels/reflora_ops.h"

// The formulas of METHODS 4 as they stand there, one pair after the other, in the factors' own dtype.

namespace rankscope::kernels::reference {

RefLoraMetric refloraMetric(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b, double eps) {
  const at::NoGradGuard noGrad;
  RefLoraMetric metric;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto [lambdaA, vA] = at::linalg_eigh(a[i].mm(a[i].t()));
    const at::Tensor sigmaA = lambdaA.clamp_min(0).sqrt();
    const at::Tensor right = b[i].mm(vA * sigmaA);
    const auto [lambdaM, vM] = at::linalg_eigh(right.t().mm(right));
    const at::Tensor sigmaM = lambdaM.clamp_min(0).sqrt();
    const at::Tensor l = (vA / (sigmaA + eps)).mm(vM);
    metric.s.push_back((l * sigmaM).mm(l.t()));
    const at::Tensor k = (vA * sigmaA).mm(vM);
    metric.sInverse.push_back((k / (sigmaM + eps)).mm(k.t()));
  }
  return metric;
}

void refloraPrecondition(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b,
                         const std::vector<at::Tensor>& gradA, const std::vector<at::Tensor>& gradB, double eps) {
  const at::NoGradGuard noGrad;
  const RefLoraMetric metric = refloraMetric(a, b, eps);
  for (size_t i = 0; i < a.size(); ++i) {
    gradA[i].copy_(metric.sInverse[i].mm(gradA[i]));
    gradB[i].copy_(gradB[i].mm(metric.s[i]));
  }
}

}  // namespace rankscope::kernels::reference
