#pragma once
// The 4-bit formats of QLoRA (Dettmers et al., 2023; METHODS 19) as plain arithmetic, for the CPU and for CUDA's bodies
// alike. A weight is flattened row by row and cut into blocks that know nothing of rows; a block keeps max |w| and each
// value the index of the level nearest to w / max |w|. Two codes a byte, the even element in the high nibble. With
// double quantisation the blocks' maxima, less their mean, are themselves kept as 8-bit codes of a dynamic map, scaled
// by the largest magnitude of each 256 of them.

#include <cstdint>

#ifdef __CUDACC__
#define RS_FOUR_BIT_HD __host__ __device__ inline
#else
#define RS_FOUR_BIT_HD inline
#endif

namespace rankscope::kernels::four_bit {

enum class Format : int64_t { NF4 = 0, FP4 = 1 };

constexpr int64_t kLevels = 16;
constexpr int64_t kMapSize = 256;
constexpr int64_t kScaleBlock = 256;  // maxima that share one scale under double quantisation

// Levels by code. NF4: quantiles of the normal distribution, ascending. FP4: sign, two bits of exponent, one of
// fraction, with two zeros: small positive values take code 8, zero and small negative ones code 0, as bitsandbytes does.
constexpr float kNormalLevels[kLevels] = {
    -1.0f,          -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
    -0.18477343022823334f, -0.09105003625154495f, 0.0f,         0.07958029955625534f,  0.16093020141124725f,
    0.24611230194568634f,  0.33791524171829224f,  0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};
constexpr float kFloatLevels[kLevels] = {0.0f,   0.0052083334885537624f,  0.6666666865348816f,  1.0f,
                                         0.3333333432674408f,  0.5f,  0.1666666716337204f,  0.25f,
                                         0.0f,   -0.0052083334885537624f, -0.6666666865348816f, -1.0f,
                                         -0.3333333432674408f, -0.5f, -0.1666666716337204f, -0.25f};

// The levels in ascending order with their codes, for the search of the nearest.
struct SortedLevels {
  float level[kLevels] = {};
  uint8_t code[kLevels] = {};
};

constexpr SortedLevels sorted(const float* levels) {
  SortedLevels result;
  for (int64_t code = 0; code < kLevels; ++code) {
    int64_t at = code;
    for (; at > 0 && result.level[at - 1] > levels[code]; --at) {
      result.level[at] = result.level[at - 1];
      result.code[at] = result.code[at - 1];
    }
    result.level[at] = levels[code];
    result.code[at] = static_cast<uint8_t>(code);
  }
  return result;
}

// Code of the level nearest to x in [-1, 1]: the number of midpoints below x.
RS_FOUR_BIT_HD uint8_t nearest(float x, const SortedLevels& levels) {
  int64_t at = 0;
  for (int64_t i = 0; i + 1 < kLevels; ++i)
    at += x > 0.5f * (levels.level[i] + levels.level[i + 1]) ? 1 : 0;
  return levels.code[at];
}

// The 8-bit map of maxima (Dettmers, 8-bit approximations, 2015), ascending: signed, seven powers of ten, of which
// 10^(i−6) has 2^i values, the midpoints of as many even steps of [0.1, 1]; with 0 and 1 they are 256.
struct DynamicMap {
  float value[kMapSize] = {};
};

constexpr DynamicMap makeDynamicMap() {
  DynamicMap map;
  int64_t count = 0;
  const auto insert = [&](float value) {
    int64_t at = count++;
    for (; at > 0 && map.value[at - 1] > value; --at) map.value[at] = map.value[at - 1];
    map.value[at] = value;
  };
  insert(0.0f);
  insert(1.0f);
  double power = 1e-6;
  for (int64_t i = 0; i < 7; ++i, power *= 10) {
    const int64_t steps = int64_t{1} << i;
    for (int64_t k = 0; k < steps; ++k) {
      const double middle = power * (0.1 + 0.9 * (static_cast<double>(k) + 0.5) / static_cast<double>(steps));
      insert(static_cast<float>(middle));
      insert(static_cast<float>(-middle));
    }
  }
  return map;
}

// Index of the value of the ascending map that is nearest to x.
RS_FOUR_BIT_HD uint8_t nearestInMap(const float* map, float x) {
  int64_t above = 0, size = kMapSize;  // the first value >= x lies in [above, above + size]
  while (size > 0) {
    const int64_t half = size / 2;
    if (map[above + half] < x) {
      above += half + 1;
      size -= half + 1;
    } else {
      size = half;
    }
  }
  if (above == 0) return 0;
  if (above == kMapSize) return static_cast<uint8_t>(kMapSize - 1);
  return static_cast<uint8_t>(x - map[above - 1] < map[above] - x ? above - 1 : above);
}

// A quantised weight where it lies. Either `maxima`, or codes of them with scales, offset and map.
struct View {
  const uint8_t* packed = nullptr;     // [(count + 1) / 2]
  const float* maxima = nullptr;       // [blocks]
  const uint8_t* maximumCodes = nullptr;  // [blocks]
  const float* maximumScales = nullptr;   // [blocks / 256, rounded up]
  const float* map = nullptr;          // [256]
  float offset = 0;
  const float* levels = nullptr;       // [16]
  int64_t count = 0, block = 64;
};

RS_FOUR_BIT_HD float maximumOf(const View& view, int64_t block) {
  if (view.maxima) return view.maxima[block];
  return view.map[view.maximumCodes[block]] * view.maximumScales[block / kScaleBlock] + view.offset;
}

RS_FOUR_BIT_HD int64_t codeAt(const View& view, int64_t element) {
  const uint8_t byte = view.packed[element / 2];
  return element % 2 == 0 ? byte >> 4 : byte & 15;
}

RS_FOUR_BIT_HD float valueAt(const View& view, int64_t element) {
  return view.levels[codeAt(view, element)] * maximumOf(view, element / view.block);
}

}  // namespace rankscope::kernels::four_bit
