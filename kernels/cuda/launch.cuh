#pragma once
// How bodies (row_bodies.cuh, dora_body.cuh) run on a GPU: a block of threads to a row, or a thread to an element.

#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <optional>
#include <type_traits>

namespace rankscope::kernels::cuda {

namespace {

using OptionalTensor = std::optional<at::Tensor>;
constexpr int kThreads = 256;

template <typename Body>
__global__ void rowKernel(Body body, int64_t rows) {
  __shared__ float warpSums[kThreads / 32];
  __shared__ float totals[2];
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    for (int stage = 0; stage < Body::kStages; ++stage) {
      float sum = body.partial(stage, row, threadIdx.x, kThreads, totals);
      for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffffu, sum, offset);
      if (threadIdx.x % 32 == 0) warpSums[threadIdx.x / 32] = sum;
      __syncthreads();
      if (threadIdx.x == 0) {
        float total = 0;
        for (int warp = 0; warp < kThreads / 32; ++warp) total += warpSums[warp];
        totals[stage] = total;
      }
      __syncthreads();
    }
    body.finish(row, threadIdx.x, kThreads, totals);
    __syncthreads();  // the next row writes totals again
  }
}

template <typename Body>
__global__ void elementKernel(Body body, int64_t count) {
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += static_cast<int64_t>(gridDim.x) * kThreads)
    body.element(i);
}

void checkLaunch() {
  const auto status = cudaGetLastError();
  TORCH_CHECK(status == cudaSuccess, "a CUDA kernel could not be launched: ", cudaGetErrorString(status));
}

template <typename Body>
void launchRows(const Body& body, int64_t rows) {
  if (rows == 0) return;
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(rows, 65535));
  rowKernel<<<blocks, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(body, rows);
  checkLaunch();
}

template <typename Body>
void launchElements(const Body& body, int64_t count) {
  if (count == 0) return;
  const auto blocks = static_cast<unsigned>(std::min<int64_t>((count + kThreads - 1) / kThreads, 65535));
  elementKernel<<<blocks, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(body, count);
  checkLaunch();
}

template <typename F>
void withType(const at::Tensor& x, const F& f) {
  const c10::cuda::CUDAGuard device(x.device());
  if (x.scalar_type() == at::kFloat)
    f(static_cast<float*>(nullptr));
  else if (x.scalar_type() == at::kBFloat16)
    f(static_cast<c10::BFloat16*>(nullptr));
  else
    TORCH_CHECK(false, "the operator takes float32 or bfloat16, not ", x.scalar_type());
}

template <typename T>
T* data(const at::Tensor& t) {
  return static_cast<T*>(t.data_ptr());
}
template <typename T>
T* data(const OptionalTensor& t) {
  return t ? static_cast<T*>(t->data_ptr()) : nullptr;
}

}  // namespace

}  // namespace rankscope::kernels::cuda
