#include "kernels/dora_ops.h"

namespace rankscope::kernels::reference {

at::Tensor doraRowNorms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling) {
  const at::NoGradGuard noGrad;
  const at::Tensor v = weight.to(at::kDouble) + b.to(at::kDouble).mm(a.to(at::kDouble)) * scaling;
  return at::linalg_vector_norm(v, 2, at::IntArrayRef{1}).to(a.scalar_type());
}

at::Tensor rescaleColumns(const at::Tensor& y, const at::Tensor& bias, const at::Tensor& magnitude,
                          const at::Tensor& norm) {
  const auto type = magnitude.scalar_type();
  const at::Tensor excess = magnitude / norm.detach() - 1, plain = y.to(type);
  return (plain + (bias.defined() ? plain - bias.to(type) : plain) * excess).to(y.scalar_type());
}

}  // namespace rankscope::kernels::reference
