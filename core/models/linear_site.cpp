#include "core/models/linear_site.h"

#include "kernels/ops.h"

namespace rankscope {

at::Tensor LinearSite::forward(const at::Tensor& x, ForwardContext& context) const {
  return adapter ? adapter->forward(*this, x, context) : baseForward(x);
}

at::Tensor LinearSite::baseForward(const at::Tensor& x) const { return kernels::linear(x, weight, bias); }

}  // namespace rankscope
