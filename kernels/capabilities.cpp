#include "kernels/cpu/simd/bf16_gemm.h"
#include "kernels/ops.h"

namespace rankscope::kernels {

bool cpuHasBf16() { return simd::available(); }

}  // namespace rankscope::kernels
