#include "kernels/four_bit_ops.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "kernels/no_recording.h"
#include "kernels/registered.h"

namespace rankscope::kernels {

const at::Tensor& dynamicMap() {
  static constexpr four_bit::DynamicMap values = four_bit::makeDynamicMap();
  static const at::Tensor map = at::tensor(at::ArrayRef<float>(values.value, four_bit::kMapSize), at::kFloat);
  return map;
}

int64_t FourBitWeight::bytes() const {
  int64_t total = 0;
  for (const at::Tensor* part : {&packed, &maxima, &maximumCodes, &maximumScales, &offset})
    if (part->defined()) total += static_cast<int64_t>(part->nbytes());
  return total;
}

namespace op {

std::vector<at::Tensor> fourBitParts(const FourBitWeight& weight) {
  if (!weight.doubleQuantised()) return {weight.packed, weight.maxima};
  return {weight.packed, weight.maximumCodes, weight.maximumScales, weight.offset};
}

std::vector<int64_t> fourBitShape(const FourBitWeight& weight) {
  return {static_cast<int64_t>(weight.format), weight.out, weight.in, weight.block};
}

FourBitWeight fourBitOfParts(at::TensorList parts, at::IntArrayRef shape) {
  TORCH_CHECK((parts.size() == 2 || parts.size() == 4) && shape.size() == 4 && shape[3] > 0,
              "4-bit weight: ", parts.size(), " parts and a shape of ", shape.size(), " numbers");
  FourBitWeight weight;
  weight.format = static_cast<four_bit::Format>(shape[0]);
  weight.out = shape[1];
  weight.in = shape[2];
  weight.block = shape[3];
  weight.packed = parts[0];
  if (parts.size() == 2) {
    weight.maxima = parts[1];
  } else {
    weight.maximumCodes = parts[1];
    weight.maximumScales = parts[2];
    weight.offset = parts[3];
  }
  return weight;
}

}  // namespace op

FourBitWeight quantiseFourBit(const at::Tensor& weight, four_bit::Format format, int64_t block, bool doubleQuantised) {
  TORCH_CHECK(weight.dim() == 2 && weight.numel() > 0, "4-bit weight: expected a matrix, found ", weight.sizes());
  TORCH_CHECK(block >= 32 && block <= 4096 && (block & (block - 1)) == 0,
              "4-bit weight: blocks of ", block, " values; expected a power of two of 32 to 4096");
  const NoRecording guard;
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("rankscope::four_bit_quantise", "")
                             .typed<std::vector<at::Tensor>(const at::Tensor&, int64_t, int64_t, bool)>();
  const auto parts = op.call(weight, static_cast<int64_t>(format), block, doubleQuantised);
  return op::fourBitOfParts(parts, {static_cast<int64_t>(format), weight.size(0), weight.size(1), block});
}

at::Tensor dequantiseFourBit(const FourBitWeight& weight, at::ScalarType type) {
  const NoRecording guard;
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("rankscope::four_bit_dequantise", "")
                             .typed<at::Tensor(at::TensorList, at::IntArrayRef, at::ScalarType)>();
  return op.call(op::fourBitParts(weight), op::fourBitShape(weight), type);
}

namespace {

std::vector<at::Tensor> quantiseOnCpu(const at::Tensor& weight, int64_t format, int64_t block, bool doubleQuantised) {
  return op::fourBitParts(cpu::quantiseFourBit(weight, static_cast<four_bit::Format>(format), block, doubleQuantised));
}

at::Tensor dequantiseOnCpu(at::TensorList parts, at::IntArrayRef shape, at::ScalarType type) {
  return cpu::dequantiseFourBit(op::fourBitOfParts(parts, shape), type);
}

}  // namespace

}  // namespace rankscope::kernels

// In this file, so that whoever calls the operators links their registration.
TORCH_LIBRARY_FRAGMENT(rankscope, m) {
  m.def("four_bit_quantise(Tensor weight, int format, int block, bool double_quantised) -> Tensor[]");
  m.def("four_bit_dequantise(Tensor[] parts, int[] shape, ScalarType dtype) -> Tensor");
}

TORCH_LIBRARY_IMPL(rankscope, CPU, m) {
  m.impl("four_bit_quantise", rankscope::kernels::quantiseOnCpu);
  m.impl("four_bit_dequantise", rankscope::kernels::dequantiseOnCpu);
}
