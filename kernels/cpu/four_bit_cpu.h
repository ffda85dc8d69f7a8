#pragma once
// A quantised weight's parts as plain pointers, for the CPU operators.

#include "kernels/four_bit_ops.h"

namespace rankscope::kernels::cpu {

// Valid while the weight's tensors live. Throws c10::Error where a part is missing, of another type, size or device.
four_bit::View viewOf(const FourBitWeight& weight);

}  // namespace rankscope::kernels::cpu
