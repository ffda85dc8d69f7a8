#pragma once
// A model of any family: named parameters as in the Hugging Face checkpoint, linear sites, and packed forward passes.

#include <ATen/core/Tensor.h>

#include <map>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/models/batch.h"
#include "core/models/insertion.h"
#include "core/models/linear_site.h"

namespace rankscope {

enum class HeadKind { None, CausalLm, SequenceClassification, MaskedLm, TokenSpan, ImageClassification };

struct ModelLoadOptions {
  at::ScalarType dtype = at::kFloat;  // dtype in which frozen weights are held (the compute dtype)
  HeadKind head = HeadKind::CausalLm;
  int64_t numLabels = 2;       // classification; of sequences, 1 = regression
  uint64_t seed = 0;           // for a head that the checkpoint does not carry
  bool randomInit = false;     // ignore weights on disk and draw all parameters (pre-training from scratch)
  bool keepFloat32 = false;    // hold the weights in float32 while computing in `dtype` (masters of full fine-tuning)
  // Tensors that have shapes and no memory (PyTorch's meta device), told from the headers alone: for counts and checks, in
  // which nothing is computed.
  bool shapesOnly = false;
  bool reportMisfits = false;  // with shapesOnly: what does not fit is in the load report instead of being an error
  // Parameters that stay views onto the file, in the file's dtype, where it can be mapped: for whoever replaces them before
  // the first pass (Model::codeSite), so that the whole model is never in memory.
  std::set<std::string> leftInFile{};
};

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

// Ordered as in the family's definition. A tied weight has one entry; its second name is in `aliases`.
class ParameterTable {
 public:
  void add(std::string name, at::Tensor value);
  // A view onto a file; `release` is called when the entry is replaced or removed.
  void addView(std::string name, at::Tensor value, std::function<void()> release);
  bool isView(const std::string& name) const { return m_release.count(name) != 0; }
  void alias(std::string name, std::string target);
  bool contains(const std::string& name) const;
  at::Tensor& at(const std::string& name);  // resolves aliases; throws ErrorException when absent
  const at::Tensor& at(const std::string& name) const;
  // Replaces the tensor of `name` (for instance by a float32 master); the owner must call Model::rebind() afterwards.
  void replace(const std::string& name, at::Tensor value);
  void remove(const std::string& name);
  const std::vector<NamedTensor>& entries() const { return m_entries; }
  const std::map<std::string, std::string>& aliases() const { return m_aliases; }

 private:
  std::vector<NamedTensor> m_entries;
  void released(const std::string& name);

  std::map<std::string, size_t> m_index;
  std::map<std::string, std::string> m_aliases;
  std::map<std::string, std::function<void()>> m_release;
};

// What loading found out of the ordinary; shown to the user, never silently dropped.
struct LoadReport {
  std::vector<std::string> newlyInitialised;  // parameters the checkpoint lacks (a new head)
  std::vector<std::string> unused;            // tensors of the checkpoint that the model does not use
  // Of a model of shapes only: "model.norm.weight [4096]", and "x is [2, 3], not [4, 3]".
  std::vector<std::string> missing, misshapen;
  bool fits() const { return missing.empty() && misshapen.empty(); }
};

struct DecodeCache;

class Model {
 public:
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  virtual const char* family() const = 0;  // config.json's model_type
  const nlohmann::json& config() const { return m_config; }
  HeadKind head() const { return m_head; }
  at::ScalarType computeDtype() const { return m_dtype; }
  int64_t hiddenSize() const { return m_hiddenSize; }
  int64_t vocabSize() const { return m_vocabSize; }
  // Tokens of the longest sequence; a prefix takes some of them. 0: no limit.
  int64_t maxPositions() const { return m_maxPositions > 0 ? m_maxPositions - prefixLength() : 0; }
  int64_t numLayers() const { return m_numLayers; }
  int64_t numLabels() const { return m_numLabels; }
  const LoadReport& loadReport() const { return m_report; }

