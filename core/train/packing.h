#pragma once
// From tokenised examples to packed batches (core/models/batch.h). Free functions, any thread.

#include <span>
#include <vector>

#include "core/data/example.h"
#include "core/data/masking.h"
#include "core/data/roles.h"
#include "core/models/batch.h"
#include "core/train/image_batch.h"

namespace rankscope {

// The examples named, end to end. Language tasks: labels shifted, so that position i carries the token after it, and none
// crosses a boundary. Masked words: hidden by `masking` and `draw` (core/data/masking.h), the words that stood there at
// their own places; nothing hidden without it. Classification: class per sequence. Regression: target per sequence. Question
// answering: first and last token of the answer. Images come with their pixels, moved by `augmentation` and `draw`.
PackedBatch packExamples(const TokenizedSet& set, std::span<const uint32_t> indices, DataTask task,
                         const TokenMasking* masking = nullptr, uint64_t draw = 0,
                         const ImageAugmentation* augmentation = nullptr);

// All examples in order, in groups of at most `sequences` and about `tokens` tokens: for evaluation.
std::vector<std::vector<uint32_t>> evaluationGroups(const TokenizedSet& set, size_t sequences, size_t tokens);

// One sequence of ids without labels: for generation.
PackedBatch packSequence(std::span<const int32_t> ids);

}  // namespace rankscope
