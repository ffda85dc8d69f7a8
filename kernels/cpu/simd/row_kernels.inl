// The bodies of row_kernels.h, included once per instruction set by row_kernels_<set>.cpp. Written as plain loops over
// blocks of lanes, which the compiler turns into vector code of the set that the file is compiled for.

#include <cmath>
#include <cstring>

#include "kernels/cpu/simd/dropout_mask.h"
#include "kernels/cpu/simd/row_kernels.h"

namespace rankscope::kernels::simd {

namespace {

inline float load(const float* p, int64_t i) { return p[i]; }
inline float load(const uint16_t* p, int64_t i) {
  const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline void store(float* p, int64_t i, float v) { p[i] = v; }
inline void store(uint16_t* p, int64_t i, float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  p[i] = static_cast<uint16_t>(v != v ? 0x7fc0u : rounded);
}

// e^x to about one unit in the last place, without a branch. x = n ln 2 + r with |r| <= ln 2 / 2, where the series to
// r^7 leaves less than 1e-8.
inline float exponential(float x) {
  x = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
  const float shifted = x * 1.44269504088896341f + 12582912.0f;  // 1.5 · 2^23: rounds to a whole number
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;  // ln 2 in two parts
  float y = 1.0f / 5040;
  y = y * r + 1.0f / 720;
  y = y * r + 1.0f / 120;
  y = y * r + 1.0f / 24;
  y = y * r + 1.0f / 6;
  y = y * r + 0.5f;
  y = y * r + 1.0f;
  y = y * r + 1.0f;
  const int32_t power = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &power, sizeof scale);
  return y * scale;
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

// The normal distribution function by Abramowitz and Stegun 7.1.26 (error below 1e-7), with e^(-x²/2) left to the caller
// because the density is wanted too.
inline float normalCumulative(float x, float gauss) {
  const float z = (x < 0 ? -x : x) * 0.70710678118654752f;
  const float t = 1.0f / (1.0f + 0.3275911f * z);
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float tail = 0.5f * p * t * gauss;
  return x < 0 ? tail : 1.0f - tail;
}

constexpr int64_t kStrip = 256;  // elements whose dropout factors are drawn at once

template <typename T>
void rmsNorm(const T* x, const T* residual, const float* weight, float eps, int64_t begin, int64_t end, int64_t width,
             T* sum, T* y, float* rstd) {
  for (int64_t row = begin; row < end; ++row) {
    const T* in = x + row * width;
    float squares = 0;
    if (residual) {
      const T* other = residual + row * width;
      T* out = sum + row * width;
#pragma omp simd reduction(+ : squares)
      for (int64_t i = 0; i < width; ++i) {
        store(out, i, load(in, i) + load(other, i));
        const float v = load(out, i);  // as rounded: backward sees the same numbers
        squares += v * v;
      }
      in = out;
    } else {
#pragma omp simd reduction(+ : squares)
      for (int64_t i = 0; i < width; ++i) squares += load(in, i) * load(in, i);
    }
    const float r = 1.0f / std::sqrt(squares / static_cast<float>(width) + eps);
    rstd[row] = r;
    T* out = y + row * width;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) store(out, i, load(in, i) * r * weight[i]);
  }
}

template <typename T>
void rmsNormBackward(const T* gradY, const T* gradOther, const T* sum, const float* weight, const float* rstd,
                     int64_t begin, int64_t end, int64_t width, T* gradSum, float* gradWeight) {
  for (int64_t row = begin; row < end; ++row) {
    const T *g = gradY + row * width, *s = sum + row * width;
    const float r = rstd[row];
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t i = 0; i < width; ++i) dot += load(g, i) * weight[i] * load(s, i);
    const float c = dot * r * r / static_cast<float>(width);
    T* out = gradSum + row * width;
    if (gradOther) {
      const T* other = gradOther + row * width;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i)
        store(out, i, (load(g, i) * weight[i] - load(s, i) * c) * r + load(other, i));
    } else {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) store(out, i, (load(g, i) * weight[i] - load(s, i) * c) * r);
    }
    if (gradWeight)
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) gradWeight[i] += load(g, i) * load(s, i) * r;
  }
}

// sum = x · factors (+ residual) over one row; factors are those of elements row · width ….
template <typename T, typename F>
void overDropped(const DropoutSpec& dropout, int64_t row, int64_t width, const F& element) {
  // Factors come in runs of four from element 4 · g; a row may begin inside a run.
  float factors[kStrip + 8];
  for (int64_t i = 0; i < width; i += kStrip) {
    const auto count = width - i < kStrip ? width - i : kStrip;
    const auto first = static_cast<uint64_t>(row * width + i);
    const auto lead = static_cast<int64_t>(first & 3);
    dropoutFactors(dropout.seed, dropout.place, first >> 2, (lead + count + 3) / 4, dropout.threshold, dropout.keep,
                   factors);
    const float* f = factors + lead;
#pragma omp simd
    for (int64_t k = 0; k < count; ++k) element(i + k, f[k]);
  }
}

