#pragma once
// Dropout factors of consecutive elements: 0 or `keep`, from the counter-based generator. Written so that a compiler
// turns the loop into vector code; included by files compiled for several instruction sets.

#include <cstdint>

#include "kernels/philox.h"

namespace rankscope::kernels::simd {

// Elements 4 · firstGroup … 4 · (firstGroup + groups) of a place.
static inline void dropoutFactors(uint64_t seed, uint64_t place, uint64_t firstGroup, int64_t groups,
                                  uint32_t threshold, float keep, float* out) {
#pragma GCC ivdep
  for (int64_t g = 0; g < groups; ++g) {
    const auto r = philox(seed, place, firstGroup + static_cast<uint64_t>(g));
    out[4 * g] = r.v[0] < threshold ? 0.0f : keep;
    out[4 * g + 1] = r.v[1] < threshold ? 0.0f : keep;
    out[4 * g + 2] = r.v[2] < threshold ? 0.0f : keep;
    out[4 * g + 3] = r.v[3] < threshold ? 0.0f : keep;
  }
}

}  // namespace rankscope::kernels::simd
