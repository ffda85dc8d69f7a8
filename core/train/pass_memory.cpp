#include "core/train/pass_memory.h"

#include <algorithm>

namespace rankscope {
namespace {

constexpr int64_t kFloatBytes = 4;
constexpr int64_t kBf16Bytes = 2;
// ids, positions and labels of a packed batch, as int64.
constexpr int64_t kInputBytes = 3 * 8;
// One token's share of a vocabulary block: probabilities and their packed transpose (kernels/cpu/simd/bf16_loss.cpp).
constexpr int64_t kLossScratchBytes = 2 * 240 * kBf16Bytes;
// The composite loss keeps its logits near this many values at a time (kernels/generic/products.cpp).
constexpr int64_t kLogitBlock = int64_t{16} << 20;
// An encoder's head keeps so many at a time (core/models/heads.cpp); of each the float32 score with its bias, the chosen
// row's copy and its log-probability, or in backward the latter with two gradients.
constexpr int64_t kMaskedBlock = int64_t{32} << 20;
constexpr int64_t kMaskedScoreBytes = 3 * kFloatBytes;

// Columns that a block keeps for backward, before and behind the attention. Per norm the sum that it normed; its result
// only where a factor's gradient needs it.
int64_t keptBeforeMixing(const PassModel& model, const BlockShape& block) {
  return model.hidden + (block.trainsAttention ? model.hidden : 0) + block.attentionOut + block.mixed;
}
int64_t keptBehindMixing(const PassModel& model, const BlockShape& block) {
  return model.hidden + (block.trainsInner ? model.hidden : 0) + block.innerOut + (block.trainsDown ? block.inner : 0);
}

// Values that live only while one block's backward is computed: the gradients around its activation function, of which
// the kept values are given back as they are used, and those of the residual stream.
int64_t backwardColumns(const PassModel& model, const BlockShape& block) {
  return block.innerOut + (block.trainsDown ? 0 : block.inner) + 2 * model.hidden;
}

int64_t forwardColumns(const PassModel& model, const BlockShape& block) {
  return block.innerOut + block.inner + 3 * model.hidden;
}

// Scores of one sequence, where the attention is a composite: they, their exponentials and both gradients.
int64_t scoreBytes(const PassModel& model, const PassShape& batch, int64_t copies) {
  return model.packed ? 0 : copies * kFloatBytes * model.heads * batch.longest * batch.longest;
}

// Operands are packed into buffers that are kept from one product to the next; the largest decides.
int64_t packingBuffers(const PassModel& model, int64_t tokens) {
  if (!model.packed) return 0;
  int64_t side = model.hidden, map = 0, ranks = 0;
  for (const BlockShape& block : model.blocks) {
    side = std::max(side, block.widestSide);
    map = std::max(map, block.widestMap);
    ranks = std::max(ranks, block.widestRanks);
  }
  return kBf16Bytes * (tokens * side + std::max(map, tokens * side) + 2 * tokens * ranks);
}

int64_t lossBuffers(const PassModel& model, const PassShape& batch, bool gradients) {
  if (!model.languageHead) return 0;
  const int64_t rows = batch.labelled;
  if (model.maskedHead) {
    const int64_t scores = std::min(rows * model.vocabulary, kMaskedBlock);
    const int64_t operands = model.packed ? kBf16Bytes * (scores + model.vocabulary * model.hidden) : 0;
    return kMaskedScoreBytes * scores + operands;
  }
  if (!model.packed) return 2 * kFloatBytes * std::min(rows * model.vocabulary, kLogitBlock);
  const int64_t chosen = rows < batch.tokens ? rows * model.hidden * kBf16Bytes : 0;
  return chosen + model.threads * rows * (kLossScratchBytes + (gradients ? model.hidden * kFloatBytes : 0));
}

}  // namespace

std::vector<BlockShape> blockShapes(const std::vector<SiteShape>& sites, const std::vector<int64_t>& rankAt,
                                    const std::vector<int64_t>& keptAt, int64_t inner, bool full) {
  std::vector<BlockShape> blocks;
  for (size_t first = 0; first < sites.size();) {
    size_t end = first;
    while (end < sites.size() && sites[end].layer == sites[first].layer &&
           sites[end].operation == SiteOperation::Linear)
      ++end;
    if (end == first) {  // a lookup or a convolution: counted elsewhere
      ++first;
      continue;
    }
    BlockShape block;
    // The map down and the inner maps come behind the attention in every family.
    size_t output = first;
    for (size_t i = first; i < end; ++i)
      if (sites[i].inFeatures != inner && sites[i].outFeatures != inner) output = i;
    int64_t attentionMap = 0, innerMap = 0, attentionRanks = 0, innerRanks = 0;
    for (size_t i = first; i < end; ++i) {
      const SiteShape& site = sites[i];
      const int64_t map = site.outFeatures * site.inFeatures, rank = rankAt[i];
      const bool trains = full || rank > 0;
      block.weights += map;
      block.ranks += rank;
      block.keptOutputs += keptAt[i];
      block.widestSide = std::max({block.widestSide, site.inFeatures, site.outFeatures});
      block.widestMap = std::max(block.widestMap, map);
      block.widestRanks = std::max(block.widestRanks, rank);
      if (i == output) {
        block.mixed = site.inFeatures;
      } else if (i < output) {
        block.attentionOut += site.outFeatures;
        block.trainsAttention |= trains;
        attentionMap += map;
        attentionRanks += rank;
      } else if (site.outFeatures == inner) {
        block.innerOut += site.outFeatures;
        block.trainsInner |= trains;
        innerMap += map;
        innerRanks += rank;
      } else {
        block.inner = site.inFeatures;
        block.trainsDown |= trains;
      }
    }
    // Frozen maps of one input are multiplied together (SiteGroup); those that train, one by one.
    if (!full) {
      block.widestMap = std::max({block.widestMap, attentionMap, innerMap});
      block.widestSide = std::max({block.widestSide, block.attentionOut, block.innerOut});
      block.widestRanks = std::max({block.widestRanks, attentionRanks, innerRanks});
    }
    blocks.push_back(block);
    first = end;
  }
  return blocks;
}

PassMemory trainingPass(const PassModel& model, const PassShape& batch) {
  PassMemory memory;
  const int64_t c = model.computeBytes, tokens = batch.tokens;
  const int64_t lastRows = model.decoder ? batch.labelled : tokens;
  int64_t kept = tokens * c * model.hidden;  // the embedded tokens
  int64_t fullest = kept;
  for (size_t i = model.firstTrained; i < model.blocks.size(); ++i) {
    const BlockShape& block = model.blocks[i];
    const int64_t rows = i + 1 == model.blocks.size() ? lastRows : tokens;
    // Log-sums of the attention and the norms' deviations are float32.
    const int64_t prefix = model.prefixRows * (block.attentionOut + block.mixed);
    const int64_t own = c * (prefix + tokens * (keptBeforeMixing(model, block) + block.ranks + block.keptOutputs) + rows * keptBehindMixing(model, block)) +
                        tokens * kFloatBytes * (model.heads + 2);
    const int64_t backward = rows * c * backwardColumns(model, block);
    // When a block's backward begins, the blocks behind it have given back what they kept.
    if (model.checkpointing) {
      kept += 2 * tokens * c * model.hidden;
      fullest = std::max(fullest, kept + own + backward);
    } else {
      kept += own;
      fullest = std::max(fullest, kept + backward);
    }
  }
  const int64_t head = 2 * lastRows * c * model.hidden;  // the last norm's result and its gradient
  memory.logits = lossBuffers(model, batch, true);
  memory.buffers = packingBuffers(model, tokens);
  // The composite loss gives its logits back before the first backward; the packed one keeps its buffers.
  int64_t work = fullest - kept + scoreBytes(model, batch, 4);
  if (!model.packed) (memory.logits > work ? work : memory.logits) = 0;
  memory.activations = kept + work + head + std::max(batch.stepTokens, tokens) * kInputBytes;
  if (model.full) {
    const int64_t headWeights = model.languageHead ? model.vocabulary * model.hidden : 0;
    if (c < kFloatBytes && !model.checkpointing)
      for (const BlockShape& block : model.blocks) memory.weightCopies += c * block.weights;
    if (c < kFloatBytes) memory.weightCopies += c * headWeights;
    memory.headGradient = kFloatBytes * headWeights;
  }
  return memory;
}

PassMemory evaluationPass(const PassModel& model, const PassShape& batch) {
  PassMemory memory;
  const int64_t c = model.computeBytes;
  int64_t columns = 0;
  for (const BlockShape& block : model.blocks)
    columns = std::max({columns, forwardColumns(model, block), 3 * model.hidden + block.attentionOut + block.mixed});
  // The composite attention turns and splits q, k and v in float32.
  int64_t split = 0;
  if (!model.packed)
    for (const BlockShape& block : model.blocks)
      split = std::max(split, batch.tokens * (c * (3 * model.hidden + block.attentionOut) +
                                              kFloatBytes * (2 * block.attentionOut + 2 * block.mixed)));
  memory.activations = std::max(batch.tokens * c * columns, split) + scoreBytes(model, batch, 3) + batch.tokens * kInputBytes;
  memory.logits = lossBuffers(model, batch, false);
  memory.buffers = packingBuffers(model, batch.tokens);
  if (model.full && c < kFloatBytes && model.languageHead) memory.weightCopies = c * model.vocabulary * model.hidden;
  return memory;
}

}  // namespace rankscope
