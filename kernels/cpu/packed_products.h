#pragma once
// The bfloat16 products of kernels/cpu/simd over several threads: what to pack, how the work is shared.

#include <ATen/Parallel.h>

#include "kernels/cpu/simd/bf16_gemm.h"
#include "kernels/cpu/workspace.h"

#ifndef _OPENMP
#error "Compile with -fopenmp: without it at::parallel_for is a plain loop and every operator runs on one thread."
#endif

namespace rankscope::kernels::cpu {

// f(begin, end) over fixed shares of `count`, one per thread: the same split however the threads run.
template <typename F>
void overShares(int64_t count, const F& f) {
  const auto shares = std::min<int64_t>(at::get_num_threads(), count);
  at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
    for (auto s = first; s < last; ++s) f(count * s / shares, count * (s + 1) / shares);
  });
}

// The whole product, its tiles and panels split into even pieces.
inline void multiplyAll(const simd::Segment* segments, int count, int64_t m, int64_t n, const simd::Target& target) {
  const auto tiles = simd::tilesOf(m), panels = simd::panelsOf(n);
  // A piece is one panel by a run of tiles: long enough to keep the panel in the cache, short enough to share evenly.
  const auto runs = std::max<int64_t>(1, std::min<int64_t>((tiles + 15) / 16, 4)), pieces = panels * runs;
  overShares(pieces, [&](int64_t begin, int64_t end) {
    for (auto piece = begin; piece < end;) {
      const auto panel = piece / runs, first = piece % runs;
      const auto last = std::min(runs, first + (end - piece));
      simd::multiply(segments, count, m, n, tiles * first / runs, tiles * last / runs, panel, panel + 1, target);
      piece += last - first;
    }
  });
}

}  // namespace rankscope::kernels::cpu
