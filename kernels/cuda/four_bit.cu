// 4-bit weights on the GPU: quantising (a thread block to a block of values) and giving back (a thread to a byte). The
// bodies are in four_bit_body.cuh. Built into librankscope_cuda.so.

#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "kernels/cuda/four_bit_body.cuh"

namespace rankscope::kernels::cuda {

namespace {

constexpr int kThreads = 64;
constexpr int64_t kMostBlocks = int64_t{1} << 20;

// Levels in constant memory would serialise different codes of a warp; in shared memory they are read side by side.
struct Levels {
  float value[four_bit::kLevels];
};

Levels levelsOf(int64_t format) {
  const float* source = format == 0 ? four_bit::kNormalLevels : four_bit::kFloatLevels;
  Levels levels;
  std::copy_n(source, four_bit::kLevels, levels.value);
  return levels;
}

__device__ float groupLargest(float mine) {
  __shared__ float all[kThreads];
  all[threadIdx.x] = mine;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) all[threadIdx.x] = four_bit::larger(all[threadIdx.x], all[threadIdx.x + half]);
    __syncthreads();
  }
  const float largest = all[0];
  __syncthreads();
  return largest;
}

template <typename T>
__global__ void quantiseKernel(const T* values, int64_t count, int64_t block, four_bit::SortedLevels levels,
                               uint8_t* packed, float* maxima) {
  const four_bit::Lane lane{static_cast<int64_t>(threadIdx.x), kThreads};
  for (int64_t b = blockIdx.x; b * block < count; b += gridDim.x) {
    const int64_t first = b * block, here = count - first < block ? count - first : block;
    const float largest = groupLargest(four_bit::largestOf(lane, values + first, here, 0.0f));
    if (threadIdx.x == 0) maxima[b] = largest;
    four_bit::writeCodes(lane, values + first, here, largest, levels, packed + first / 2);
  }
}

__global__ void maximaKernel(const float* maxima, int64_t blocks, const float* offset, const float* map, uint8_t* codes,
                             float* scales) {
  const four_bit::Lane lane{static_cast<int64_t>(threadIdx.x), kThreads};
  for (int64_t part = blockIdx.x; part * four_bit::kScaleBlock < blocks; part += gridDim.x) {
    const int64_t first = part * four_bit::kScaleBlock;
    const int64_t here = blocks - first < four_bit::kScaleBlock ? blocks - first : four_bit::kScaleBlock;
    const float scale = groupLargest(four_bit::largestOf(lane, maxima + first, here, *offset));
    if (threadIdx.x == 0) scales[part] = scale;
    four_bit::writeMaximumCodes(lane, maxima + first, here, *offset, scale, map, codes + first);
  }
}

template <typename T>
__global__ void dequantiseKernel(four_bit::View view, Levels levels, const float* offset, T* out) {
  __shared__ Levels shared;
  if (threadIdx.x < four_bit::kLevels) shared.value[threadIdx.x] = levels.value[threadIdx.x];
  __syncthreads();
  view.levels = shared.value;
  const int64_t bytes = (view.count + 1) / 2;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < bytes;
       i += static_cast<int64_t>(gridDim.x) * blockDim.x)
    four_bit::writeValues(i, view, offset, out);
}

unsigned blocksFor(int64_t work) { return static_cast<unsigned>(std::clamp<int64_t>(work, 1, kMostBlocks)); }

// Copied from the host; a few hundred bytes a call.
at::Tensor mapOn(const at::Tensor& like) {
  static constexpr four_bit::DynamicMap values = four_bit::makeDynamicMap();
  return at::tensor(at::ArrayRef<float>(values.value, four_bit::kMapSize), at::kFloat).to(like.device());
}

void checkLaunch() { C10_CUDA_CHECK(cudaGetLastError()); }

