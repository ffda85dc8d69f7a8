#pragma once
// Attention within each sequence of a packed batch whose scores also depend on how far apart two tokens stand:
// DeBERTa's content-to-position and position-to-content terms (He et al., "DeBERTa", 2021, eq. 4) and a learned bias for
// each distance (MPNet, T5). Only its inputs are kept for backward; probabilities are computed again there.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rankscope {

// Score of query i and key j of one sequence, with row = index[i][j]:
//   scale · (q_i·k_j + q_i·keys[row] + k_j·queries[row]) + bias[row]
// Each table may be undefined. Tables are in the compute dtype (bias in any), sums in float32 (float64 for float64).
struct RelativeTerms {
  at::Tensor keys;     // [R, heads · headDim]
  at::Tensor queries;  // [R, heads · headDim]
  at::Tensor bias;     // [R, heads]
  at::Tensor index;    // [L, L] int64 for the longest sequence; a function of i - j
};

struct RelativeSpec {  // as kernels::AttentionSpec, whose masks differ
  int64_t heads = 1, headDim = 1;
  double scale = 1;
  double dropoutP = 0;
  uint64_t seed = 0, place = 0;
};

// qkv [T, 3 · heads · headDim] side by side, starts the S + 1 boundaries -> [T, heads · headDim].
at::Tensor relativeAttention(const at::Tensor& qkv, const std::vector<int64_t>& starts, const RelativeTerms& terms,
                             const RelativeSpec& spec);

// index[i][j] = rows[i - j + longest - 1], from the row of every distance 1 - longest … longest - 1.
at::Tensor relativeIndex(const at::Tensor& rows);
int64_t longestSequence(const std::vector<int64_t>& starts);

}  // namespace rankscope