template <typename T>
void layerNorm(const T* x, const T* residual, const float* weight, const float* bias, float eps,
               const DropoutSpec& dropout, int64_t begin, int64_t end, int64_t width, T* sum, T* y, float* mean,
               float* rstd) {
  for (int64_t row = begin; row < end; ++row) {
    const T* in = x + row * width;
    if (residual || dropout.threshold) {
      const T* other = residual ? residual + row * width : nullptr;
      T* out = sum + row * width;
      if (dropout.threshold && other)
        overDropped<T>(dropout, row, width, [=](int64_t i, float f) { store(out, i, load(in, i) * f + load(other, i)); });
      else if (dropout.threshold)
        overDropped<T>(dropout, row, width, [=](int64_t i, float f) { store(out, i, load(in, i) * f); });
      else
#pragma omp simd
        for (int64_t i = 0; i < width; ++i) store(out, i, load(in, i) + load(other, i));
      in = out;
    }
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < width; ++i) total += load(in, i);
    const float m = total / static_cast<float>(width);
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < width; ++i) squares += (load(in, i) - m) * (load(in, i) - m);
    const float r = 1.0f / std::sqrt(squares / static_cast<float>(width) + eps);
    mean[row] = m;
    rstd[row] = r;
    T* out = y + row * width;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) store(out, i, (load(in, i) - m) * r * weight[i] + bias[i]);
  }
}

template <typename T>
void layerNormBackward(const T* gradY, const T* sum, const float* weight, const float* mean, const float* rstd,
                       const DropoutSpec& dropout, int64_t begin, int64_t end, int64_t width, T* gradX,
                       T* gradResidual, float* gradWeight, float* gradBias) {
  const float inverse = 1.0f / static_cast<float>(width);
  for (int64_t row = begin; row < end; ++row) {
    const T *g = gradY + row * width, *s = sum + row * width;
    const float r = rstd[row], m = mean[row];
    float plain = 0, crossed = 0;
#pragma omp simd reduction(+ : plain, crossed)
    for (int64_t i = 0; i < width; ++i) {
      const float gw = load(g, i) * weight[i];
      plain += gw;
      crossed += gw * (load(s, i) - m) * r;
    }
    plain *= inverse;
    crossed *= inverse;
    T* out = gradResidual + row * width;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i)
      store(out, i, (load(g, i) * weight[i] - plain - (load(s, i) - m) * r * crossed) * r);
    if (dropout.threshold) {
      T* dropped = gradX + row * width;
      overDropped<T>(dropout, row, width, [=](int64_t i, float f) { store(dropped, i, load(out, i) * f); });
    }
    if (gradWeight)
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) {
        gradWeight[i] += load(g, i) * (load(s, i) - m) * r;
        gradBias[i] += load(g, i);
      }
  }
}

template <typename T>
void swiglu(const T* gateUp, int64_t begin, int64_t end, int64_t width, T* y) {
  for (int64_t row = begin; row < end; ++row) {
    const T *gate = gateUp + row * 2 * width, *up = gate + width;
    T* out = y + row * width;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) store(out, i, load(gate, i) * sigmoid(load(gate, i)) * load(up, i));
  }
}

template <typename T>
void swigluBackward(const T* gradY, const T* gateUp, int64_t begin, int64_t end, int64_t width, T* gradGateUp) {
  for (int64_t row = begin; row < end; ++row) {
    const T *gate = gateUp + row * 2 * width, *up = gate + width, *g = gradY + row * width;
    T *gradGate = gradGateUp + row * 2 * width, *gradUp = gradGate + width;
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) {
      const float x = load(gate, i), s = sigmoid(x), gy = load(g, i);
      store(gradGate, i, gy * load(up, i) * s * (1.0f + x * (1.0f - s)));
      store(gradUp, i, gy * x * s);
    }
  }
}

template <typename T>
void gelu(const T* x, int64_t begin, int64_t end, T* y) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const float v = load(x, i);
    store(y, i, v * normalCumulative(v, exponential(-0.5f * v * v)));
  }
}

template <typename T>
void geluBackward(const T* gradY, const T* x, int64_t begin, int64_t end, T* gradX) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const float v = load(x, i);
    const float gauss = exponential(-0.5f * v * v);
    store(gradX, i, load(gradY, i) * (normalCumulative(v, gauss) + v * 0.39894228040143268f * gauss));
  }
}

