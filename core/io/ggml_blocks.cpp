#include "core/io/ggml_blocks.h"

#include <bit>
#include <cstring>
#include <iterator>

namespace rankscope {
namespace {

using Bytes = const unsigned char*;

float half(Bytes at) { return halfToFloat(static_cast<uint16_t>(at[0] | at[1] << 8)); }
uint32_t word(Bytes at) { return at[0] | at[1] << 8 | at[2] << 16 | static_cast<uint32_t>(at[3]) << 24; }

// Blocks of 32: the low halves of 16 bytes are the first 16 numbers, the high halves the others.
void decodeQ4_0(Bytes block, float* out) {
  const float scale = half(block);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>((block[2 + i] & 0xF) - 8) * scale;
    out[i + 16] = static_cast<float>((block[2 + i] >> 4) - 8) * scale;
  }
}

void decodeQ4_1(Bytes block, float* out) {
  const float scale = half(block), least = half(block + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>(block[4 + i] & 0xF) * scale + least;
    out[i + 16] = static_cast<float>(block[4 + i] >> 4) * scale + least;
  }
}

// The fifth bits of all 32 numbers stand in one word.
void decodeQ5_0(Bytes block, float* out) {
  const float scale = half(block);
  const uint32_t high = word(block + 2);
  for (int i = 0; i < 16; ++i) {
    const auto low = static_cast<int>((block[6 + i] & 0xF) | (high >> i & 1) << 4);
    const auto upper = static_cast<int>((block[6 + i] >> 4) | (high >> (i + 16) & 1) << 4);
    out[i] = static_cast<float>(low - 16) * scale;
    out[i + 16] = static_cast<float>(upper - 16) * scale;
  }
}

void decodeQ5_1(Bytes block, float* out) {
  const float scale = half(block), least = half(block + 2);
  const uint32_t high = word(block + 4);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>((block[8 + i] & 0xF) | (high >> i & 1) << 4) * scale + least;
    out[i + 16] = static_cast<float>((block[8 + i] >> 4) | (high >> (i + 16) & 1) << 4) * scale + least;
  }
}

void decodeQ8_0(Bytes block, float* out) {
  const float scale = half(block);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * scale;
}

// Eight scales and eight minima of six bits each in twelve bytes.
struct SixBits {
  int scale, least;
};
SixBits sixBits(Bytes packed, int i) {
  if (i < 4) return {packed[i] & 63, packed[i + 4] & 63};
  return {(packed[i + 4] & 0xF) | (packed[i - 4] >> 6) << 4, (packed[i + 4] >> 4) | (packed[i] >> 6) << 4};
}

// 256 numbers as eight runs of 32, each with its own scale and minimum; `high` adds the fifth bit where there is one.
void decodeK45(float scale, float least, Bytes packed, Bytes high, Bytes low, float* out) {
  for (int run = 0; run < 8; ++run) {
    const SixBits bits = sixBits(packed, run);
    const float d = scale * static_cast<float>(bits.scale), m = least * static_cast<float>(bits.least);
    const Bytes halves = low + run / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      int value = run % 2 == 0 ? halves[i] & 0xF : halves[i] >> 4;
      if (high) value |= (high[i] >> run & 1) << 4;
      out[run * 32 + i] = d * static_cast<float>(value) - m;
    }
  }
}

void decodeQ4_K(Bytes block, float* out) {
  decodeK45(half(block), half(block + 2), block + 4, nullptr, block + 16, out);
}
void decodeQ5_K(Bytes block, float* out) {
  decodeK45(half(block), half(block + 2), block + 4, block + 16, block + 48, out);
}

void decodeQ6_K(Bytes block, float* out) {
  const float scale = half(block + 208);
  for (int part = 0; part < 2; ++part) {
    const Bytes low = block + part * 64, high = block + 128 + part * 32, scales = block + 192 + part * 8;
    for (int i = 0; i < 32; ++i)
      for (int quarter = 0; quarter < 4; ++quarter) {
        const unsigned char packed = low[i + quarter % 2 * 32];
        const int four = quarter < 2 ? packed & 0xF : packed >> 4;
        const int value = (four | (high[i] >> 2 * quarter & 3) << 4) - 32;
        const auto own = static_cast<int8_t>(scales[i / 16 + 2 * quarter]);
        out[part * 128 + quarter * 32 + i] = scale * static_cast<float>(own) * static_cast<float>(value);
      }
  }
}

