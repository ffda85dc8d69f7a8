#include "kernels/cpu/four_bit_cpu.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "kernels/cpu/simd/four_bit.h"

namespace rankscope::kernels::cpu {

namespace {

using four_bit::Format;
using four_bit::kScaleBlock;

constexpr int64_t kGrain = int64_t{1} << 16;  // values a thread takes at a time; a multiple of every block

constexpr four_bit::SortedLevels kSortedNormal = four_bit::sorted(four_bit::kNormalLevels);
constexpr four_bit::SortedLevels kSortedFloat = four_bit::sorted(four_bit::kFloatLevels);

int64_t partsOf(int64_t count, int64_t size) { return (count + size - 1) / size; }

template <typename T>
const T* partOf(const at::Tensor& part, at::ScalarType type, int64_t count, const char* name) {
  TORCH_CHECK(part.defined() && part.scalar_type() == type && part.numel() == count && part.is_contiguous() &&
                  part.is_cpu(),
              "4-bit weight: ", name, " should hold ", count, " contiguous values of ", type);
  return part.const_data_ptr<T>();
}

void quantiseMaxima(FourBitWeight& weight) {
  const at::Tensor maxima = std::move(weight.maxima);
  weight.maxima = at::Tensor();
  const int64_t blocks = maxima.numel();
  weight.offset = maxima.mean(at::kDouble).to(at::kFloat).view({1});
  weight.maximumCodes = at::empty({blocks}, at::kByte);
  weight.maximumScales = at::empty({partsOf(blocks, kScaleBlock)}, at::kFloat);
  const float offset = weight.offset.item<float>();
  const float* map = dynamicMap().const_data_ptr<float>();
  const float* source = maxima.const_data_ptr<float>();
  auto* codes = weight.maximumCodes.mutable_data_ptr<uint8_t>();
  auto* scales = weight.maximumScales.mutable_data_ptr<float>();
  at::parallel_for(0, weight.maximumScales.numel(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = part * kScaleBlock, last = std::min(blocks, first + kScaleBlock);
      float scale = 0;
      for (int64_t i = first; i < last; ++i) scale = std::max(scale, std::abs(source[i] - offset));
      scales[part] = scale;
      const float inverse = scale > 0 ? 1 / scale : 0;
      for (int64_t i = first; i < last; ++i) codes[i] = four_bit::nearestInMap(map, (source[i] - offset) * inverse);
    }
  });
}

}  // namespace

four_bit::View viewOf(const FourBitWeight& weight) {
  four_bit::View view;
  view.count = weight.out * weight.in;
  view.block = weight.block;
  view.levels = weight.format == Format::NF4 ? four_bit::kNormalLevels : four_bit::kFloatLevels;
  view.packed = partOf<uint8_t>(weight.packed, at::kByte, (view.count + 1) / 2, "packed");
  const int64_t blocks = partsOf(view.count, view.block);
  if (!weight.doubleQuantised()) {
    view.maxima = partOf<float>(weight.maxima, at::kFloat, blocks, "maxima");
    return view;
  }
  view.maximumCodes = partOf<uint8_t>(weight.maximumCodes, at::kByte, blocks, "maximumCodes");
  view.maximumScales = partOf<float>(weight.maximumScales, at::kFloat, partsOf(blocks, kScaleBlock), "maximumScales");
  view.offset = *partOf<float>(weight.offset, at::kFloat, 1, "offset");
  view.map = dynamicMap().const_data_ptr<float>();
  return view;
}

FourBitWeight quantiseFourBit(const at::Tensor& source, Format format, int64_t block, bool doubleQuantised) {
  FourBitWeight weight;
  weight.format = format;
  weight.out = source.size(0);
  weight.in = source.size(1);
  weight.block = block;
  const int64_t count = source.numel(), blocks = partsOf(count, block);
  weight.packed = at::empty({(count + 1) / 2}, at::kByte);
  weight.maxima = at::empty({blocks}, at::kFloat);
  const at::Tensor flat = source.contiguous().view(-1);
  const auto& levels = format == Format::NF4 ? kSortedNormal : kSortedFloat;
  const uint8_t zeroCode = four_bit::nearest(0.0f, levels);
  auto* packed = weight.packed.mutable_data_ptr<uint8_t>();
  auto* maxima = weight.maxima.mutable_data_ptr<float>();
  std::atomic<bool> finite{true};
  at::parallel_for(0, partsOf(count, kGrain), 1, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> codes(static_cast<size_t>(block) + 1);
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first = piece * kGrain, last = std::min(count, first + kGrain);
      const at::Tensor values = flat.narrow(0, first, last - first).to(at::kFloat);
      const float* value = values.const_data_ptr<float>();
      for (int64_t at = first; at < last; at += block) {
        const int64_t here = std::min(block, last - at);
        float maximum = 0;
        bool good = true;
        for (int64_t i = 0; i < here; ++i) {
          const float magnitude = std::abs(value[at - first + i]);
          good &= std::isfinite(magnitude);
          maximum = std::max(maximum, magnitude);
        }
        if (!good) finite = false;
        maxima[at / block] = maximum;
        simd::nearestCodes(value + at - first, here, maximum, levels, zeroCode, codes.data());
        if (here % 2 != 0) codes[static_cast<size_t>(here)] = 0;
        for (int64_t i = 0; i < here; i += 2)
          packed[(at + i) / 2] = static_cast<uint8_t>(codes[static_cast<size_t>(i)] << 4 | codes[static_cast<size_t>(i) + 1]);
      }
    }
  });
  TORCH_CHECK(finite, "4-bit weight: the matrix holds values that are not finite");
  if (doubleQuantised) quantiseMaxima(weight);
  return weight;
}

at::Tensor dequantiseFourBit(const FourBitWeight& weight, at::ScalarType type) {
  const auto view = viewOf(weight);
  if (type != at::kFloat && type != at::kBFloat16) return cpu::dequantiseFourBit(weight, at::kFloat).to(type);
  auto out = at::empty({weight.out, weight.in}, type);
  at::parallel_for(0, partsOf(view.count, kGrain), 1, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kGrain, last = std::min(view.count, end * kGrain);
    if (type == at::kFloat)
      simd::dequantiseRange(view, first, last, out.mutable_data_ptr<float>() + first);
    else
      simd::dequantiseRange(view, first, last, static_cast<uint16_t*>(out.mutable_data_ptr()) + first);
  });
  return out;
}

}  // namespace rankscope::kernels::cpu
