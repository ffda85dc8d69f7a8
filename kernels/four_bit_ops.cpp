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

namespace {

constexpr size_t kShapeSize = 5;  // format, out, in, block, tensors

std::vector<at::Tensor> partsOf(const FourBitWeight& weight) {
  if (!weight.doubleQuantised()) return {weight.packed, weight.maxima};
  return {weight.packed, weight.maximumCodes, weight.maximumScales, weight.offset};
}

FourBitWeight ofParts(at::TensorList parts, at::IntArrayRef shape) {
  TORCH_CHECK((parts.size() == 2 || parts.size() == 4) && shape[3] > 0, "4-bit weight: ", parts.size(),
              " parts, blocks of ", shape[3]);
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

}  // namespace

std::vector<at::Tensor> fourBitParts(const std::vector<FourBitWeight>& weights) {
  std::vector<at::Tensor> all;
  for (const FourBitWeight& weight : weights)
    for (at::Tensor& part : partsOf(weight)) all.push_back(std::move(part));
  return all;
}

std::vector<int64_t> fourBitShape(const std::vector<FourBitWeight>& weights) {
  std::vector<int64_t> all;
  for (const FourBitWeight& weight : weights)
    all.insert(all.end(), {static_cast<int64_t>(weight.format), weight.out, weight.in, weight.block,
                           weight.doubleQuantised() ? 4 : 2});
  return all;
}

std::vector<FourBitWeight> fourBitOfParts(at::TensorList parts, at::IntArrayRef shape) {
  TORCH_CHECK(!shape.empty() && shape.size() % kShapeSize == 0, "4-bit weights: a shape of ", shape.size(), " numbers");
  std::vector<FourBitWeight> weights;
  size_t at = 0;
  for (size_t i = 0; i < shape.size(); i += kShapeSize) {
    const auto own = shape.slice(i, kShapeSize);
    const auto count = static_cast<size_t>(own[4]);
    TORCH_CHECK(own[4] > 0 && at + count <= parts.size(), "4-bit weights: ", parts.size(), " parts are too few");
    weights.push_back(ofParts(parts.slice(at, count), own));
    TORCH_CHECK(weights.back().in == weights.front().in, "4-bit weights of ", weights.front().in, " and ",
                weights.back().in, " columns cannot be stacked");
    at += count;
  }
  return weights;
}

int64_t rowsOf(const std::vector<FourBitWeight>& weights) {
  int64_t rows = 0;
  for (const FourBitWeight& weight : weights) rows += weight.out;
  return rows;
}

at::Tensor dequantised(const std::vector<FourBitWeight>& weights, at::ScalarType type) {
  if (weights.size() == 1) return dequantiseFourBit(weights.front(), type);
  std::vector<at::Tensor> matrices;
  for (const FourBitWeight& weight : weights) matrices.push_back(dequantiseFourBit(weight, type));
  return at::cat(matrices);
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
  const int64_t shape[] = {static_cast<int64_t>(format), weight.size(0), weight.size(1), block,
                           static_cast<int64_t>(parts.size())};
  return op::fourBitOfParts(parts, shape).front();
}

at::Tensor dequantiseFourBit(const FourBitWeight& weight, at::ScalarType type) {
  const NoRecording guard;
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("rankscope::four_bit_dequantise", "")
                             .typed<at::Tensor(at::TensorList, at::IntArrayRef, at::ScalarType)>();
  return op.call(op::fourBitParts({weight}), op::fourBitShape({weight}), type);
}

namespace {

std::vector<at::Tensor> quantiseOnCpu(const at::Tensor& weight, int64_t format, int64_t block, bool doubleQuantised) {
  return op::fourBitParts({cpu::quantiseFourBit(weight, static_cast<four_bit::Format>(format), block, doubleQuantised)});
}

at::Tensor dequantiseOnCpu(at::TensorList parts, at::IntArrayRef shape, at::ScalarType type) {
  return cpu::dequantiseFourBit(op::fourBitOfParts(parts, shape).front(), type);
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
