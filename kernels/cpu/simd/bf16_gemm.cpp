#include "kernels/cpu/simd/bf16_gemm.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/simd/vector512.h"

namespace rankscope::kernels::simd {

namespace {

// 16 vectors of 16 numbers, as a matrix, transposed in registers.
inline void transpose16(__m512i r[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
    t[8 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
    t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
    r[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd);
    r[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
    r[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xdd);
  }
}

// 16 rows × up to 32 numbers (16 pairs) of a [rows, k] matrix, transposed: r[p] holds pair p of the 16 rows.
inline void loadPairs(const Bf16* source, int64_t stride, int64_t rows, int64_t numbers, __m512i r[16]) {
  const auto mask = numbers >= 32 ? ~0u : (1u << numbers) - 1;
#pragma GCC unroll 16
  for (int64_t i = 0; i < 16; ++i)
    r[i] = i < rows ? _mm512_maskz_loadu_epi16(mask, source + i * stride) : _mm512_setzero_si512();
  transpose16(r);
}

// Two rows (k, k + 1) × up to 16 numbers, interleaved into 16 pairs.
inline __m512i interleave(const Bf16* source, int64_t stride, __mmask16 columns, bool second) {
  const auto low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(columns, source));
  if (!second) return low;
  const auto high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(columns, source + stride));
  return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

// Columns of the panel's packed form: the last panel is only as wide as it must be.
inline int64_t packedWidth(int64_t n, int64_t panel) {
  return std::min(kPanelColumns, (n - panel * kPanelColumns + 15) / 16 * 16);
}

template <int kVectors>
inline void store(const __m512 sums[kTileRows][kVectors], int64_t rows, int64_t row, int64_t column, int64_t columns,
                  const Target& target) {
  const auto scale = _mm512_set1_ps(target.scale);
#pragma GCC unroll 3
  for (int j = 0; j < kVectors; ++j) {
    const auto mask = firstOf(columns - 16 * j);
    if (mask == 0) continue;
    const auto bias =
        target.bias ? _mm512_maskz_loadu_ps(mask, target.bias + column + 16 * j) : _mm512_setzero_ps();
#pragma GCC unroll 8
    for (int64_t i = 0; i < kTileRows; ++i) {
      if (i >= rows) break;
      const auto value = _mm512_fmadd_ps(sums[i][j], scale, bias);
      const auto at = (row + i) * target.stride + column + 16 * j;
      if (target.kind == Target::Half) {
        _mm256_mask_storeu_epi16(static_cast<Bf16*>(target.data) + at, mask, narrow(value));
      } else {
        float* out = static_cast<float*>(target.data) + at;
        if (target.kind == Target::FloatAdd)
          _mm512_mask_storeu_ps(out, mask, _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, out)));
        else
          _mm512_mask_storeu_ps(out, mask, value);
      }
    }
  }
}

// 8 rows × 16 · kVectors columns. One vector alone would wait for its own sums, so it keeps two sets of them.
template <int kVectors>
void tileProduct(const Segment* segments, int count, int64_t tile, int64_t panel, int64_t rows, int64_t columns,
                 const Target& target) {
  constexpr int kSets = kVectors == 1 ? 2 : 1;
  __m512 sums[kSets][kTileRows][kVectors];
#pragma GCC unroll 2
  for (int s = 0; s < kSets; ++s)
#pragma GCC unroll 8
    for (int64_t i = 0; i < kTileRows; ++i)
#pragma GCC unroll 3
      for (int j = 0; j < kVectors; ++j) sums[s][i][j] = _mm512_setzero_ps();
  for (int segment = 0; segment < count; ++segment) {
    const auto& s = segments[segment];
    const auto pairs = pairsOf(s.k);
    const Bf16* left = s.left + tile * kTileRows * pairsOf(s.leftK ? s.leftK : s.k) * 2;
    const Bf16* right = s.right + panel * kPanelColumns * pairsOf(s.rightK ? s.rightK : s.k) * 2;
    const auto step = [&](int64_t p, int set) __attribute__((always_inline)) {
      __m512bh b[kVectors];
#pragma GCC unroll 3
      for (int j = 0; j < kVectors; ++j)
        b[j] = asBf16(_mm512_loadu_si512(right + (p * kVectors + j) * 32));
#pragma GCC unroll 8
      for (int64_t i = 0; i < kTileRows; ++i) {
        int32_t pair;
        std::memcpy(&pair, left + (p * kTileRows + i) * 2, sizeof pair);
        const auto a = asBf16(_mm512_set1_epi32(pair));
#pragma GCC unroll 3
        for (int j = 0; j < kVectors; ++j) sums[set][i][j] = _mm512_dpbf16_ps(sums[set][i][j], a, b[j]);
      }
    };
    int64_t p = 0;
    if constexpr (kSets == 2)
      for (; p + 1 < pairs; p += 2) {
        step(p, 0);
        step(p + 1, 1);
      }
    for (; p < pairs; ++p) step(p, 0);
  }
  if constexpr (kSets == 2)
#pragma GCC unroll 8
    for (int64_t i = 0; i < kTileRows; ++i) sums[0][i][0] = _mm512_add_ps(sums[0][i][0], sums[1][i][0]);
  store<kVectors>(sums[0], rows, tile * kTileRows, panel * kPanelColumns, columns, target);
}

}  // namespace

