#pragma once
// Attention of one sequence and one key/value head in bfloat16 with float32 scores, forward and backward. Queries come
// in blocks of 64; nothing of size length² is kept: backward computes the probabilities again from their log-sums.
// Plain pointers; scratch is the caller's. Only where available() (bf16_gemm.h) says so.

#include <cstdint>

#include "kernels/cpu/simd/bf16_gemm.h"

namespace rankscope::kernels::simd {

struct AttentionJob {
  // [T, width] rows of q | k | v; this sequence's first row.
  const Bf16* qkv = nullptr;
  int64_t width = 0;
  int64_t heads = 1, kvHeads = 1, headDim = 1;
  int64_t firstToken = 0, length = 0, kvHead = 0;
  const float* cos = nullptr;  // [length, headDim / 2] of this sequence, or null
  const float* sin = nullptr;
  bool causal = false;
  int64_t window = 0;  // keys that a causal query sees; 0: all before it
  float scale = 1;
  uint32_t dropThreshold = 0;  // 0: no dropout
  float keep = 1;
  uint64_t seed = 0, place = 0;
  float* logSums = nullptr;  // [heads, T] with row stride `tokens`
  int64_t tokens = 0;
};

// Bytes of scratch per thread.
int64_t attentionScratch(int64_t length, int64_t headDim, bool backward);

// out [T, heads · headDim]: this sequence's first row.
void attentionForward(const AttentionJob& job, Bf16* out, int64_t outStride, void* scratch);
// gradQkv [T, width]: the columns of this key/value head and its queries are written.
void attentionBackward(const AttentionJob& job, const Bf16* out, const Bf16* gradOut, int64_t outStride, Bf16* gradQkv,
                       void* scratch);

}  // namespace rankscope::kernels::simd
