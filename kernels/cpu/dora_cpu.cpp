// DoRA's operators on the CPU: rows split over threads, the loops in kernels/cpu/simd.

#include <torch/library.h>

#include "kernels/cpu/row_support.h"
#include "kernels/cpu/simd/row_kernels.h"
#include "kernels/dora_shapes.h"
#include "kernels/registered.h"

namespace rankscope::kernels::cpu {

namespace {

using op::OptionalTensor;

at::Tensor doraRowNorms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling) {
  checkRowNorms(weight, a, b);
  const int64_t rows = weight.size(0), width = weight.size(1), rank = a.size(0);
  at::Tensor norms = at::empty({rows}, a.options());
  withType(weight, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    at::parallel_for(0, rows, grain(width * std::max<int64_t>(1, rank)), [&](int64_t begin, int64_t end) {
      simd::rowKernels<T>().updatedRowNorms(data<T>(weight), data<float>(a), data<float>(b), static_cast<float>(scaling),
                                            rank, begin, end, width, data<float>(norms));
    });
  });
  return norms;
}

at::Tensor rescaleColumns(const at::Tensor& x, const OptionalTensor& shift, const at::Tensor& excess) {
  checkColumns(x, shift, excess);
  at::Tensor y = at::empty_like(x);
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    at::parallel_for(0, x.size(0), grain(x.size(1)), [&](int64_t begin, int64_t end) {
      simd::rowKernels<T>().rescaleColumns(data<T>(x), shift ? data<float>(*shift) : nullptr, data<float>(excess), begin,
                                           end, x.size(1), data<T>(y));
    });
  });
  return y;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> rescaleColumnsBackward(const at::Tensor& gradY, const at::Tensor& x,
                                                                      const OptionalTensor& shift,
                                                                      const at::Tensor& excess) {
  checkColumns(gradY, x, shift, excess);
  const int64_t rows = x.size(0), width = x.size(1), shares = shareCount();
  at::Tensor gradX = at::empty_like(x), partial = at::zeros({2, shares, width}, excess.options());
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
      for (int64_t s = first; s < last; ++s) {
        float* products = data<float>(partial) + s * width;
        simd::rowKernels<T>().rescaleColumnsBackward(data<T>(gradY), data<T>(x), shift ? data<float>(*shift) : nullptr,
                                                     data<float>(excess), rows * s / shares, rows * (s + 1) / shares,
                                                     width, data<T>(gradX), products, products + shares * width);
      }
    });
  });
  const at::Tensor sums = partial.sum(1);
  return {gradX, sums.select(0, 0), sums.select(0, 1)};
}

}  // namespace

// Called from register.cpp so that a static library keeps this file.
void registerDora(torch::Library& m) {
  m.impl("dora_row_norms", doraRowNorms);
  m.impl("rescale_columns", rescaleColumns);
  m.impl("rescale_columns_backward", rescaleColumnsBackward);
}

}  // namespace rankscope::kernels::cpu
