#include "kernels/cpu/simd/reflora_loops.h"

#include <algorithm>
#include <vector>

namespace rankscope::kernels::simd {

namespace {

#define RS_INLINE inline __attribute__((always_inline))

// 64 bytes: one AVX-512 register, two of AVX2, four of SSE2; the compiler splits them.
template <typename T>
struct Wide {
  typedef T Type __attribute__((vector_size(64), aligned(sizeof(T)), may_alias));
  static constexpr int64_t kLanes = 64 / sizeof(T);
};

constexpr int64_t kBlock = 128;  // elements of the long side that are worked at a time; r · kBlock stays in the cache

constexpr int64_t roundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// gram += Pᵀ P for P [count, width], width a multiple of 8; tiles of 4 × 8 on and above the diagonal.
RS_INLINE void addGram(const double* packed, int64_t count, int64_t width, double* gram) {
  using V = Wide<double>::Type;
  for (int64_t i = 0; i < width; i += 4)
    for (int64_t j = i / 8 * 8; j < width; j += 8) {
      V sums[4] = {};
      const double* row = packed;
      for (int64_t k = 0; k < count; ++k, row += width) {
        const V right = *reinterpret_cast<const V*>(row + j);
        for (int t = 0; t < 4; ++t) sums[t] += row[i + t] * right;
      }
      for (int t = 0; t < 4; ++t) *reinterpret_cast<V*>(gram + (i + t) * width + j) += sums[t];
    }
}

void writeGram(const double* padded, int64_t width, int64_t r, double* gram) {
  for (int64_t i = 0; i < r; ++i)
    for (int64_t j = i; j < r; ++j) gram[i * r + j] = gram[j * r + i] = padded[i * width + j];
}

template <typename T>
RS_INLINE void gramOfRowsBody(const T* a, int64_t r, int64_t n, int64_t stride, double* gram) {
  const int64_t width = roundUp(r, 8);
  std::vector<double> packed(static_cast<size_t>(kBlock * width), 0.0), sums(static_cast<size_t>(width * width), 0.0);
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = std::min(kBlock, n - begin);
    for (int64_t i = 0; i < r; ++i)
      for (int64_t k = 0; k < count; ++k)
        packed[static_cast<size_t>(k * width + i)] = static_cast<double>(a[i * stride + begin + k]);
    addGram(packed.data(), count, width, sums.data());
  }
  writeGram(sums.data(), width, r, gram);
}

template <typename T>
RS_INLINE void gramOfColumnsBody(const T* b, int64_t n, int64_t r, int64_t stride, double* gram) {
  const int64_t width = roundUp(r, 8);
  std::vector<double> packed(static_cast<size_t>(kBlock * width), 0.0), sums(static_cast<size_t>(width * width), 0.0);
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = std::min(kBlock, n - begin);
    for (int64_t k = 0; k < count; ++k)
      for (int64_t i = 0; i < r; ++i)
        packed[static_cast<size_t>(k * width + i)] = static_cast<double>(b[(begin + k) * stride + i]);
    addGram(packed.data(), count, width, sums.data());
  }
  writeGram(sums.data(), width, r, gram);
}

template <typename T>
RS_INLINE void multiplyLeftBody(const double* m, int64_t r, T* g, int64_t n, int64_t stride) {
  using V = typename Wide<T>::Type;
  constexpr int64_t kLanes = Wide<T>::kLanes, kColumns = 2 * kLanes;
  const int64_t rows = roundUp(r, 4);
  std::vector<T> left(static_cast<size_t>(rows * r), T(0)), buffer(static_cast<size_t>(r * kColumns));
  for (int64_t i = 0; i < r * r; ++i) left[static_cast<size_t>(i)] = static_cast<T>(m[i]);
  for (int64_t begin = 0; begin < n; begin += kColumns) {
    const int64_t count = std::min(kColumns, n - begin);
    for (int64_t k = 0; k < r; ++k)
      for (int64_t c = 0; c < kColumns; ++c)
        buffer[static_cast<size_t>(k * kColumns + c)] = c < count ? g[k * stride + begin + c] : T(0);
    for (int64_t i = 0; i < rows; i += 4) {
      V sums[4][2] = {};
      for (int64_t k = 0; k < r; ++k) {
        const V* row = reinterpret_cast<const V*>(buffer.data() + k * kColumns);
        const V first = row[0], second = row[1];
        for (int t = 0; t < 4; ++t) {
          const T factor = left[static_cast<size_t>((i + t) * r + k)];
          sums[t][0] += factor * first;
          sums[t][1] += factor * second;
        }
      }
      for (int t = 0; t < 4 && i + t < r; ++t)
        for (int64_t c = 0; c < count; ++c) g[(i + t) * stride + begin + c] = sums[t][c / kLanes][c % kLanes];
    }
  }
}

