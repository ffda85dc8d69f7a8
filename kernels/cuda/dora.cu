// DoRA's operators on the GPU: launches of the bodies of dora_body.cuh.

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <tuple>

#include "kernels/cuda/dora_body.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/dora_shapes.h"

namespace rankscope::kernels::cuda {

namespace {

// A block of threads to a group of rows.
template <typename Body>
__global__ void rowGroupKernel(Body body) {
  constexpr int kWarps = kThreads / 32;
  __shared__ float warpSums[Body::kRows][kWarps];
  const int64_t first = static_cast<int64_t>(blockIdx.x) * Body::kRows;
  float sums[Body::kRows];
  body.partial(first, threadIdx.x, kThreads, sums);
  for (int q = 0; q < Body::kRows; ++q) {
    for (int offset = 16; offset > 0; offset /= 2) sums[q] += __shfl_down_sync(0xffffffffu, sums[q], offset);
    if (threadIdx.x % 32 == 0) warpSums[q][threadIdx.x / 32] = sums[q];
  }
  __syncthreads();
  if (threadIdx.x >= Body::kRows) return;
  float total = 0;
  for (int warp = 0; warp < kWarps; ++warp) total += warpSums[threadIdx.x][warp];
  body.finish(first, threadIdx.x, total);
}

at::Tensor doraRowNorms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b, double scaling) {
  checkRowNorms(weight, a, b);
  const int64_t rows = weight.size(0), width = weight.size(1), rank = a.size(0);
  at::Tensor norms = at::empty({rows}, a.options());
  if (rows == 0) return norms;
  withType(weight, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    using Body = UpdatedRowNormsBody<T>;
    const auto blocks = static_cast<unsigned>((rows + Body::kRows - 1) / Body::kRows);
    rowGroupKernel<<<blocks, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
        Body{data<T>(weight), data<float>(a), data<float>(b), static_cast<float>(scaling), rank, rows, width,
             data<float>(norms)});
    checkLaunch();
  });
  return norms;
}

at::Tensor rescaleColumns(const at::Tensor& x, const OptionalTensor& shift, const at::Tensor& excess) {
  checkColumns(x, shift, excess);
  at::Tensor y = at::empty_like(x);
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launchElements(RescaleBody<T>{data<T>(x), data<float>(shift), data<float>(excess), data<T>(y), x.size(1)}, x.numel());
  });
  return y;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> rescaleColumnsBackward(const at::Tensor& gradY, const at::Tensor& x,
                                                                      const OptionalTensor& shift,
                                                                      const at::Tensor& excess) {
  checkColumns(gradY, x, shift, excess);
  const int64_t rows = x.size(0), width = x.size(1);
  at::Tensor gradX = at::empty_like(x), products = at::empty({width}, excess.options()), sums = at::empty_like(products);
  withType(x, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    launchElements(RescaleBackwardBody<T>{data<T>(gradY), data<float>(excess), data<T>(gradX), width}, x.numel());
    launchElements(RescaleSumsBody<T>{data<T>(gradY), data<T>(x), data<float>(shift), data<float>(products),
                                      data<float>(sums), rows, width},
                   width);
  });
  return {gradX, products, sums};
}

}  // namespace

}  // namespace rankscope::kernels::cuda

TORCH_LIBRARY_IMPL(rankscope, CUDA, m) {
  namespace gpu = rankscope::kernels::cuda;  // not ::cuda, which the toolkit's headers declare
  m.impl("dora_row_norms", gpu::doraRowNorms);
  m.impl("rescale_columns", gpu::rescaleColumns);
  m.impl("rescale_columns_backward", gpu::rescaleColumnsBackward);
}
