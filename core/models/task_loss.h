#pragma once
// Losses and row choices that families share.

#include <ATen/core/Tensor.h>

#include "core/models/batch.h"

namespace rankscope {

// Classification (numLabels > 1): cross-entropy; regression: squared error. logits [S, labels], labels [S].
at::Tensor classificationLoss(const at::Tensor& logits, const at::Tensor& labels, double normaliser);
// Answer spans: logits [T, 2], labels [S, 2] counted from each sequence's start. Cross-entropy of the start and of the
// end over the tokens of the sequence, halved; a place that is negative or behind the sequence's end asks for nothing.
at::Tensor spanLoss(const at::Tensor& logits, const PackedBatch& batch, double normaliser);
// Index of the first or last token of each sequence, [S] int64 on the batch's device.
at::Tensor firstTokens(const PackedBatch& batch);
at::Tensor lastTokens(const PackedBatch& batch);
// Positions that carry a label; undefined when so many do that choosing them would not pay.
at::Tensor labelledRows(const at::Tensor& labels);
// Throws ErrorException unless the batch is well-formed for the model's vocabulary and positions.
void checkBatch(const PackedBatch& batch, int64_t vocabSize, int64_t maxPositions);

}  // namespace rankscope
