#pragma once
// DoRA's CUDA arithmetic as host/device bodies (see row_bodies.cuh): the norms of the rows of W + s B A, and columns
// rescaled to their magnitudes.

#include <cmath>
#include <cstdint>

#include "kernels/philox.h"

namespace rankscope::kernels::cuda {

// Some rows at a time, so that every value of A that is read serves all of them.
template <typename T>
struct UpdatedRowNormsBody {
  static constexpr int kRows = 8;
  const T* weight;    // [rows, width]
  const float *a, *b;  // [rank, width], [rows, rank]
  float scaling;
  int64_t rank, rows, width;
  float* norms;

  // A lane's share of the sums of squares of the rows from `first` on.
  RS_HD void partial(int64_t first, int lane, int lanes, float* sums) const {
    for (int q = 0; q < kRows; ++q) sums[q] = 0;
    for (int64_t j = lane; j < width; j += lanes) {
      float update[kRows];
      for (int q = 0; q < kRows; ++q) update[q] = 0;
      for (int64_t k = 0; k < rank; ++k) {
        const float right = a[k * width + j];
        for (int q = 0; q < kRows; ++q) update[q] += b[row(first, q) * rank + k] * right;
      }
      for (int q = 0; q < kRows; ++q) {
        const float v = static_cast<float>(weight[row(first, q) * width + j]) + scaling * update[q];
        sums[q] += v * v;
      }
    }
  }
  RS_HD void finish(int64_t first, int q, float total) const {
    if (first + q < rows) norms[first + q] = sqrtf(total);
  }

 private:
  // Behind the last row it is taken once more, and its sum is nobody's.
  RS_HD int64_t row(int64_t first, int q) const { return first + q < rows ? first + q : rows - 1; }
};

template <typename T>
struct RescaleBody {
  const T* x;
  const float *shift, *excess;  // shift may be null
  T* y;
  int64_t width;

  RS_HD void element(int64_t i) const {
    const float v = static_cast<float>(x[i]);
    y[i] = static_cast<T>(v + (shift ? v - shift[i % width] : v) * excess[i % width]);
  }
};

template <typename T>
struct RescaleBackwardBody {
  const T* gradY;
  const float* excess;
  T* gradX;
  int64_t width;

  RS_HD void element(int64_t i) const {
    const float g = static_cast<float>(gradY[i]);
    gradX[i] = static_cast<T>(g + g * excess[i % width]);
  }
};

// One column a call: Σ gradY · (x − shift) and Σ gradY over the rows.
template <typename T>
struct RescaleSumsBody {
  const T *gradY, *x;
  const float* shift;
  float *products, *sums;
  int64_t rows, width;

  RS_HD void element(int64_t column) const {
    const float less = shift ? shift[column] : 0.0f;
    float product = 0, sum = 0;
    for (int64_t row = 0; row < rows; ++row) {
      const float g = static_cast<float>(gradY[row * width + column]);
      product += g * (static_cast<float>(x[row * width + column]) - less);
      sum += g;
    }
    products[column] = product;
    sums[column] = sum;
  }
};

template <typename Body>
void runRowGroupsOnHost(const Body& body, int lanes) {
  for (int64_t first = 0; first < body.rows; first += Body::kRows) {
    float totals[Body::kRows] = {}, sums[Body::kRows];
    for (int lane = 0; lane < lanes; ++lane) {
      body.partial(first, lane, lanes, sums);
      for (int q = 0; q < Body::kRows; ++q) totals[q] += sums[q];
    }
    for (int q = 0; q < Body::kRows; ++q) body.finish(first, q, totals[q]);
  }
}

}  // namespace rankscope::kernels::cuda
