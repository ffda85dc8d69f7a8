#include "core/methods/seeded_start.h"

#include <cmath>
#include <numbers>

#include "kernels/philox.h"

namespace rankscope {

namespace {

uint64_t hashName(const std::string& name) {  // FNV-1a
  uint64_t hash = 14695981039346656037ull;
  for (unsigned char c : name) hash = (hash ^ c) * 1099511628211ull;
  return hash;
}

// 53 bits, the middle of each cell: never 0 nor 1.
double unit(uint32_t high, uint32_t low) {
  const uint64_t bits = (uint64_t{high} << 32 | low) >> 11;
  return (static_cast<double>(bits) + 0.5) * 0x1p-53;
}

template <typename Transform>
void fill(at::Tensor& tensor, uint64_t seed, const std::string& name, Transform transform) {
  at::Tensor values = at::empty(tensor.sizes(), at::kDouble);
  auto* out = values.mutable_data_ptr<double>();
  const uint64_t stream = hashName(name);
  const int64_t count = values.numel();
  for (int64_t i = 0; i < count; i += 2) {
    // The name is the counter's upper half and the seed the key, so that two names never share a stream.
    const auto bits = kernels::philox(seed, stream, static_cast<uint64_t>(i / 2));
    const auto [first, second] = transform(unit(bits.v[0], bits.v[1]), unit(bits.v[2], bits.v[3]));
    out[i] = first;
    if (i + 1 < count) out[i + 1] = second;
  }
  const at::NoGradGuard noGrad;
  tensor.copy_(values);
}

}  // namespace

void fillUniform(at::Tensor& tensor, double bound, uint64_t seed, const std::string& name) {
  fill(tensor, seed, name, [bound](double a, double b) { return std::pair((2 * a - 1) * bound, (2 * b - 1) * bound); });
}

void fillNormal(at::Tensor& tensor, double deviation, uint64_t seed, const std::string& name) {
  fill(tensor, seed, name, [deviation](double a, double b) {  // Box and Muller
    const double radius = deviation * std::sqrt(-2 * std::log(a)), angle = 2 * std::numbers::pi * b;
    return std::pair(radius * std::cos(angle), radius * std::sin(angle));
  });
}

void fillKaimingUniform(at::Tensor& matrix, uint64_t seed, const std::string& name) {
  fillUniform(matrix, 1.0 / std::sqrt(static_cast<double>(matrix.size(1))), seed, name);
}

}  // namespace rankscope
