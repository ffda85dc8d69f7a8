// A block's 16 values are one register, and a permutation of it by the codes is the whole look-up.

#include "kernels/cpu/simd/four_bit.h"
#include "kernels/cpu/simd/vector512.h"

namespace rankscope::kernels::simd {

namespace {

struct Codes {
  __m512i even, odd;  // of 16 bytes
};

Codes codesOf(const uint8_t* packed, __mmask16 bytes) {
  const auto wide = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(bytes, packed));
  return {_mm512_srli_epi32(wide, 4), _mm512_and_si512(wide, _mm512_set1_epi32(15))};
}

// Rounded to bfloat16, in the low half of each lane; the lookup files need no bfloat16 instructions.
__m512i rounded(__m512 values) {
  const auto bits = _mm512_castps_si512(values);
  const auto odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  return _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
}

}  // namespace

void lookUpAvx512(const uint8_t* packed, int64_t count, const float table[16], float* out) {
  const auto values = _mm512_loadu_ps(table);
  const auto firstHalf = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const auto secondHalf = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  for (int64_t i = 0; i < count; i += 32) {
    const auto codes = codesOf(packed + i / 2, firstOf((count - i + 1) / 2));
    const auto even = _mm512_permutexvar_ps(codes.even, values), odd = _mm512_permutexvar_ps(codes.odd, values);
    _mm512_mask_storeu_ps(out + i, firstOf(count - i), _mm512_permutex2var_ps(even, firstHalf, odd));
    if (count - i > 16)
      _mm512_mask_storeu_ps(out + i + 16, firstOf(count - i - 16), _mm512_permutex2var_ps(even, secondHalf, odd));
  }
}

void lookUpAvx512(const uint8_t* packed, int64_t count, const float table[16], uint16_t* out) {
  const auto values = rounded(_mm512_loadu_ps(table));
  for (int64_t i = 0; i < count; i += 32) {
    const auto codes = codesOf(packed + i / 2, firstOf((count - i + 1) / 2));
    const auto pairs = _mm512_or_si512(_mm512_permutexvar_epi32(codes.even, values),
                                       _mm512_slli_epi32(_mm512_permutexvar_epi32(codes.odd, values), 16));
    const auto left = count - i;
    _mm512_mask_storeu_epi16(out + i, left >= 32 ? ~0u : (1u << left) - 1, pairs);
  }
}

}  // namespace rankscope::kernels::simd
