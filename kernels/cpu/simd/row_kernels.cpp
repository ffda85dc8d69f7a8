#include "kernels/cpu/simd/row_kernels.h"

#include "kernels/cpu/simd/bf16_gemm.h"

namespace rankscope::kernels::simd {

// The argument only chooses the element type.
const RowKernels<float>& rowTableBaseline(float*);
const RowKernels<float>& rowTableAvx2(float*);
const RowKernels<float>& rowTableAvx512(float*);
const RowKernels<uint16_t>& rowTableBaseline(uint16_t*);
const RowKernels<uint16_t>& rowTableAvx2(uint16_t*);
const RowKernels<uint16_t>& rowTableAvx512(uint16_t*);

// Asked here, in a file for every CPU, and not in one compiled for the instructions in question.
bool available() {
  static const bool yes = bestIsa() == Isa::Avx512 && __builtin_cpu_supports("avx512bf16");
  return yes;
}

Isa bestIsa() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq"))
    return Isa::Avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::Avx2;
  return Isa::Baseline;
}

template <typename T>
const RowKernels<T>& rowKernels(Isa isa) {
  T* type = nullptr;
  if (isa == Isa::Avx512) return rowTableAvx512(type);
  if (isa == Isa::Avx2) return rowTableAvx2(type);
  return rowTableBaseline(type);
}

template const RowKernels<float>& rowKernels<float>(Isa);
template const RowKernels<uint16_t>& rowKernels<uint16_t>(Isa);

}  // namespace rankscope::kernels::simd
