#pragma once
// A batch without padding: the sequences lie end to end, and their boundaries say where each one starts. An image is a
// sequence of one token, its place in the data's store; the model looks at the pixels alone.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rankscope {

struct PackedBatch {
  at::Tensor inputIds;      // [T] int64
  at::Tensor positionIds;   // [T] int64, counted from 0 in each sequence unless the caller says otherwise
  at::Tensor tokenTypeIds;  // [T] int64; undefined means all zero
  at::Tensor pixels;        // images: [S, channels, height, width] float32, normalised; else undefined
  // Causal LM: [T] int64, already shifted: labels[t] is the token to predict FROM position t, -100 where none is.
  // Masked LM: [T] int64, the token that stood at t, -100 where none is asked for.
  // Classification: [S] int64 class per sequence. Regression: [S] float32.
  // Answer span: [S, 2] int64, first and last token counted from the sequence's start, negative where there is none.
  at::Tensor labels;
  std::vector<int64_t> starts;  // S + 1 boundaries, starts[0] = 0, starts[S] = T
  std::vector<int64_t> prompts;  // [S] tokens of each sequence that come before its answer; empty: all of them

  int64_t tokens() const { return starts.empty() ? 0 : starts.back(); }
  int64_t sequences() const { return starts.empty() ? 0 : static_cast<int64_t>(starts.size()) - 1; }
};

}  // namespace rankscope
