#include "kernels/four_bit_ops.h"

// METHODS 19 with whole tensors: every value against every level. Clear before fast; needs 16 times the weight.

namespace rankscope::kernels::reference {

namespace {

at::Tensor levelsOf(four_bit::Format format, const at::Device& device) {
  const float* levels = format == four_bit::Format::NF4 ? four_bit::kNormalLevels : four_bit::kFloatLevels;
  return at::tensor(at::ArrayRef<float>(levels, four_bit::kLevels), at::kFloat).to(device);
}

// [parts, size] with zeros behind the end.
at::Tensor inParts(const at::Tensor& flat, int64_t size) {
  const int64_t missing = (size - flat.numel() % size) % size;
  return at::cat({flat, at::zeros({missing}, flat.options())}).view({-1, size});
}

at::Tensor largestOf(const at::Tensor& parts) { return std::get<0>(parts.abs().max(1)); }

// x / scale with 0 where the scale is 0.
at::Tensor over(const at::Tensor& parts, const at::Tensor& scale) {
  return at::where(scale > 0, parts / scale.clamp_min(1e-45), at::zeros_like(parts));
}

// Codes by the number of midpoints of the sorted levels that lie below.
at::Tensor codesOf(const at::Tensor& x, four_bit::Format format) {
  const auto [sorted, codes] = levelsOf(format, x.device()).sort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  const int64_t last = four_bit::kLevels - 1;
  const at::Tensor middles = (sorted.narrow(0, 0, last) + sorted.narrow(0, 1, last)) / 2;
  return codes.index_select(0, (x.unsqueeze(-1) > middles).sum(-1).flatten());
}

at::Tensor nearestOf(const at::Tensor& x, const at::Tensor& values) {
  return (x.unsqueeze(-1) - values).abs().argmin(-1);
}

}  // namespace

FourBitWeight quantiseFourBit(const at::Tensor& source, four_bit::Format format, int64_t block, bool doubleQuantised) {
  const at::NoGradGuard noGrad;
  FourBitWeight weight{format, source.size(0), source.size(1), block, {}, {}, {}, {}, {}};
  const at::Tensor parts = inParts(source.to(at::kFloat).flatten(), block);
  const at::Tensor maxima = largestOf(parts);
  auto codes = codesOf(over(parts, maxima.unsqueeze(1)), format);
  codes = codes.narrow(0, 0, source.numel());
  if (codes.numel() % 2 != 0) codes = at::cat({codes, at::zeros({1}, codes.options())});
  const at::Tensor pairs = codes.view({-1, 2});
  weight.packed = (pairs.select(1, 0) * 16 + pairs.select(1, 1)).to(at::kByte);
  if (!doubleQuantised) {
    weight.maxima = maxima;
    return weight;
  }
  weight.offset = maxima.mean(at::kDouble).to(at::kFloat).view({1});
  const at::Tensor shifted = inParts(maxima - weight.offset, four_bit::kScaleBlock);
  // The padding is no maximum of any block, and 0 is the smallest magnitude.
  weight.maximumScales = largestOf(shifted);
  weight.maximumCodes = nearestOf(over(shifted, weight.maximumScales.unsqueeze(1)), dynamicMap().to(source.device()))
                            .flatten().narrow(0, 0, maxima.numel()).to(at::kByte);
  return weight;
}

at::Tensor dequantiseFourBit(const FourBitWeight& weight, at::ScalarType type) {
  const at::NoGradGuard noGrad;
  at::Tensor maxima = weight.maxima;
  if (weight.doubleQuantised()) {
    const at::Tensor codes = inParts(weight.maximumCodes.to(at::kLong), four_bit::kScaleBlock);
    maxima = dynamicMap().to(codes.device()).index_select(0, codes.flatten()).view(codes.sizes()) *
                 weight.maximumScales.unsqueeze(1) + weight.offset;
    maxima = maxima.flatten().narrow(0, 0, weight.maximumCodes.numel());
  }
  const at::Tensor bytes = weight.packed.to(at::kLong);
  const at::Tensor codes = at::stack({bytes.div(16, "floor"), bytes.remainder(16)}, 1).flatten();
  const int64_t count = weight.out * weight.in;
  const at::Tensor levels = levelsOf(weight.format, bytes.device());
  const at::Tensor values = inParts(levels.index_select(0, codes.narrow(0, 0, count)), weight.block);
  return (values * maxima.unsqueeze(1)).flatten().narrow(0, 0, count).view({weight.out, weight.in}).to(type);
}

}  // namespace rankscope::kernels::reference