template <typename T>
void dropout(const T* x, const DropoutSpec& spec, int64_t begin, int64_t end, T* y) {
  float factors[kStrip];
  for (int64_t i = begin; i < end; i += kStrip) {
    const auto count = end - i < kStrip ? end - i : kStrip;
    dropoutFactors(spec.seed, spec.place, static_cast<uint64_t>(i) >> 2, (count + 3) / 4, spec.threshold, spec.keep,
                   factors);
#pragma omp simd
    for (int64_t k = 0; k < count; ++k) store(y, i + k, load(x, i + k) * factors[k]);
  }
}

// The rows w + scaling · b a exist a strip at a time; a strip of `a` stays in the cache for a block of rows.
template <typename T>
void updatedRowNorms(const T* weight, const float* a, const float* b, float scaling, int64_t rank, int64_t begin,
                     int64_t end, int64_t width, float* norms) {
  constexpr int64_t kRows = 32;
  float v[kStrip];
  for (int64_t first = begin; first < end; first += kRows) {
    const int64_t rows = end - first < kRows ? end - first : kRows;
    double squares[kRows] = {};
    for (int64_t at = 0; at < width; at += kStrip) {
      const int64_t count = width - at < kStrip ? width - at : kStrip;
      for (int64_t q = 0; q < rows; ++q) {
        const T* row = weight + (first + q) * width + at;
        const float* left = b + (first + q) * rank;
#pragma omp simd
        for (int64_t i = 0; i < count; ++i) v[i] = load(row, i);
        int64_t k = 0;
        for (; k + 4 <= rank; k += 4) {
          const float *a0 = a + k * width + at, *a1 = a0 + width, *a2 = a1 + width, *a3 = a2 + width;
          const float c0 = scaling * left[k], c1 = scaling * left[k + 1], c2 = scaling * left[k + 2],
                      c3 = scaling * left[k + 3];
#pragma omp simd
          for (int64_t i = 0; i < count; ++i) v[i] += (c0 * a0[i] + c1 * a1[i]) + (c2 * a2[i] + c3 * a3[i]);
        }
        for (; k < rank; ++k) {
          const float* right = a + k * width + at;
          const float c = scaling * left[k];
#pragma omp simd
          for (int64_t i = 0; i < count; ++i) v[i] += c * right[i];
        }
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < count; ++i) sum += v[i] * v[i];
        squares[q] += static_cast<double>(sum);
      }
    }
    for (int64_t q = 0; q < rows; ++q) norms[first + q] = static_cast<float>(std::sqrt(squares[q]));
  }
}

template <typename T>
void rescaleColumns(const T* x, const float* shift, const float* excess, int64_t begin, int64_t end, int64_t width, T* y) {
  for (int64_t row = begin; row < end; ++row) {
    const T* in = x + row * width;
    T* out = y + row * width;
    if (shift) {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) store(out, i, load(in, i) + (load(in, i) - shift[i]) * excess[i]);
    } else {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) store(out, i, load(in, i) + load(in, i) * excess[i]);
    }
  }
}

template <typename T>
void rescaleColumnsBackward(const T* gradY, const T* x, const float* shift, const float* excess, int64_t begin,
                            int64_t end, int64_t width, T* gradX, float* products, float* sums) {
  for (int64_t row = begin; row < end; ++row) {
    const T *g = gradY + row * width, *in = x + row * width;
    T* out = gradX + row * width;
    if (products && shift) {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) products[i] += load(g, i) * (load(in, i) - shift[i]);
    } else if (products) {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) products[i] += load(g, i) * load(in, i);
    }
    if (sums) {
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) sums[i] += load(g, i);
    }
#pragma omp simd
    for (int64_t i = 0; i < width; ++i) store(out, i, load(g, i) + load(g, i) * excess[i]);
  }
}

template <typename T>
constexpr RowKernels<T> kTable{rmsNorm<T>,        rmsNormBackward<T>, layerNorm<T>, layerNormBackward<T>, swiglu<T>,
                               swigluBackward<T>, gelu<T>,            geluBackward<T>, dropout<T>,
                               updatedRowNorms<T>, rescaleColumns<T>, rescaleColumnsBackward<T>};

}  // namespace

const RowKernels<float>& RS_TABLE_NAME(float*) { return kTable<float>; }
const RowKernels<uint16_t>& RS_TABLE_NAME(uint16_t*) { return kTable<uint16_t>; }

}  // namespace rankscope::kernels::simd
