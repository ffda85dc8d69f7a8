#pragma once
// The arithmetic of the 4-bit CUDA kernels as host/device functions, in phases between two barriers; a CPU test runs the
// same bodies thread by thread. A group of threads works on one block of values, or on 256 blocks' maxima.

#include <cmath>

#include "kernels/four_bit_format.h"

namespace rankscope::kernels::four_bit {

struct Lane {
  int64_t thread = 0, threads = 1;
};

RS_FOUR_BIT_HD float larger(float a, float b) { return a > b ? a : b; }

// This thread's part of max |value − offset|; infinite where a value is not finite, so that the caller sees it.
template <typename T>
RS_FOUR_BIT_HD float largestOf(Lane lane, const T* values, int64_t count, float offset) {
  float largest = 0;
  for (int64_t i = lane.thread; i < count; i += lane.threads) {
    const float magnitude = fabsf(static_cast<float>(values[i]) - offset);
    largest = magnitude <= 3.4e38f ? larger(largest, magnitude) : INFINITY;
  }
  return largest;
}

// Two codes a byte of one block of at most `count` values.
template <typename T>
RS_FOUR_BIT_HD void writeCodes(Lane lane, const T* values, int64_t count, float maximum, const SortedLevels& levels,
                               uint8_t* packed) {
  const float inverse = maximum > 0 ? 1 / maximum : 0;
  for (int64_t i = 2 * lane.thread; i < count; i += 2 * lane.threads) {
    const uint8_t high = nearest(static_cast<float>(values[i]) * inverse, levels);
    const uint8_t low = i + 1 < count ? nearest(static_cast<float>(values[i + 1]) * inverse, levels) : uint8_t{0};
    packed[i / 2] = static_cast<uint8_t>(high << 4 | low);
  }
}

// Codes of up to 256 maxima that share a scale.
RS_FOUR_BIT_HD void writeMaximumCodes(Lane lane, const float* maxima, int64_t count, float offset, float scale,
                                      const float* map, uint8_t* codes) {
  const float inverse = scale > 0 ? 1 / scale : 0;
  for (int64_t i = lane.thread; i < count; i += lane.threads) codes[i] = nearestInMap(map, (maxima[i] - offset) * inverse);
}

// The two values of one byte.
template <typename T>
RS_FOUR_BIT_HD void writeValues(int64_t byte, const View& view, const float* offset, T* out) {
  View here = view;
  if (offset) here.offset = *offset;
  out[2 * byte] = static_cast<T>(valueAt(here, 2 * byte));
  if (2 * byte + 1 < view.count) out[2 * byte + 1] = static_cast<T>(valueAt(here, 2 * byte + 1));
}

}  // namespace rankscope::kernels::four_bit
