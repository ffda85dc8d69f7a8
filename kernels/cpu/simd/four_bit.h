#pragma once
// 4-bit weights over plain pointers: codes of one block's values, and values of any range. Compiled for the baseline and
// for AVX-512, the better of which is taken at run time. No allocation, no threads, no state.

#include <cstdint>

#include "kernels/four_bit_format.h"

namespace rankscope::kernels::simd {

// Codes of `count` values of which `maximum` is the largest magnitude, one a byte. All zero where maximum is 0: the code
// of zero.
void nearestCodes(const float* values, int64_t count, float maximum, const four_bit::SortedLevels& levels,
                  uint8_t zeroCode, uint8_t* codes);

// Values first … last of the flattened weight, as float32 or as bfloat16 (rounded to nearest even).
void dequantiseRange(const four_bit::View& view, int64_t first, int64_t last, float* out);
void dequantiseRange(const four_bit::View& view, int64_t first, int64_t last, uint16_t* out);

// The same where every value lies in one block: table[code] is the value. `first` is even. For CPUs with AVX-512.
void lookUpAvx512(const uint8_t* packed, int64_t count, const float table[16], float* out);
void lookUpAvx512(const uint8_t* packed, int64_t count, const float table[16], uint16_t* out);

}  // namespace rankscope::kernels::simd
