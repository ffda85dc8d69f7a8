#pragma once
// What one pass over a packed batch keeps and needs in memory, counted from what this program's own operators save for
// backward (kernels/ops.cpp) and from the packing buffers of its CPU kernels. Family by family the blocks are alike enough
// to be told by the shapes of their linear sites: attention inputs, attention output, one or two inner maps, the map down.
// Plain functions, any thread.

#include <cstdint>
#include <vector>

#include "core/models/linear_site.h"

namespace rankscope {

// One block's sites by role, with what a method trains at them.
struct BlockShape {
  int64_t attentionOut = 0;  // columns that the attention reads: q, k and v
  int64_t mixed = 0;         // columns that the attention writes
  int64_t innerOut = 0;      // columns of the inner maps together (gate and up, or one)
  int64_t inner = 0;         // columns that the map down reads
  int64_t widestMap = 0;     // the largest out · in of what is multiplied in one product
  int64_t widestSide = 0;    // the largest number of columns that goes in or comes out
  int64_t ranks = 0, widestRanks = 0;  // Σ r over the block's adapters, and in one product
  int64_t weights = 0;       // Σ out · in
  int64_t keptOutputs = 0;   // columns that a method's own form keeps of its sites' outputs
  bool trainsAttention = false, trainsInner = false, trainsDown = false;  // their inputs are kept for the factors' gradients
};

struct PassModel {
  int64_t hidden = 0, heads = 0, vocabulary = 0;
  std::vector<BlockShape> blocks;
  size_t firstTrained = 0;     // blocks before it keep nothing: no gradient goes through them
  bool full = false;           // every weight trains
  bool frozenMatrices = false; // what trains lies between the model's own maps
  int64_t prefixRows = 0;      // keys and values in front of the batch's sequences, which the attention keeps as well
  bool decoder = false;        // behind its last attention only rows with a label are computed
  bool languageHead = false;
  bool maskedHead = false;     // of an encoder: it computes the scores of all its rows before their loss
  bool tied = false;           // the head is the embedding: its gradient comes in two parts
  bool checkpointing = false;
  int64_t computeBytes = 4;
  bool packed = false;         // the bf16 kernels that pack their operands; else the matrix library's
  int64_t threads = 1;
};

struct PassShape {
  int64_t tokens = 0, labelled = 0;
  int64_t stepTokens = 0;  // of all micro-batches of the step: their ids lie ready together
  int64_t longest = 0;     // longest sequence
};

struct PassMemory {  // bytes at the fullest moment
  int64_t activations = 0;  // kept for backward, and the values of the block at work
  int64_t weightCopies = 0; // trained weights in the compute dtype, for the products of this pass
  int64_t buffers = 0;      // operands packed for the products
  int64_t logits = 0;       // the loss over the vocabulary
  int64_t headGradient = 0; // of a trained head: formed with the loss, while all activations are still there
  int64_t total() const { return activations + weightCopies + buffers + logits + headGradient; }
};

// Roles are told by shape: what reads `inner` columns is the map down, what writes them an inner map, and of the others
// the last of a block is the attention's output. `rankAt[i]` is the rank at sites[i], 0 where nothing is adapted;
// `keptAt[i]` the columns that the method keeps there besides.
std::vector<BlockShape> blockShapes(const std::vector<SiteShape>& sites, const std::vector<int64_t>& rankAt,
                                    const std::vector<int64_t>& keptAt, int64_t inner, bool full);

PassMemory trainingPass(const PassModel& model, const PassShape& batch);
PassMemory evaluationPass(const PassModel& model, const PassShape& batch);

}  // namespace rankscope
