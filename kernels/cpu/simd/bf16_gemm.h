#pragma once
// Matrix products of bfloat16 with float32 sums on the AVX-512 bfloat16 instructions, built from three parts that
// callers run over ranges (so that they decide about threads): packing the left operand into tiles of 8 rows, packing
// the right one into panels of 48 columns, and multiplying tiles by panels. All pairs (k, k + 1) lie side by side, as
// vdpbf16ps wants them. Plain pointers, no allocation, no state; only call where available() says so.
//
// Why not the matrix library: its products are as fast only for large, square shapes, cannot add a low-rank term before
// rounding, and return bfloat16 where gradients want float32.

#include <cstdint>

namespace rankscope::kernels::simd {

using Bf16 = uint16_t;

constexpr int64_t kTileRows = 8;
constexpr int64_t kPanelColumns = 48;

bool available();

constexpr int64_t pairsOf(int64_t k) { return (k + 1) / 2; }
constexpr int64_t tilesOf(int64_t m) { return (m + kTileRows - 1) / kTileRows; }
constexpr int64_t panelsOf(int64_t n) { return (n + kPanelColumns - 1) / kPanelColumns; }
// Elements that the packed forms occupy.
constexpr int64_t packedLeftSize(int64_t m, int64_t k) { return tilesOf(m) * kTileRows * pairsOf(k) * 2; }
constexpr int64_t packedRightSize(int64_t n, int64_t k) { return panelsOf(n) * kPanelColumns * pairsOf(k) * 2; }

// Left operand L [m, k]: from memory [m, k] (row stride `stride`), or from its transpose [k, m]. Tiles begin … end.
void packLeft(const Bf16* source, int64_t stride, int64_t m, int64_t k, int64_t begin, int64_t end, Bf16* out);
void packLeftTransposed(const Bf16* source, int64_t stride, int64_t m, int64_t k, int64_t begin, int64_t end,
                        Bf16* out);
// Right operand R [k, n]: from memory [n, k] (a weight, used as x Wᵀ), or from memory [k, n]. Panels begin … end.
void packRightTransposed(const Bf16* source, int64_t stride, int64_t n, int64_t k, int64_t begin, int64_t end,
                         Bf16* out);
void packRight(const Bf16* source, int64_t stride, int64_t n, int64_t k, int64_t begin, int64_t end, Bf16* out);

// One addend of a product: packed operands and their common k.
struct Segment {
  const Bf16* left = nullptr;
  const Bf16* right = nullptr;
  int64_t k = 0;
  // The k that each operand was packed with, where the product takes only its first part.
  int64_t leftK = 0, rightK = 0;
};

struct Target {
  void* data = nullptr;  // [m, n]
  int64_t stride = 0;
  enum Kind { Half, Float, FloatAdd } kind = Half;
  const float* bias = nullptr;  // [n] or null
  float scale = 1;              // of the product, before bias
};

// target = scale · Σ left · right (+ bias), for tiles tileBegin … tileEnd and panels panelBegin … panelEnd of [m, n].
void multiply(const Segment* segments, int count, int64_t m, int64_t n, int64_t tileBegin, int64_t tileEnd,
              int64_t panelBegin, int64_t panelEnd, const Target& target);

void toBf16(const float* source, int64_t count, float scale, Bf16* out);

}  // namespace rankscope::kernels::simd
