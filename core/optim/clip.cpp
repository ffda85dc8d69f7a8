#include "core/optim/clip.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

namespace rankscope {

Result<double> clipGradients(const std::vector<OptimizedParameter>& parameters, double maxNorm) {
  at::NoGradGuard noGrad;
  std::vector<at::Tensor> gradients;
  std::vector<const OptimizedParameter*> owners;
  for (const auto& p : parameters) {
    const at::Tensor& gradient = p.tensor.grad();
    if (!gradient.defined()) continue;
    gradients.push_back(gradient);
    owners.push_back(&p);
  }
  if (gradients.empty()) return 0.0;

  // One transfer for all norms, so that a device is waited for once.
  const at::Tensor norms = at::stack(at::_foreach_norm(gradients, 2)).to(at::kCPU, at::kDouble);
  const auto* values = norms.const_data_ptr<double>();
  double sum = 0;
  for (size_t i = 0; i < owners.size(); ++i) {
    if (!std::isfinite(values[i]))
      return Error{ErrorCode::Training,
                   "A gradient is not finite",
                   owners[i]->name,
                   fmt::format("norm {}", values[i]),
                   "a finite number",
                   "Lower optim.learning_rate, lengthen the warm-up, or train in fp32; the last checkpoint is intact."};
    sum += values[i] * values[i];
  }
  const double total = std::sqrt(sum);
  if (maxNorm > 0) {
    const double factor = maxNorm / (total + 1e-6);
    if (factor < 1.0) at::_foreach_mul_(gradients, factor);
  }
  return total;
}

}  // namespace rankscope
