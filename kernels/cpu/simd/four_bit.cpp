#include "kernels/cpu/simd/four_bit.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/simd/row_kernels.h"

namespace rankscope::kernels::simd {

namespace {

using four_bit::kLevels;

void put(float value, float* out) { *out = value; }
void put(float value, uint16_t* out) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  *out = static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);  // levels and maxima are finite
}

template <typename T>
void lookUpPlain(const uint8_t* packed, int64_t count, const float table[kLevels], T* out) {
  T values[kLevels];
  for (int64_t code = 0; code < kLevels; ++code) put(table[code], values + code);
  for (int64_t i = 0; i + 1 < count; i += 2) {
    const uint8_t byte = packed[i / 2];
    out[i] = values[byte >> 4];
    out[i + 1] = values[byte & 15];
  }
  if (count % 2 != 0) out[count - 1] = values[packed[count / 2] >> 4];
}

template <typename T>
void range(const four_bit::View& view, int64_t first, int64_t last, T* out) {
  static const bool wide = bestIsa() == Isa::Avx512;
  while (first < last) {
    const int64_t block = first / view.block, end = std::min(last, (block + 1) * view.block);
    const float maximum = four_bit::maximumOf(view, block);
    if (first % 2 != 0) {  // the low nibble of a byte of which the high one is not wanted
      put(view.levels[view.packed[first / 2] & 15] * maximum, out++);
      if (++first == end) continue;
    }
    float table[kLevels];
    for (int64_t code = 0; code < kLevels; ++code) table[code] = view.levels[code] * maximum;
    const auto lookUp = wide ? static_cast<void (*)(const uint8_t*, int64_t, const float*, T*)>(lookUpAvx512)
                             : static_cast<void (*)(const uint8_t*, int64_t, const float*, T*)>(lookUpPlain<T>);
    lookUp(view.packed + first / 2, end - first, table, out);
    out += end - first;
    first = end;
  }
}

}  // namespace

void nearestCodes(const float* values, int64_t count, float maximum, const four_bit::SortedLevels& levels,
                  uint8_t zeroCode, uint8_t* codes) {
  if (maximum == 0) {
    std::fill_n(codes, count, zeroCode);
    return;
  }
  // Midpoint by midpoint over all values: each pass is a comparison and an addition per lane.
  const float inverse = 1 / maximum;
  std::fill_n(codes, count, uint8_t{0});
  for (int64_t level = 0; level + 1 < kLevels; ++level) {
    const float middle = 0.5f * (levels.level[level] + levels.level[level + 1]);
    for (int64_t i = 0; i < count; ++i) codes[i] = static_cast<uint8_t>(codes[i] + (values[i] * inverse > middle));
  }
  for (int64_t i = 0; i < count; ++i) codes[i] = levels.code[codes[i]];
}

void dequantiseRange(const four_bit::View& view, int64_t first, int64_t last, float* out) {
  range(view, first, last, out);
}

void dequantiseRange(const four_bit::View& view, int64_t first, int64_t last, uint16_t* out) {
  range(view, first, last, out);
}

}  // namespace rankscope::kernels::simd