std::vector<at::Tensor> quantise(const at::Tensor& weight, int64_t format, int64_t block, bool doubleQuantised) {
  const c10::cuda::CUDAGuard guard(weight.device());
  const auto stream = c10::cuda::getCurrentCUDAStream();
  const at::Tensor values = weight.contiguous();
  const int64_t count = values.numel(), blocks = (count + block - 1) / block;
  const auto bytes = values.options().dtype(at::kByte), floats = values.options().dtype(at::kFloat);
  auto packed = at::empty({(count + 1) / 2}, bytes), maxima = at::empty({blocks}, floats);
  const auto kind = static_cast<four_bit::Format>(format);
  const auto levels =
      four_bit::sorted(kind == four_bit::Format::NF4 ? four_bit::kNormalLevels : four_bit::kFloatLevels);
  TORCH_CHECK(values.scalar_type() == at::kFloat || values.scalar_type() == at::kBFloat16,
              "4-bit weight: float32 or bfloat16 is needed, found ", values.scalar_type());
  if (values.scalar_type() == at::kFloat)
    quantiseKernel<<<blocksFor(blocks), kThreads, 0, stream>>>(values.const_data_ptr<float>(), count, block, levels,
                                                               packed.mutable_data_ptr<uint8_t>(),
                                                               maxima.mutable_data_ptr<float>());
  else
    quantiseKernel<<<blocksFor(blocks), kThreads, 0, stream>>>(values.const_data_ptr<at::BFloat16>(), count, block,
                                                               levels, packed.mutable_data_ptr<uint8_t>(),
                                                               maxima.mutable_data_ptr<float>());
  checkLaunch();
  // Once for each weight, when it is loaded: here the host may wait.
  TORCH_CHECK(maxima.isfinite().all().item<bool>(), "4-bit weight: the matrix holds values that are not finite");
  if (!doubleQuantised) return {packed, maxima};
  const auto offset = maxima.mean(at::kDouble).to(at::kFloat).view({1}), map = mapOn(maxima);
  const int64_t parts = (blocks + four_bit::kScaleBlock - 1) / four_bit::kScaleBlock;
  auto codes = at::empty({blocks}, bytes), scales = at::empty({parts}, floats);
  maximaKernel<<<blocksFor(parts), kThreads, 0, stream>>>(maxima.const_data_ptr<float>(), blocks,
                                                          offset.const_data_ptr<float>(), map.const_data_ptr<float>(),
                                                          codes.mutable_data_ptr<uint8_t>(),
                                                          scales.mutable_data_ptr<float>());
  checkLaunch();
  return {packed, codes, scales, offset};
}

at::Tensor dequantise(at::TensorList parts, at::IntArrayRef shape, at::ScalarType type) {
  const at::Tensor& packed = parts[0];
  const c10::cuda::CUDAGuard guard(packed.device());
  const auto stream = c10::cuda::getCurrentCUDAStream();
  if (type != at::kFloat && type != at::kBFloat16) return dequantise(parts, shape, at::kFloat).to(type);
  four_bit::View view;
  view.packed = packed.const_data_ptr<uint8_t>();
  view.count = shape[1] * shape[2];
  view.block = shape[3];
  const float* offset = nullptr;
  at::Tensor map;
  if (parts.size() == 2) {
    view.maxima = parts[1].const_data_ptr<float>();
  } else {
    map = mapOn(packed);
    view.maximumCodes = parts[1].const_data_ptr<uint8_t>();
    view.maximumScales = parts[2].const_data_ptr<float>();
    view.map = map.const_data_ptr<float>();
    offset = parts[3].const_data_ptr<float>();
  }
  auto out = at::empty({shape[1], shape[2]}, packed.options().dtype(type));
  const auto grid = blocksFor((view.count / 2 + 255) / 256);
  if (type == at::kFloat)
    dequantiseKernel<<<grid, 256, 0, stream>>>(view, levelsOf(shape[0]), offset, out.mutable_data_ptr<float>());
  else
    dequantiseKernel<<<grid, 256, 0, stream>>>(view, levelsOf(shape[0]), offset, out.mutable_data_ptr<at::BFloat16>());
  checkLaunch();
  return out;
}

}  // namespace

}  // namespace rankscope::kernels::cuda

TORCH_LIBRARY_IMPL(rankscope, CUDA, m) {
  m.impl("four_bit_quantise", rankscope::kernels::cuda::quantise);
  m.impl("four_bit_dequantise", rankscope::kernels::cuda::dequantise);
}
