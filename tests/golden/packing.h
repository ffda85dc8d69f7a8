#pragma once
// Padded batches of the reference as packed ones, and padded expectations as rows of the packed result.

#include "core/models/model.h"
#include "tests/golden/case.h"

namespace rankscope::golden {

struct PaddedBatch {
  at::Tensor ids;         // [S, L]
  at::Tensor mask;        // [S, L], 1 where a token counts
  at::Tensor labels;      // [S, L] unshifted, [S], or undefined
  at::Tensor tokenTypes;  // undefined: none
  at::Tensor positions;   // undefined: the column
  at::Tensor pixels;      // [S, channels, height, width] in place of all but the labels
};

// Reads prefix + "pixel_values", or "input_ids" and its companions. With `index` >= 0 they carry a leading dimension of batches.
PaddedBatch readBatch(const Case& golden, const std::string& prefix, int64_t index = -1);

// Throws ErrorException where a label would have to be predicted from a token that the mask leaves out.
PackedBatch pack(const PaddedBatch& batch, HeadKind head, int64_t numLabels);

// Rows of a padded [S, L, …] result where the mask is 1, or the tensor itself when it has no token dimension.
at::Tensor packedRows(const at::Tensor& padded, const PaddedBatch& batch);

}  // namespace rankscope::golden
