#pragma once
// The number formats of ggml's files: plain ones, and blocks of small integers with shared scales, turned into float32
// exactly as the reference does (ggml-quants: the scale is multiplied in float32, in the same order). Free functions.

#include <cstdint>
#include <optional>

#include "core/io/safetensors_header.h"

namespace rankscope {

struct GgmlType {
  uint32_t id = 0;
  const char* name = "";                                             // "Q4_K"
  uint32_t blockElements = 1;                                        // a row is a whole number of blocks
  uint32_t blockBytes = 0;                                           // 0: a type that is known by name only
  std::optional<Dtype> plain{};                                      // set for types that need no decoding
  void (*decode)(const unsigned char* block, float* out) = nullptr;  // one block
};

// Null for a number that ggml never used.
const GgmlType* findGgmlType(uint32_t id);
float halfToFloat(uint16_t bits);

}  // namespace rankscope
