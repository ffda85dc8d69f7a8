#pragma once
// The arithmetic of the CUDA row kernels as host/device bodies. A body says what one lane of a row does; the launchers
// of rows.cu run it on a GPU (a block per row), and runRowsOnHost()/runElementsOnHost() run the same body lane by lane
// on the CPU, which is how tests check it where there is no GPU.
//
// A row body works in stages: in each, every lane contributes a partial sum, and the stage's total is known to all lanes
// afterwards; finish() then writes the row.

#include <cmath>
#include <cstdint>

#include "kernels/philox.h"

namespace rankscope::kernels::cuda {

RS_HD float dropFactor(uint64_t seed, uint64_t place, int64_t element, uint32_t threshold, float keep) {
  if (threshold == 0) return 1.0f;
  const auto bits = philox(seed, place, static_cast<uint64_t>(element) >> 2);
  return bits.v[element & 3] < threshold ? 0.0f : keep;
}

struct Mask {
  uint64_t seed = 0, place = 0;
  uint32_t threshold = 0;
  float keep = 1;
};

template <typename T>
struct RmsNormBody {
  static constexpr int kStages = 1;
  const T *x, *residual;  // residual may be null
  const float* weight;
  T *sum, *y;
  float* rstd;
  float eps;
  int64_t width;

  RS_HD float value(int64_t i) const {
    if (!residual) return static_cast<float>(x[i]);
    return static_cast<float>(static_cast<T>(static_cast<float>(x[i]) + static_cast<float>(residual[i])));
  }
  RS_HD float partial(int, int64_t row, int lane, int lanes, const float*) const {
    float squares = 0;
    for (int64_t i = lane; i < width; i += lanes) {
      const float v = value(row * width + i);
      squares += v * v;
    }
    return squares;
  }
  RS_HD void finish(int64_t row, int lane, int lanes, const float* totals) const {
    const float r = 1.0f / sqrtf(totals[0] / static_cast<float>(width) + eps);
    if (lane == 0) rstd[row] = r;
    for (int64_t i = lane; i < width; i += lanes) {
      const float v = value(row * width + i);
      if (residual) sum[row * width + i] = static_cast<T>(v);
      y[row * width + i] = static_cast<T>(v * r * weight[i]);
    }
  }
};

template <typename T>
struct RmsNormBackwardBody {
  static constexpr int kStages = 1;
  const T *gradY, *gradOther, *sum;  // gradOther may be null
  const float *weight, *rstd;
  T* gradSum;
  int64_t width;

  RS_HD float partial(int, int64_t row, int lane, int lanes, const float*) const {
    float dot = 0;
    for (int64_t i = lane; i < width; i += lanes)
      dot += static_cast<float>(gradY[row * width + i]) * weight[i] * static_cast<float>(sum[row * width + i]);
    return dot;
  }
  RS_HD void finish(int64_t row, int lane, int lanes, const float* totals) const {
    const float r = rstd[row], c = totals[0] * r * r / static_cast<float>(width);
    for (int64_t i = lane; i < width; i += lanes) {
      const int64_t at = row * width + i;
      float g = (static_cast<float>(gradY[at]) * weight[i] - static_cast<float>(sum[at]) * c) * r;
      if (gradOther) g += static_cast<float>(gradOther[at]);
      gradSum[at] = static_cast<T>(g);
    }
  }
};

template <typename T>
struct LayerNormBody {
  static constexpr int kStages = 2;  // the mean, then the squares about it
  const T *x, *residual;
  const float *weight, *bias;
  Mask mask;
  T *sum, *y;  // sum is null where x stands for it
  float *mean, *rstd;
  float eps;
  int64_t width;

  RS_HD float value(int64_t i) const {
    float v = static_cast<float>(x[i]);
    if (!sum) return v;
    v *= dropFactor(mask.seed, mask.place, i, mask.threshold, mask.keep);
    if (residual) v += static_cast<float>(residual[i]);
    return static_cast<float>(static_cast<T>(v));
  }
  RS_HD float partial(int stage, int64_t row, int lane, int lanes, const float* totals) const {
    const float m = stage == 0 ? 0.0f : totals[0] / static_cast<float>(width);
    float out = 0;
    for (int64_t i = lane; i < width; i += lanes) {
      const float v = value(row * width + i) - m;
      out += stage == 0 ? v : v * v;
    }
    return out;
  }
  RS_HD void finish(int64_t row, int lane, int lanes, const float* totals) const {
    const float m = totals[0] / static_cast<float>(width);
    const float r = 1.0f / sqrtf(totals[1] / static_cast<float>(width) + eps);
    if (lane == 0) {
      mean[row] = m;
      rstd[row] = r;
    }
    for (int64_t i = lane; i < width; i += lanes) {
      const float v = value(row * width + i);
      if (sum) sum[row * width + i] = static_cast<T>(v);
      y[row * width + i] = static_cast<T>((v - m) * r * weight[i] + bias[i]);
    }
  }
};

template <typename T>
struct LayerNormBackwardBody {
  static constexpr int kStages = 2;  // Σ g w and Σ g w · normed
  const T *gradY, *sum;
  const float *weight, *mean, *rstd;
  Mask mask;
  T *gradX, *gradResidual;
  int64_t width;