void packLeft(const Bf16* source, int64_t stride, int64_t m, int64_t k, int64_t begin, int64_t end, Bf16* out) {
  const auto pairs = pairsOf(k), tileSize = kTileRows * pairs * 2;
  for (int64_t tile = begin; tile < end; tile += 2) {
    const bool two = tile + 1 < end;
    const auto rows = std::min<int64_t>(m - tile * kTileRows, two ? 16 : 8);
    Bf16* first = out + tile * tileSize;
    for (int64_t p = 0; p < pairs; p += 16) {
      __m512i r[16];
      loadPairs(source + tile * kTileRows * stride + 2 * p, stride, rows, k - 2 * p, r);
      const auto here = std::min<int64_t>(16, pairs - p);
      for (int64_t q = 0; q < here; ++q) {
        Bf16* at = first + (p + q) * kTileRows * 2;
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), _mm512_castsi512_si256(r[q]));
        if (two)
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(at + tileSize), _mm512_extracti64x4_epi64(r[q], 1));
      }
    }
  }
}

void packLeftTransposed(const Bf16* source, int64_t stride, int64_t m, int64_t k, int64_t begin, int64_t end,
                        Bf16* out) {
  const auto pairs = pairsOf(k), tileSize = kTileRows * pairs * 2;
  // Along k outside, so that the source is read row by row.
  for (int64_t p = 0; p < pairs; ++p) {
    const bool second = 2 * p + 1 < k;
    const Bf16* row = source + 2 * p * stride;
    for (int64_t tile = begin; tile < end; tile += 2) {
      const bool two = tile + 1 < end;
      const auto columns = std::min<int64_t>(m - tile * kTileRows, two ? 16 : 8);
      const auto v = interleave(row + tile * kTileRows, stride, firstOf(columns), second);
      Bf16* at = out + tile * tileSize + p * kTileRows * 2;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), _mm512_castsi512_si256(v));
      if (two) _mm256_storeu_si256(reinterpret_cast<__m256i*>(at + tileSize), _mm512_extracti64x4_epi64(v, 1));
    }
  }
}

void packRightTransposed(const Bf16* source, int64_t stride, int64_t n, int64_t k, int64_t begin, int64_t end,
                         Bf16* out) {
  const auto pairs = pairsOf(k);
  for (int64_t panel = begin; panel < end; ++panel) {
    const auto width = packedWidth(n, panel);
    Bf16* first = out + panel * kPanelColumns * pairs * 2;
    for (int64_t group = 0; group < width; group += 16) {
      const auto column = panel * kPanelColumns + group;
      const auto rows = std::clamp<int64_t>(n - column, 0, 16);
      for (int64_t p = 0; p < pairs; p += 16) {
        __m512i r[16];
        loadPairs(source + column * stride + 2 * p, stride, rows, k - 2 * p, r);
        const auto here = std::min<int64_t>(16, pairs - p);
        for (int64_t q = 0; q < here; ++q) _mm512_storeu_si512(first + ((p + q) * width + group) * 2, r[q]);
      }
    }
  }
}

void packRight(const Bf16* source, int64_t stride, int64_t n, int64_t k, int64_t begin, int64_t end, Bf16* out) {
  const auto pairs = pairsOf(k);
  for (int64_t panel = begin; panel < end; ++panel) {
    const auto width = packedWidth(n, panel);
    Bf16* first = out + panel * kPanelColumns * pairs * 2;
    for (int64_t p = 0; p < pairs; ++p) {
      const bool second = 2 * p + 1 < k;
      const Bf16* row = source + 2 * p * stride + panel * kPanelColumns;
      for (int64_t group = 0; group < width; group += 16)
        _mm512_storeu_si512(first + (p * width + group) * 2,
                            interleave(row + group, stride, firstOf(n - panel * kPanelColumns - group), second));
    }
  }
}

void multiply(const Segment* segments, int count, int64_t m, int64_t n, int64_t tileBegin, int64_t tileEnd,
              int64_t panelBegin, int64_t panelEnd, const Target& target) {
  for (int64_t panel = panelBegin; panel < panelEnd; ++panel) {
    const auto columns = std::min(kPanelColumns, n - panel * kPanelColumns);
    const auto vectors = packedWidth(n, panel) / 16;
    for (int64_t tile = tileBegin; tile < tileEnd; ++tile) {
      const auto rows = std::min(kTileRows, m - tile * kTileRows);
      if (vectors == 3)
        tileProduct<3>(segments, count, tile, panel, rows, columns, target);
      else if (vectors == 2)
        tileProduct<2>(segments, count, tile, panel, rows, columns, target);
      else
        tileProduct<1>(segments, count, tile, panel, rows, columns, target);
    }
  }
}

void toBf16(const float* source, int64_t count, float scale, Bf16* out) {
  const auto factor = _mm512_set1_ps(scale);
  for (int64_t i = 0; i < count; i += 16) {
    const auto mask = firstOf(count - i);
    _mm256_mask_storeu_epi16(out + i, mask, narrow(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask, source + i), factor)));
  }
}

}  // namespace rankscope::kernels::simd
