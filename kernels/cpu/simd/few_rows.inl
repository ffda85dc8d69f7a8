// The body of few_rows.h, included once per instruction set by few_rows_<set>.cpp.

#include <cstring>

#include "kernels/cpu/simd/few_rows.h"

namespace rankscope::kernels::simd {

namespace {

// A block of so many rows of x and of the matrix has its sums in registers.
constexpr int kBlockRows = 4;
#ifdef __AVX512F__
constexpr int64_t kLanes = 16;
constexpr int kBlockColumns = 6;
#elif defined(__AVX__)
constexpr int64_t kLanes = 8;
constexpr int kBlockColumns = 2;
#else
constexpr int64_t kLanes = 4;
constexpr int kBlockColumns = 2;
#endif
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

inline Lanes lanesAt(const float* p) {
  Lanes v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// By halves, in vector code.
inline float sumOf(const Lanes& lanes) {
  float part[kLanes];
  std::memcpy(part, &lanes, sizeof part);
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; ++i) part[i] += part[i + half];
  return part[0];
}

// kColumns rows of the matrix with kRows rows of x: each vector that is read takes part in several sums.
template <int kRows, int kColumns>
inline void dots(const float* x, int64_t in, const float* w, float* y, int64_t outs) {
  Lanes sums[kColumns][kRows] = {};
  int64_t k = 0;
  for (; k + kLanes <= in; k += kLanes) {
    Lanes v[kColumns];
    for (int c = 0; c < kColumns; ++c) v[c] = lanesAt(w + c * in + k);
    for (int m = 0; m < kRows; ++m) {
      const Lanes u = lanesAt(x + m * in + k);
      for (int c = 0; c < kColumns; ++c) sums[c][m] += v[c] * u;
    }
  }
  for (int c = 0; c < kColumns; ++c)
    for (int m = 0; m < kRows; ++m) {
      float sum = sumOf(sums[c][m]);
      for (int64_t i = k; i < in; ++i) sum += w[c * in + i] * x[m * in + i];
      y[m * outs + c] = sum;
    }
}

// All of x meets some rows of the matrix while these are in the nearest cache.
template <int kColumns>
inline void columns(const float* x, int64_t rows, int64_t in, const float* w, float* y, int64_t outs) {
  int64_t m = 0;
  for (; m + kBlockRows <= rows; m += kBlockRows) dots<kBlockRows, kColumns>(x + m * in, in, w, y + m * outs, outs);
  for (; m + 2 <= rows; m += 2) dots<2, kColumns>(x + m * in, in, w, y + m * outs, outs);
  for (; m < rows; ++m) dots<1, kColumns>(x + m * in, in, w, y + m * outs, outs);
}

void product(const float* x, int64_t rows, int64_t in, const float* weight, int64_t begin, int64_t end, int64_t outs,
             float* y) {
  int64_t n = begin;
  for (; n + kBlockColumns <= end; n += kBlockColumns)
    columns<kBlockColumns>(x, rows, in, weight + n * in, y + n, outs);
  for (; n < end; ++n) columns<1>(x, rows, in, weight + n * in, y + n, outs);
}

}  // namespace

FewRows RS_FEW_ROWS() { return product; }

}  // namespace rankscope::kernels::simd
