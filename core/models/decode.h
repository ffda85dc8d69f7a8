#pragma once
// Keys and values of the tokens that a causal model has already seen, for token-by-token generation. Owned by one
// generation; sequences are independent rows.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rankscope {

struct DecodeCache {
  // Per layer: [S, capacity, kvHeads, headDim] in the compute dtype.
  std::vector<at::Tensor> keys, values;
  std::vector<int64_t> lengths;  // tokens held per sequence
  int64_t capacity = 0;
};

}  // namespace rankscope
