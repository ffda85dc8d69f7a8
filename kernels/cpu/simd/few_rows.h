#pragma once
// Products of a few rows with a large float32 matrix, as generation asks for token by token: the matrix is read once,
// as it lies, where a matrix library would first rearrange it for a product that is over by then. A row's result does
// not depend on the rows beside it.

#include <cstdint>

#include "kernels/cpu/simd/row_kernels.h"

namespace rankscope::kernels::simd {

// y[m · outs + n] = Σ_k x[m · in + k] · weight[n · in + k] for all m below `rows` and n from `begin` to `end`.
using FewRows = void (*)(const float* x, int64_t rows, int64_t in, const float* weight, int64_t begin, int64_t end,
                         int64_t outs, float* y);
FewRows fewRows(Isa isa);

}  // namespace rankscope::kernels::simd