  RS_HD float partial(int stage, int64_t row, int lane, int lanes, const float*) const {
    float out = 0;
    for (int64_t i = lane; i < width; i += lanes) {
      const float g = static_cast<float>(gradY[row * width + i]) * weight[i];
      out += stage == 0 ? g : g * (static_cast<float>(sum[row * width + i]) - mean[row]) * rstd[row];
    }
    return out;
  }
  RS_HD void finish(int64_t row, int lane, int lanes, const float* totals) const {
    const float n = static_cast<float>(width), plain = totals[0] / n, crossed = totals[1] / n;
    for (int64_t i = lane; i < width; i += lanes) {
      const int64_t at = row * width + i;
      const float normed = (static_cast<float>(sum[at]) - mean[row]) * rstd[row];
      const T g = static_cast<T>((static_cast<float>(gradY[at]) * weight[i] - plain - normed * crossed) * rstd[row]);
      gradResidual[at] = g;
      if (mask.threshold)
        gradX[at] = static_cast<T>(static_cast<float>(g) *
                                   dropFactor(mask.seed, mask.place, at, mask.threshold, mask.keep));
    }
  }
};

// Sums over rows for the gradients of norm weights: element = column. mean is null for RMSNorm.
template <typename T>
struct NormWeightBody {
  const T *gradY, *sum;
  const float *mean, *rstd;
  float *gradWeight, *gradBias;  // gradBias may be null
  int64_t rows, width;

  RS_HD void element(int64_t column) const {
    float w = 0, b = 0;
    for (int64_t row = 0; row < rows; ++row) {
      const float g = static_cast<float>(gradY[row * width + column]);
      const float m = mean ? mean[row] : 0.0f;
      w += g * (static_cast<float>(sum[row * width + column]) - m) * rstd[row];
      b += g;
    }
    gradWeight[column] = w;
    if (gradBias) gradBias[column] = b;
  }
};

template <typename T>
struct SwigluBody {
  const T* gateUp;
  T* y;
  int64_t width;
  RS_HD void element(int64_t i) const {
    const int64_t row = i / width, column = i % width, at = row * 2 * width + column;
    const float g = static_cast<float>(gateUp[at]);
    y[i] = static_cast<T>(g / (1.0f + expf(-g)) * static_cast<float>(gateUp[at + width]));
  }
};

template <typename T>
struct SwigluBackwardBody {
  const T *gradY, *gateUp;
  T* grad;
  int64_t width;
  RS_HD void element(int64_t i) const {
    const int64_t row = i / width, column = i % width, at = row * 2 * width + column;
    const float x = static_cast<float>(gateUp[at]), up = static_cast<float>(gateUp[at + width]);
    const float s = 1.0f / (1.0f + expf(-x)), g = static_cast<float>(gradY[i]);
    grad[at] = static_cast<T>(g * up * s * (1.0f + x * (1.0f - s)));
    grad[at + width] = static_cast<T>(g * x * s);
  }
};

template <typename T>
struct GeluBody {
  const T* x;
  T* y;
  RS_HD void element(int64_t i) const {
    const float v = static_cast<float>(x[i]);
    y[i] = static_cast<T>(0.5f * v * (1.0f + erff(v * 0.70710678118654752f)));
  }
};

template <typename T>
struct GeluBackwardBody {
  const T *gradY, *x;
  T* grad;
  RS_HD void element(int64_t i) const {
    const float v = static_cast<float>(x[i]);
    const float cumulative = 0.5f * (1.0f + erff(v * 0.70710678118654752f));
    const float density = 0.39894228040143268f * expf(-0.5f * v * v);
    grad[i] = static_cast<T>(static_cast<float>(gradY[i]) * (cumulative + v * density));
  }
};

template <typename T>
struct DropoutBody {
  const T* x;
  T* y;
  Mask mask;
  RS_HD void element(int64_t i) const {
    y[i] = static_cast<T>(static_cast<float>(x[i]) * dropFactor(mask.seed, mask.place, i, mask.threshold, mask.keep));
  }
};

template <typename Body>
void runRowsOnHost(const Body& body, int64_t rows, int lanes) {
  for (int64_t row = 0; row < rows; ++row) {
    float totals[Body::kStages] = {};
    for (int stage = 0; stage < Body::kStages; ++stage) {
      float sum = 0;
      for (int lane = 0; lane < lanes; ++lane) sum += body.partial(stage, row, lane, lanes, totals);
      totals[stage] = sum;
    }
    for (int lane = 0; lane < lanes; ++lane) body.finish(row, lane, lanes, totals);
  }
}

template <typename Body>
void runElementsOnHost(const Body& body, int64_t count) {
  for (int64_t i = 0; i < count; ++i) body.element(i);
}

}  // namespace rankscope::kernels::cuda
