#pragma once
// Small helpers over AVX-512 registers, for the files that are compiled for it. Never include elsewhere.

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace rankscope::kernels::simd {

inline __mmask16 firstOf(int64_t count) {
  return count >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>(count <= 0 ? 0 : (1 << count) - 1);
}

inline __m512bh asBf16(__m512i v) { return reinterpret_cast<__m512bh&>(v); }

inline __m512 widen(__m256i half) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

inline __m256i narrow(__m512 v) {
  const auto half = _mm512_cvtneps_pbh(v);
  __m256i out;
  std::memcpy(&out, &half, sizeof out);
  return out;
}

inline __m512 loadBf16(const uint16_t* p, __mmask16 mask = 0xffff) {
  return widen(_mm256_maskz_loadu_epi16(mask, p));
}

inline void storeBf16(uint16_t* p, __m512 v, __mmask16 mask = 0xffff) { _mm256_mask_storeu_epi16(p, mask, narrow(v)); }

// e^x for x <= 88 to about 1 unit in the last place; far below zero it is 0. x = n ln 2 + r with |r| <= ln 2 / 2, where
// the series to r^7 leaves less than 1e-8.
inline __m512 exponential(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-104.0f));
  const auto n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341f)), 0);
  auto r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693145751953125f), x);  // ln 2 in two parts, so that r is exact
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(1.42860682030941723e-6f), r);
  auto y = _mm512_set1_ps(1.0f / 5040);
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0f / 720));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0f / 120));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0f / 24));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0f / 6));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.5f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(y, n);
}

}  // namespace rankscope::kernels::simd
