#pragma once
// Philox4x32-10 (Salmon et al., SC'11): four 32-bit numbers as a pure function of a 128-bit counter and a 64-bit key.
// Dropout uses it so that a mask is a function of where it is, can be drawn again in backward, and is the same on
// every device. Compiled for host and device alike.

#include <cstdint>

#ifdef __CUDACC__
#define RS_HD __host__ __device__ inline
#else
#define RS_HD inline
#endif

namespace rankscope::kernels {

struct Philox4 {
  uint32_t v[4];
};

RS_HD Philox4 philox(uint64_t key, uint64_t place, uint64_t index) {
  uint32_t c0 = static_cast<uint32_t>(index), c1 = static_cast<uint32_t>(index >> 32);
  uint32_t c2 = static_cast<uint32_t>(place), c3 = static_cast<uint32_t>(place >> 32);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0, n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// An element is dropped when its 32 random bits are below this. Element e uses number e % 4 of counter e / 4.
RS_HD uint32_t dropThreshold(double p) {
  const double t = p * 4294967296.0;
  return t >= 4294967295.0 ? 4294967295u : static_cast<uint32_t>(t);
}

// Elements of attention's probabilities: (head, query token, key within the sequence), keys in runs of four.
RS_HD uint64_t attentionDropIndex(int64_t head, int64_t queryToken, int64_t keyInSequence) {
  return (static_cast<uint64_t>(head) << 52) | (static_cast<uint64_t>(queryToken) << 22) |
         static_cast<uint64_t>(keyInSequence >> 2);
}

}  // namespace rankscope::kernels
