#pragma once
// What BERT, RoBERTa, MPNet and DeBERTa share: embeddings with a norm, post-norm blocks attending in both directions, a
// head on top. A family says what the checkpoint calls the parts (EncoderNames), reads its sizes, plans its head, and
// overrides the few steps in which it differs.

#include <string>
#include <vector>

#include "core/models/batch.h"
#include "core/models/config_reader.h"
#include "core/models/heads.h"
#include "core/models/registry.h"
#include "core/models/relative_attention.h"
#include "core/models/site_group.h"

namespace rankscope {

// Paths below encoder.layer.N of the base.
struct EncoderNames {
  std::string base;  // "bert"
  const char* query = "attention.self.query";
  const char* key = "attention.self.key";
  const char* value = "attention.self.value";
  std::vector<const char*> moreAttention{};  // further maps hidden -> hidden of the attention, behind the value's
  const char* attentionOut = "attention.output.dense";
  const char* attentionNorm = "attention.output.LayerNorm";
};

struct EncoderSizes {
  int64_t vocab = 0, embedding = 0, hidden = 0, inner = 0, layers = 0, heads = 0;
  int64_t positions = 0;       // rows of the position table; 0: none
  int64_t firstPosition = 0;   // row of a sequence's first token
  int64_t maxPositions = 0;    // longest sequence; 0: no limit
  int64_t types = 0, padId = 0;
  double eps = 1e-12, initializerRange = 0.02;
  double hiddenDropout = 0.1, attentionDropout = 0.1, headDropout = 0.1;
  double attentionFactor = 1;  // scores are divided by sqrt(attentionFactor · head width)
  bool tied = true;
  Activation activation = Activation::Gelu;
};

// Reads over the family's defaults in `standard`; throws ErrorException.
EncoderSizes readEncoderSizes(const ConfigReader& config, EncoderSizes standard);

// RoBERTa's way: rows of the position table up to the padding's belong to no token.
void countPositionsBehindPadding(const ConfigReader& config, EncoderSizes& sizes);
// RoBERTa's heads, which MPNet has as well.
HeadPlan robertaHead(const std::string& base, const EncoderSizes& sizes, const ModelLoadOptions& options);

std::vector<SiteShape> encoderSites(const EncoderNames& names, const EncoderSizes& sizes, const TaskHead& head);

struct EncoderBlock {
  std::string prefix;  // "bert.encoder.layer.0."
  SiteGroup qkv;
  LinearSite *query = nullptr, *key = nullptr, *attentionOut = nullptr, *inner = nullptr, *out = nullptr;
  std::vector<LinearSite*> moreAttention;
  NormWeights attentionNorm, outNorm;
};

class EncoderModel : public Model {
 public:
  EncoderModel(nlohmann::json config, EncoderNames names, const EncoderSizes& sizes, HeadPlan head,
               const ModelLoadOptions& options);
  // Call once; then the model is complete.
  Result<void> load(const std::filesystem::path& folder, const ModelLoadOptions& options);

  const char* family() const override { return m_family.c_str(); }
  void rebind() override;
  InsertionPlaces insertionPlaces() const override;
  std::vector<std::string> headParameters() const override { return m_taskHead.trainedNames(m_report); }
  at::Tensor hidden(const PackedBatch& batch, ForwardContext& context) override;
  std::vector<at::Tensor> hiddenStates(const PackedBatch& batch, ForwardContext& context) override;
  at::Tensor logits(const PackedBatch& batch, ForwardContext& context) override;
  at::Tensor logitsAt(const PackedBatch& batch, const at::Tensor& rows, ForwardContext& context) override;
  at::Tensor loss(const PackedBatch& batch, ForwardContext& context, double normaliser) override;

 protected:
  // What a family's blocks read beside the hidden states: tables that autograd reaches, rows of token distances.
  struct Relative {
    std::vector<at::Tensor> tables;
    at::Tensor index;
    std::shared_ptr<const PrefixLayout> layout{};  // with a prefix: where its rows lie, and this layer's
    at::Tensor prefix{};
  };

  virtual void planMore(WeightPlan&) const {}  // parameters of the encoder behind its blocks
  virtual void bindMore() {}
  virtual Relative relative(const PackedBatch&) const { return {}; }
  // Whether the attention takes keys and values that belong to no token.
  virtual bool takesPrefix() const { return true; }
  // [T, hidden] -> [T, hidden], ahead of the attention's output map.
  virtual at::Tensor attend(const EncoderBlock& block, const at::Tensor& in, const PackedBatch& batch,
                            const Relative& relative, ForwardContext& context) const;
  // A last word on a block's output. `rows`: the tokens that it was narrowed to, or undefined.
  virtual at::Tensor finishBlock(size_t, const at::Tensor& /*in*/, const at::Tensor& out, const PackedBatch&,
                                 const at::Tensor& /*rows*/, ForwardContext&) const {
    return out;
  }
  // Heads, scale and dropout of this pass; counts a place when there is dropout.
  RelativeSpec attentionSpec(ForwardContext& context) const;
  // norm(dropout(x) + residual), with what is inserted behind the sub-layer.
  at::Tensor join(SubLayer part, size_t layer, const at::Tensor& x, const at::Tensor& residual, const NormWeights& norm,
                  ForwardContext& context) const;

  EncoderNames m_names;
  EncoderSizes m_sizes;

 private:
  at::Tensor embed(const PackedBatch& batch, ForwardContext& context) const;
  at::Tensor runBlock(size_t index, const at::Tensor& in, const PackedBatch& batch, const Relative& relative,
                      const at::Tensor& rows, ForwardContext& context) const;
  at::Tensor runBlocks(const PackedBatch& batch, ForwardContext& context, const at::Tensor& rows,
                       std::vector<at::Tensor>* states);
  WeightPlan weightPlan() const;
  void requireHead() const;

  std::string m_family;
  TaskHead m_taskHead;
  std::vector<EncoderBlock> m_blocks;
  NormWeights m_embeddingNorm;
  LinearSite* m_words = nullptr;
  at::Tensor m_positions, m_types, m_embeddingMap;
};

// Loads a family's model and turns what its constructor throws into an error.
template <typename Family>
Result<std::unique_ptr<Model>> loadEncoder(const std::filesystem::path& folder, const nlohmann::json& config,
                                           const ModelLoadOptions& options) try {
  if (options.head == HeadKind::CausalLm)
    return Error{ErrorCode::Usage, "this family does not predict the next token", "model.head", "causal_lm",
                 "sequence_classification, masked_lm or token_span",
                 "Choose a classification or regression task, or a causal model."};
  auto model = std::make_unique<Family>(config, options);
  if (auto loaded = model->load(folder, options); !loaded) return loaded.error();
  return std::unique_ptr<Model>(std::move(model));
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