  ParameterTable& parameters() { return m_parameters; }
  const ParameterTable& parameters() const { return m_parameters; }
  // What a checkpoint holds and no optimizer moves: running statistics of batch norms. A training pass may change them in
  // place; whoever trains the model whole saves them with it.
  const ParameterTable& buffers() const { return m_buffers; }
  // In the order of the forward pass, the words' embedding behind the blocks. Pointers stay valid for the model's life.
  const std::vector<LinearSite*>& sites() const { return m_sites; }
  // After ParameterTable::replace or a change of requires_grad: sites and layers look their tensors up again.
  virtual void rebind() = 0;
  // The parameter behind a site's weight becomes `weight` [out, in], in the layout that its checkpoint has; also of a site
  // whose weight was kept in 4 bits. rebind() afterwards.
  void replaceSiteWeight(LinearSite& site, const at::Tensor& weight);
  // The site's weight is kept in 4 bits from here on and is no parameter any more. rebind() afterwards.
  void codeSite(LinearSite& site, kernels::FourBitWeight weight);
  // Whether the parameter of this name is used twice: under a second name, or as one.
  bool isTied(const std::string& parameter) const;
  // Values of all parameters, those that are kept in 4 bits among them.
  int64_t parameterCount() const;
  // Parameters of the task head ("classifier.weight", …), trained beside any adapter; empty for a language model.
  virtual std::vector<std::string> headParameters() const = 0;

  // Final hidden states [T, hidden] of the packed batch (after the last norm).
  virtual at::Tensor hidden(const PackedBatch& batch, ForwardContext& context) = 0;
  // All hidden states as Hugging Face numbers them: embeddings, after each block, the last one normed where HF does so.
  virtual std::vector<at::Tensor> hiddenStates(const PackedBatch& batch, ForwardContext& context) = 0;
  // Causal and masked LM: [T, vocab]. Classification: [S, labels]. Answer span: [T, 2], start and end. float32.
  virtual at::Tensor logits(const PackedBatch& batch, ForwardContext& context) = 0;
  // Those rows of logits() alone, for heads with a row per token; rows [N] int64 in ascending order.
  virtual at::Tensor logitsAt(const PackedBatch& batch, const at::Tensor& rows, ForwardContext& context);
  // From rows of hidden() to rows of logits(), of a language model; for callers who cannot hold all logits at once.
  virtual at::Tensor vocabularyLogits(const at::Tensor& hidden) const;
  // Mean loss over labelled positions (causal LM, cross-entropy in chunks without all logits; masked LM), over sequences
  // (cross-entropy, or squared error when numLabels() == 1; for spans the mean of the start's and the end's). A float32
  // scalar; the sum instead when `normaliser` > 0, divided by it (so that accumulated micro-batches weigh every label the
  // same).
  virtual at::Tensor loss(const PackedBatch& batch, ForwardContext& context, double normaliser = 0) = 0;

  // Generation (core/models/generate.h): makes room for `capacity` tokens in each of `sequences` rows.
  virtual std::unique_ptr<DecodeCache> newDecodeCache(int64_t sequences, int64_t capacity) const;
  // A prefix stands in the cache from the start, and positions count it.
  // Appends the batch's tokens (sequence i continues row rows[i] of the cache, without gradients) and returns the
  // logits after the last token of each sequence, [S, vocab] float32. Throws ErrorException for a model that is not causal.
  virtual at::Tensor decode(DecodeCache& cache, const std::vector<int64_t>& rows, const PackedBatch& batch);

  virtual InsertionPlaces insertionPlaces() const { return {}; }
  // What a method has put into these places; null: nothing.
  std::shared_ptr<const Insertion> insertion;

  // Recompute each block in backward instead of keeping its activations.
  bool gradientCheckpointing = false;

 protected:
  Model() = default;
  // What every family sets before it loads.
  void describe(nlohmann::json config, const ModelLoadOptions& options, int64_t hidden, int64_t vocab,
                int64_t maxPositions, int64_t layers);
  // Makes the sites, in this order; bindSites() then looks their tensors up (a bias may be absent).
  void addSites(const std::vector<SiteShape>& shapes);
  void bindSites();
  // h, or what an insertion behind this sub-layer makes of it.
  at::Tensor behind(SubLayer part, size_t layer, const at::Tensor& h, const at::Tensor& x) const {
    return insertion && insertion->follows(part, layer) ? insertion->behind(part, layer, h, x, {}) : h;
  }
  int64_t prefixLength() const { return insertion ? insertion->prefixLength() : 0; }
  InsertedPass beginInsertion(const PackedBatch& batch, const std::vector<int64_t>& prompts) const {
    return insertion ? insertion->begin(batch, prompts, m_dtype) : InsertedPass{};
  }

  nlohmann::json m_config;
  HeadKind m_head = HeadKind::None;
  at::ScalarType m_dtype = at::kFloat;
  int64_t m_hiddenSize = 0, m_vocabSize = 0, m_maxPositions = 0, m_numLayers = 0, m_numLabels = 0;
  ParameterTable m_parameters, m_buffers;
  std::vector<LinearSite*> m_sites;
  std::vector<std::unique_ptr<LinearSite>> m_siteStore;
  LoadReport m_report;
};

}  // namespace rankscope
