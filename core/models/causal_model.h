#pragma once
// What every decoder shares: blocks one after the other over a residual stream, the heads on top, losses over labelled
// rows only, recomputation per block, and generation with a cache. A family gives its embedding, its block and its last
// norm. One thread at a time.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/models/model.h"
#include "core/models/rope.h"
#include "core/models/weights.h"
#include "kernels/ops.h"

namespace rankscope {

// Heads of decoders, by the names that transformers gives them: lm_head (tied to the embedding or not), score (last
// token of each sequence), qa_outputs.
void addCausalHead(WeightPlan& plan, const ModelLoadOptions& options, int64_t vocab, int64_t hidden, bool tied,
                   const std::string& embedding);

// Throws ErrorException for weights that are packed in ways that only their own libraries read.
void refuseQuantised(const ConfigReader& config);

class CausalModel : public Model {
 public:
  std::vector<std::string> headParameters() const override;
  at::Tensor hidden(const PackedBatch& batch, ForwardContext& context) override;
  std::vector<at::Tensor> hiddenStates(const PackedBatch& batch, ForwardContext& context) override;
  at::Tensor logits(const PackedBatch& batch, ForwardContext& context) override;
  at::Tensor logitsAt(const PackedBatch& batch, const at::Tensor& rows, ForwardContext& context) override;
  at::Tensor vocabularyLogits(const at::Tensor& hidden) const override;
  at::Tensor loss(const PackedBatch& batch, ForwardContext& context, double normaliser) override;
  std::unique_ptr<DecodeCache> newDecodeCache(int64_t sequences, int64_t capacity) const override;
  at::Tensor decode(DecodeCache& cache, const std::vector<int64_t>& rows, const PackedBatch& batch) override;

 protected:
  // The residual stream between blocks: the sum of both, kept apart so that the next norm adds them in its own pass.
  // `update` is undefined before the first block.
  struct Stream {
    at::Tensor residual, update;
  };
  // Attention of one layer over q | k | v, in a packed batch or behind a cache.
  using Mixer = std::function<at::Tensor(const at::Tensor& qkv, const kernels::AttentionSpec& spec)>;

  // The token embeddings, with whatever joins them ahead of the blocks.
  virtual at::Tensor embed(const PackedBatch& batch, ForwardContext& context) const = 0;
  // `rows`, when given, are the only tokens whose output anyone reads: behind the attention the rest is left out.
  virtual Stream block(size_t layer, const Stream& in, const Mixer& mix, const at::Tensor& rows,
                       ForwardContext& context) const = 0;
  virtual at::Tensor finalNorm(const Stream& stream) const = 0;

  InsertionPlaces preNormPlaces(const std::string& blocks) const;

  // Called by a family at the end of its rebind(), whose embedding has this name.
  void bindHead(const std::string& embedding);
  bool usesCache() const { return m_head == HeadKind::CausalLm; }

  // Set by the family before it loads; no tables for positions that are embedded.
  bool m_rotary = false;
  bool m_learnedPositions = false;  // position ids have a last one
  RotaryTables m_tables;
  int64_t m_kvHeads = 1, m_headDim = 1;

 private:
  void requireHead() const;
  // The rotary tables of a pass; undefined without them.
  std::pair<at::Tensor, at::Tensor> tables(const at::Tensor& positions, const std::vector<int64_t>& starts) const;
  Stream runBlocks(const PackedBatch& batch, ForwardContext& context, const at::Tensor& rows,
                   std::vector<at::Tensor>* states);
  Stream edited(size_t layer, Stream out, const InsertedPass& pass, ForwardContext& context) const;
  at::Tensor rowLogits(const at::Tensor& hidden) const;
  void check(const PackedBatch& batch) const;

  at::Tensor m_headWeight, m_headBias;
  at::Device m_device = at::kCPU;
};

// What `make` returns, or the error that it threw.
template <typename Make>
auto resultOf(const Make& make) -> Result<decltype(make())> try {
  return make();
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
