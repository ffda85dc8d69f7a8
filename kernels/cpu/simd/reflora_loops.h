#pragma once
// The loops of RefLoRA that run over the long side of a factor: Gram matrices with float64 sums, and an r×r matrix
// applied to a gradient in place. Each reads its factor once. Plain pointers, rows of fixed stride; compiled for three
// instruction sets, the best of which is taken at run time. T is float or double.

#include <cstdint>

namespace rankscope::kernels::simd {

// gram [r, r] = A Aᵀ for A [r, n].
template <typename T>
void gramOfRows(const T* a, int64_t r, int64_t n, int64_t stride, double* gram);
// gram [r, r] = Bᵀ B for B [n, r].
template <typename T>
void gramOfColumns(const T* b, int64_t n, int64_t r, int64_t stride, double* gram);
// g [r, n] ← m g with m [r, r].
template <typename T>
void multiplyLeft(const double* m, int64_t r, T* g, int64_t n, int64_t stride);
// g [n, r] ← g m.
template <typename T>
void multiplyRight(T* g, int64_t n, int64_t r, int64_t stride, const double* m);

}  // namespace rankscope::kernels::simd
