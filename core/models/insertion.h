#pragma once
// Places of a model, other than its linear sites, at which a method may put something of its own: behind the sub-layers
// of a block, at a block's output, and in front of the keys and values of its attention. A model has at most one
// insertion (Model::insertion), owned by it and shared with the method that trains the tensors. Hooks are pure
// functions of their arguments and of the insertion's tensors, so that blocks can be computed again in backward.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/models/batch.h"
#include "core/models/linear_site.h"

namespace rankscope {

enum class SubLayer { Attention, FeedForward };

// What an insertion computes once for all blocks of a pass.
struct InsertedPass {
  std::vector<at::Tensor> tracked;    // floating point; autograd reaches them
  std::vector<at::Tensor> constants;  // rows, indices
};

class Insertion {
 public:
  // The norm of a residual sum in a post-norm model; null in a pre-norm one.
  using SumNorm = std::function<at::Tensor(const at::Tensor& sum)>;

  virtual ~Insertion() = default;

  // `prompts`: tokens of each sequence that are its prompt. Compute dtype as the model's.
  virtual InsertedPass begin(const PackedBatch& /*batch*/, const std::vector<int64_t>& /*prompts*/,
                             at::ScalarType /*compute*/) const {
    return {};
  }

  virtual bool follows(SubLayer, size_t /*layer*/) const { return false; }
  // What joins the residual stream in place of h. h [T, hidden] is the output of the sub-layer's last map, after
  // dropout; x [T, hidden] the residual that it is about to join.
  virtual at::Tensor behind(SubLayer, size_t /*layer*/, const at::Tensor& h, const at::Tensor& /*x*/,
                            const SumNorm& /*norm*/) const {
    return h;
  }

  virtual bool edits(size_t /*layer*/) const { return false; }
  // The rows of a block's output that are edited in this pass: int64 [N], each once.
  virtual at::Tensor editedRows(const InsertedPass&) const { return {}; }
  // What is added to these rows, whose values are h [N, hidden].
  virtual at::Tensor edit(size_t /*layer*/, const at::Tensor& /*h*/, const InsertedPass&, ForwardContext&) const {
    return {};
  }

  // Rows in front of every sequence's keys and values, in every layer: [n, keys | values] of a layer.
  virtual int64_t prefixLength() const { return 0; }
  virtual at::Tensor prefix(size_t /*layer*/, const InsertedPass&) const { return {}; }
};

// What a model offers to an insertion.
struct InsertionPlaces {
  std::vector<std::string> blocks;  // module paths, "model.layers.0"; empty: the family has none
  std::string attention,
      feedForward;  // modules of the sub-layers, below a block, by which the adapters library names its own
  bool postNorm = false;
  int64_t keyValueHeads = 0, headDim = 0;  // of a prefix; 0: its attention takes none
};

// Where the rows of a prefix of n tokens come to lie in a packed batch. Real tokens take positions n, n + 1, …; prefix
// keys have none (rotation by 0).
class PrefixLayout {
 public:
  PrefixLayout(int64_t length, const PackedBatch& batch);

  const std::vector<int64_t>& starts() const { return m_starts; }
  const at::Tensor& positions() const { return m_positions; }
  // qkv [T, q | k | v] -> [T + S·n, …], with prefix [n, k | v] in front of each sequence; its queries are 0.
  at::Tensor extended(const at::Tensor& qkv, const at::Tensor& prefix) const;
  // The rows of the real tokens.
  at::Tensor real(const at::Tensor& rows) const { return rows.index_select(0, m_real); }

 private:
  int64_t m_length;
  std::vector<int64_t> m_starts;
  at::Tensor m_positions, m_gather, m_real;
};

// The batch with every position moved by `length`, as the model sees tokens behind a prefix.
PackedBatch behindPrefix(const PackedBatch& batch, int64_t length);

// Tokens of each sequence's prompt: as the batch says, else all.
std::vector<int64_t> promptLengths(const PackedBatch& batch);

}  // namespace rankscope
