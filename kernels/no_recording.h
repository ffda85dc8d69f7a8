#pragma once
// A scope in which operators are called below autograd: nothing is recorded, also for leaves that require gradients, and
// in-place writes do not count in a tensor's version.

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>

namespace rankscope::kernels {

struct NoRecording {
  at::NoGradGuard noGrad;
  at::AutoDispatchBelowADInplaceOrView below;
};

}  // namespace rankscope::kernels
