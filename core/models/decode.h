#pragma once
// Keys and values of the tokens that a causal model has already seen, and attention over them, for token-by-token
// generation. A cache is owned by one generation and one thread; its sequences are independent rows.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/models/batch.h"
#include "kernels/ops.h"

namespace rankscope {

struct DecodeCache {
  // Per layer: [S, capacity, kvHeads, headDim] in the compute dtype; unused places are zero.
  std::vector<at::Tensor> keys, values;
  std::vector<int64_t> lengths;  // tokens held per sequence
  int64_t capacity = 0;

  // Makes room for `tokens` in every row, keeping what is there.
  void reserve(int64_t tokens);
  // Row i becomes what row source[i] was, for i below source.size(); the rows behind are free to be overwritten. Beams
  // follow their parents by it, and sequences that have ended leave.
  void reorder(const std::vector<int64_t>& source);
};

// What all layers of one step over a cache share. `cos` and `sin` are undefined for a model without rotary positions.
class DecodeStep {
 public:
  // Makes room in the cache for the batch's tokens, sequence i of which continues row rows[i]. Throws ErrorException
  // when rows and batch do not belong together.
  DecodeStep(DecodeCache& cache, const std::vector<int64_t>& rows, const PackedBatch& batch, at::Tensor cos,
             at::Tensor sin);

  // Stores this layer's keys and values and attends: qkv [T, …] as packedAttention() takes it -> [T, heads · headDim].
  at::Tensor attend(size_t layer, const at::Tensor& qkv, const kernels::AttentionSpec& spec);
  // After the last layer: the tokens are part of the cache.
  void finish();

 private:
  at::Tensor single(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                    const kernels::AttentionSpec& spec);
  at::Tensor several(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                     const kernels::AttentionSpec& spec) const;
  const at::Tensor& mask(int64_t window, const at::TensorOptions& options);

  DecodeCache& m_cache;
  std::vector<int64_t> m_rows, m_starts, m_held;
  at::Tensor m_cos, m_sin;
  at::Tensor m_slots;      // [T] place of each token in a cache seen as [S · capacity, …]
  at::Tensor m_rowIndex;   // [S]; undefined where the rows are 0, 1, 2, …
  at::Tensor m_positions;  // [S] place of the single fresh token in its row
  int64_t m_longest = 0;
  bool m_empty = true, m_single = true, m_even = true;
  std::vector<std::pair<int64_t, at::Tensor>> m_masks;  // by window
};

}  // namespace rankscope