template <typename T>
RS_INLINE void multiplyRightBody(T* g, int64_t n, int64_t r, int64_t stride, const double* m) {
  using V = typename Wide<T>::Type;
  constexpr int64_t kLanes = Wide<T>::kLanes, kRows = 4;
  const int64_t width = roundUp(r, kLanes);
  std::vector<T> right(static_cast<size_t>(r * width), T(0)), buffer(static_cast<size_t>(kRows * r));
  for (int64_t k = 0; k < r; ++k)
    for (int64_t c = 0; c < r; ++c) right[static_cast<size_t>(k * width + c)] = static_cast<T>(m[k * r + c]);
  for (int64_t begin = 0; begin < n; begin += kRows) {
    const int64_t count = std::min(kRows, n - begin);
    for (int64_t t = 0; t < count; ++t)
      for (int64_t k = 0; k < r; ++k) buffer[static_cast<size_t>(t * r + k)] = g[(begin + t) * stride + k];
    for (int64_t c = 0; c < r; c += kLanes) {
      V sums[kRows] = {};
      for (int64_t k = 0; k < r; ++k) {
        const V row = *reinterpret_cast<const V*>(right.data() + k * width + c);
        for (int t = 0; t < kRows; ++t) sums[t] += buffer[static_cast<size_t>(t * r + k)] * row;
      }
      const int64_t columns = std::min(kLanes, r - c);
      for (int64_t t = 0; t < count; ++t)
        for (int64_t l = 0; l < columns; ++l) g[(begin + t) * stride + c + l] = sums[t][l];
    }
  }
}

enum class Level { Baseline, Avx2, Avx512 };

Level level() {
  static const Level best = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")
                                ? Level::Avx512
                            : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? Level::Avx2
                                                                                              : Level::Baseline;
  return best;
}

// One function a loop and instruction set, so that the inlined body is compiled for it.
#define RS_FORMS(name, parameters, arguments)                                                      \
  template <typename T>                                                                            \
  __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma"))) void name##Avx512 parameters { \
    name##Body<T> arguments;                                                                       \
  }                                                                                                \
  template <typename T>                                                                            \
  __attribute__((target("avx2,fma"))) void name##Avx2 parameters {                                 \
    name##Body<T> arguments;                                                                       \
  }

RS_FORMS(gramOfRows, (const T* a, int64_t r, int64_t n, int64_t stride, double* gram), (a, r, n, stride, gram))
RS_FORMS(gramOfColumns, (const T* b, int64_t n, int64_t r, int64_t stride, double* gram), (b, n, r, stride, gram))
RS_FORMS(multiplyLeft, (const double* m, int64_t r, T* g, int64_t n, int64_t stride), (m, r, g, n, stride))
RS_FORMS(multiplyRight, (T * g, int64_t n, int64_t r, int64_t stride, const double* m), (g, n, r, stride, m))

#define RS_CHOOSE(name, arguments)                        \
  switch (level()) {                                      \
    case Level::Avx512: return name##Avx512<T> arguments; \
    case Level::Avx2: return name##Avx2<T> arguments;     \
    case Level::Baseline: return name##Body<T> arguments; \
  }

}  // namespace

template <typename T>
void gramOfRows(const T* a, int64_t r, int64_t n, int64_t stride, double* gram) {
  RS_CHOOSE(gramOfRows, (a, r, n, stride, gram))
}
template <typename T>
void gramOfColumns(const T* b, int64_t n, int64_t r, int64_t stride, double* gram) {
  RS_CHOOSE(gramOfColumns, (b, n, r, stride, gram))
}
template <typename T>
void multiplyLeft(const double* m, int64_t r, T* g, int64_t n, int64_t stride) {
  RS_CHOOSE(multiplyLeft, (m, r, g, n, stride))
}
template <typename T>
void multiplyRight(T* g, int64_t n, int64_t r, int64_t stride,
                   const double* m){RS_CHOOSE(multiplyRight, (g, n, r, stride, m))}

#define RS_FOR_TYPE(T)                                                          \
  template void gramOfRows<T>(const T*, int64_t, int64_t, int64_t, double*);    \
  template void gramOfColumns<T>(const T*, int64_t, int64_t, int64_t, double*); \
  template void multiplyLeft<T>(const double*, int64_t, T*, int64_t, int64_t);  \
  template void multiplyRight<T>(T*, int64_t, int64_t, int64_t, const double*);
RS_FOR_TYPE(float) RS_FOR_TYPE(double)

}  // namespace rankscope::kernels::simd
