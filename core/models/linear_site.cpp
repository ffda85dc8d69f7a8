#include "core/models/linear_site.h"

#include "kernels/ops.h"

namespace rankscope {

at::Tensor LinearSite::forward(const at::Tensor& x, ForwardContext& context) const {
  return adapter ? adapter->forward(*this, x, context) : baseForward(x);
}

at::Tensor LinearSite::baseForward(const at::Tensor& x) const {
  return coded.defined() ? kernels::fourBitLoraLinear(x, coded, bias, {}, {}, 1.0, 0.0, 0, 0)
                         : kernels::linear(x, weight, bias);
}

at::Tensor LinearSite::denseWeight() const {
  return coded.defined() ? kernels::dequantiseFourBit(coded, at::kFloat) : weight.detach();
}

}  // namespace rankscope