// 256 numbers of two bits: in each half, 32 bytes hold four runs of 32.
int twoBits(Bytes packed, int i) { return packed[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3; }

// Every 16 numbers have a scale and a minimum of four bits.
void decodeQ2_K(Bytes block, float* out) {
  const float scale = half(block + 80), least = half(block + 82);
  for (int i = 0; i < 256; ++i) {
    const float d = scale * static_cast<float>(block[i / 16] & 0xF), m = least * static_cast<float>(block[i / 16] >> 4);
    out[i] = d * static_cast<float>(twoBits(block + 16, i)) - m;
  }
}

// A third bit in the first 32 bytes, one for each run of 32; scales of six bits, the low four and the high two apart.
void decodeQ3_K(Bytes block, float* out) {
  const float scale = half(block + 108);
  const Bytes scales = block + 96;
  for (int i = 0; i < 256; ++i) {
    const int group = i / 16;
    const int low = group < 8 ? scales[group] & 0xF : scales[group - 8] >> 4;
    const int own = (low | (scales[8 + group % 4] >> group / 4 * 2 & 3) << 4) - 32;
    const int value = twoBits(block + 32, i) - ((block[i % 32] >> i / 32 & 1) ? 0 : 4);
    out[i] = scale * static_cast<float>(own) * static_cast<float>(value);
  }
}

// The sixteen values that four bits stand for in the IQ4 formats, closer together around 0.
constexpr int8_t kUneven[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void decodeUneven(float scale, Bytes packed, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(kUneven[packed[i] & 0xF]);
    out[i + 16] = scale * static_cast<float>(kUneven[packed[i] >> 4]);
  }
}
void decodeIQ4_NL(Bytes block, float* out) { decodeUneven(half(block), block + 2, out); }
void decodeIQ4_XS(Bytes block, float* out) {
  const float scale = half(block);
  const int high = block[2] | block[3] << 8;
  for (int run = 0; run < 8; ++run) {
    const int own = ((block[4 + run / 2] >> run % 2 * 4 & 0xF) | (high >> 2 * run & 3) << 4) - 32;
    decodeUneven(scale * static_cast<float>(own), block + 8 + run * 16, out + run * 32);
  }
}

constexpr GgmlType kTypes[] = {
    {0, "F32", 1, 4, Dtype::F32},
    {1, "F16", 1, 2, Dtype::F16},
    {2, "Q4_0", 32, 18, {}, decodeQ4_0},
    {3, "Q4_1", 32, 20, {}, decodeQ4_1},
    {6, "Q5_0", 32, 22, {}, decodeQ5_0},
    {7, "Q5_1", 32, 24, {}, decodeQ5_1},
    {8, "Q8_0", 32, 34, {}, decodeQ8_0},
    {10, "Q2_K", 256, 84, {}, decodeQ2_K},
    {11, "Q3_K", 256, 110, {}, decodeQ3_K},
    {12, "Q4_K", 256, 144, {}, decodeQ4_K},
    {13, "Q5_K", 256, 176, {}, decodeQ5_K},
    {14, "Q6_K", 256, 210, {}, decodeQ6_K},
    {20, "IQ4_NL", 32, 18, {}, decodeIQ4_NL},
    {23, "IQ4_XS", 256, 136, {}, decodeIQ4_XS},
    {24, "I8", 1, 1, Dtype::I8},
    {25, "I16", 1, 2, Dtype::I16},
    {26, "I32", 1, 4, Dtype::I32},
    {27, "I64", 1, 8, Dtype::I64},
    {28, "F64", 1, 8, Dtype::F64},
    {30, "BF16", 1, 2, Dtype::BF16},
    // Known by name, so that the refusal says what the file holds.
    {4, "Q4_2"},
    {5, "Q4_3"},
    {9, "Q8_1"},
    {15, "Q8_K"},
    {16, "IQ2_XXS"},
    {17, "IQ2_XS"},
    {18, "IQ3_XXS"},
    {19, "IQ1_S"},
    {21, "IQ3_S"},
    {22, "IQ2_S"},
    {29, "IQ1_M"},
    {34, "TQ1_0"},
    {35, "TQ2_0"},
    {39, "MXFP4"},
};

}  // namespace

const GgmlType* findGgmlType(uint32_t id) {
  for (const GgmlType& type : kTypes)
    if (type.id == id) return &type;
  return nullptr;
}

float halfToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 0x1F, fraction = bits & 0x3FF;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float value = static_cast<float>(fraction) * 0x1p-24f;
  return sign ? -value : value;
}

}  // namespace rankscope
