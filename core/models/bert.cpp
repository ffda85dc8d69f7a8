#include "core/models/bert.h"

#include <fmt/format.h>

#include <cmath>

#include "core/models/checkpointing.h"
#include "core/models/config_reader.h"
#include "core/models/site_group.h"
#include "core/models/task_loss.h"
#include "core/models/weights.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

constexpr int64_t kMaxSize = 1 << 24;

struct BertSizes {
  int64_t vocab = 0, hidden = 0, inner = 0, layers = 0, heads = 0, maxPositions = 0, types = 0, padId = 0;
  double eps = 1e-12, initializerRange = 0.02;
  double hiddenDropout = 0.1, attentionDropout = 0.1, headDropout = 0.1;
  std::string act;
};

BertSizes readSizes(const nlohmann::json& config) {
  const ConfigReader r(config, "config.json");
  BertSizes s;
  s.vocab = r.integer("vocab_size", 30522, 1, kMaxSize);
  s.hidden = r.integer("hidden_size", 768, 1, kMaxSize);
  s.inner = r.integer("intermediate_size", 3072, 1, kMaxSize);
  s.layers = r.integer("num_hidden_layers", 12, 1, 4096);
  s.heads = r.integer("num_attention_heads", 12, 1, 1 << 16);
  if (s.hidden % s.heads != 0)
    r.fail("num_attention_heads", std::to_string(s.heads), fmt::format("a divisor of hidden_size {}", s.hidden),
           "Take config.json from the model's publisher again.");
  s.maxPositions = r.integer("max_position_embeddings", 512, 1, kMaxSize);
  s.types = r.integer("type_vocab_size", 2, 1, kMaxSize);
  s.padId = r.integer("pad_token_id", 0, -1, kMaxSize);
  s.eps = r.real("layer_norm_eps", 1e-12, 0, 1);
  s.initializerRange = r.real("initializer_range", 0.02, 0, 1e3);
  s.hiddenDropout = r.real("hidden_dropout_prob", 0.1, 0, 0.999);
  s.attentionDropout = r.real("attention_probs_dropout_prob", 0.1, 0, 0.999);
  s.headDropout = r.real("classifier_dropout", s.hiddenDropout, 0, 0.999);
  s.act = r.text("hidden_act", "gelu");
  if (s.act != "gelu" && s.act != "gelu_new" && s.act != "relu")
    r.fail("hidden_act", s.act, "gelu, gelu_new or relu", "This activation is not supported; choose another model.");
  const auto positions = r.text("position_embedding_type", "absolute");
  if (positions != "absolute")
    r.fail("position_embedding_type", positions, "absolute", "Relative positions are not supported for BERT.");
  return s;
}

std::vector<SiteShape> siteShapesOf(const BertSizes& s) {
  std::vector<SiteShape> shapes;
  for (int64_t i = 0; i < s.layers; ++i) {
    const auto add = [&](const char* part, const char* kind, int64_t in, int64_t out) {
      shapes.push_back({fmt::format("bert.encoder.layer.{}.{}.{}", i, part, kind), kind, i, in, out, true});
    };
    add("attention.self", "query", s.hidden, s.hidden);
    add("attention.self", "key", s.hidden, s.hidden);
    add("attention.self", "value", s.hidden, s.hidden);
    add("attention.output", "dense", s.hidden, s.hidden);
    add("intermediate", "dense", s.hidden, s.inner);
    add("output", "dense", s.inner, s.hidden);
  }
  shapes.push_back({"bert.pooler.dense", "dense", -1, s.hidden, s.hidden, true});
  return shapes;
}

WeightPlan weightPlan(const BertSizes& s, const ModelLoadOptions& options) {
  WeightPlan plan;
  plan.basePrefix = "bert.";
  plan.ignoredSuffixes = {"embeddings.position_ids", "embeddings.token_type_ids"};
  plan.oldSuffixes = {{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}};
  plan.initializerRange = s.initializerRange;
  auto& p = plan.parameters;
  const auto norm = [&](const std::string& name) {
    for (const bool weight : {true, false}) {
      p.push_back({name + (weight ? ".weight" : ".bias"), {s.hidden}, weight ? StartValue::Ones : StartValue::Zeros});
      p.back().norm = true;
    }
  };
  p.push_back({"bert.embeddings.word_embeddings.weight", {s.vocab, s.hidden}});
  p.back().zeroRow = s.padId;
  p.push_back({"bert.embeddings.position_embeddings.weight", {s.maxPositions, s.hidden}});
  p.push_back({"bert.embeddings.token_type_embeddings.weight", {s.types, s.hidden}});
  norm("bert.embeddings.LayerNorm");
  const auto shapes = siteShapesOf(s);
  for (int64_t i = 0; i < s.layers; ++i) {
    const auto prefix = fmt::format("bert.encoder.layer.{}.", i);
    const auto* site = shapes.data() + 6 * i;
    const auto weight = [&](int64_t k) {
      p.push_back({site[k].name + ".weight", {site[k].outFeatures, site[k].inFeatures}});
      if (k < 3) p.back().stack = prefix + "qkv";
    };
    const auto bias = [&](int64_t k) {
      p.push_back({site[k].name + ".bias", {site[k].outFeatures}, StartValue::Zeros});
    };
    for (int64_t k = 0; k < 3; ++k) weight(k);
    for (int64_t k = 0; k < 3; ++k) bias(k);
    weight(3), bias(3);
    norm(prefix + "attention.output.LayerNorm");
    weight(4), bias(4), weight(5), bias(5);
    norm(prefix + "output.LayerNorm");
  }
  const bool classifies = options.head == HeadKind::SequenceClassification;
  for (const bool isWeight : {true, false}) {
    const std::string tail = isWeight ? ".weight" : ".bias";
    const auto start = isWeight ? StartValue::Normal : StartValue::Zeros;
    p.push_back({"bert.pooler.dense" + tail,
                 isWeight ? std::vector<int64_t>{s.hidden, s.hidden} : std::vector<int64_t>{s.hidden}, start});
    p.back().isHead = true;  // encoders published for other tasks come without a pooler
  }
  if (classifies) {
    p.push_back({"classifier.weight", {options.numLabels, s.hidden}});
    p.back().isHead = true;
    p.push_back({"classifier.bias", {options.numLabels}, StartValue::Zeros});
    p.back().isHead = true;
  }
  return plan;
}

struct BertNorm {
  at::Tensor weight, bias;
};

struct BertBlock {
  std::string prefix;
  SiteGroup qkv;
  LinearSite *attentionOut = nullptr, *inner = nullptr, *out = nullptr;
  BertNorm attentionNorm, outNorm;
};

class BertModel final : public Model {
 public:
  BertModel(nlohmann::json config, const BertSizes& sizes, const ModelLoadOptions& options) : m_sizes(sizes) {
    m_config = std::move(config);
    m_head = options.head;
    m_dtype = options.dtype;
    m_hiddenSize = sizes.hidden;
    m_vocabSize = sizes.vocab;
    m_maxPositions = sizes.maxPositions;
    m_numLayers = sizes.layers;
    m_numLabels = options.head == HeadKind::SequenceClassification ? options.numLabels : 0;
  }

  Result<void> load(const std::filesystem::path& folder, const ModelLoadOptions& options) {
    if (auto filled = fillParameters(folder, weightPlan(m_sizes, options), options, m_parameters, m_report); !filled)
      return filled;
    for (const auto& shape : siteShapesOf(m_sizes)) {
      auto site = std::make_unique<LinearSite>();
      site->name = shape.name;
      site->kind = shape.kind;
      site->layer = shape.layer;
      site->inFeatures = shape.inFeatures;
      site->outFeatures = shape.outFeatures;
      m_sites.push_back(site.get());
      m_ownedSites.push_back(std::move(site));
    }
    for (size_t i = 0; i < static_cast<size_t>(m_sizes.layers); ++i) {
      const auto* s = m_sites.data() + 6 * i;
      BertBlock block;
      block.prefix = fmt::format("bert.encoder.layer.{}.", i);
      block.qkv = SiteGroup({s[0], s[1], s[2]});
      block.attentionOut = s[3];
      block.inner = s[4];
      block.out = s[5];
      m_blocks.push_back(std::move(block));
    }
    m_pooler = m_sites.back();
    rebind();
    return {};
  }

  const char* family() const override { return "bert"; }

  void rebind() override {
    for (auto* site : m_sites) {
      site->weight = m_parameters.at(site->name + ".weight");
      site->bias = m_parameters.at(site->name + ".bias");
    }
    for (auto& block : m_blocks) {
      block.attentionNorm = normOf(block.prefix + "attention.output.LayerNorm");
      block.outNorm = normOf(block.prefix + "output.LayerNorm");
      block.qkv.rebind();
    }
    m_embeddingNorm = normOf("bert.embeddings.LayerNorm");
    m_words = m_parameters.at("bert.embeddings.word_embeddings.weight");
    m_positions = m_parameters.at("bert.embeddings.position_embeddings.weight");
    m_types = m_parameters.at("bert.embeddings.token_type_embeddings.weight");
    if (m_head == HeadKind::SequenceClassification) {
      m_headWeight = m_parameters.at("classifier.weight");
      m_headBias = m_parameters.at("classifier.bias");
    }
  }

  std::vector<std::string> headParameters() const override {
    if (m_head == HeadKind::SequenceClassification) return {"classifier.weight", "classifier.bias"};
    return {};
  }

  at::Tensor hidden(const PackedBatch& batch, ForwardContext& context) override {
    return runBlocks(batch, context, {}, nullptr);
  }

  std::vector<at::Tensor> hiddenStates(const PackedBatch& batch, ForwardContext& context) override {
    std::vector<at::Tensor> states;
    runBlocks(batch, context, {}, &states);
    return states;
  }

  at::Tensor logits(const PackedBatch& batch, ForwardContext& context) override {
    if (m_head != HeadKind::SequenceClassification)
      throw ErrorException({ErrorCode::Usage, "the model was loaded without a classification head", "model.head",
                            "another head", "sequence_classification", "Load the model with a classification head."});
    const auto first = runBlocks(batch, context, firstTokens(batch), nullptr);
    auto pooled = at::tanh(m_pooler->forward(first, context));
    pooled = dropped(pooled, m_sizes.headDropout, context);
    // A head is small and trains in float32; its product is taken there too.
    return kernels::linear(pooled.to(at::kFloat), m_headWeight.to(at::kFloat), m_headBias.to(at::kFloat));
  }

  at::Tensor loss(const PackedBatch& batch, ForwardContext& context, double normaliser) override {
    return classificationLoss(logits(batch, context), batch.labels, normaliser);
  }

 private:
  BertNorm normOf(const std::string& name) {
    return {m_parameters.at(name + ".weight"), m_parameters.at(name + ".bias")};
  }

  static at::Tensor dropped(const at::Tensor& x, double p, ForwardContext& context) {
    if (!context.training || p <= 0) return x;
    return kernels::dropout(x, p, maskSeed(context), context.nextPlace++);
  }

  static uint64_t maskSeed(const ForwardContext& context) {
    return kernels::dropoutSeed(context.dropoutSeed, context.step, context.microBatch);
  }

  // norm(dropout(x) + residual)
  at::Tensor join(const at::Tensor& x, const at::Tensor& residual, const BertNorm& norm,
                  ForwardContext& context) const {
    const double p = context.training ? m_sizes.hiddenDropout : 0;
    return kernels::addLayerNorm(x, residual, norm.weight, norm.bias, m_sizes.eps, p, maskSeed(context),
                                 context.nextPlace++);
  }

  at::Tensor activate(const at::Tensor& x) const {
    if (m_sizes.act == "gelu") return kernels::gelu(x);
    if (m_sizes.act == "gelu_new") return at::gelu(x, "tanh");
    return at::relu(x);
  }

  at::Tensor runBlock(const BertBlock& block, const at::Tensor& in, const PackedBatch& batch, const at::Tensor& rows,
                      ForwardContext& context) const {
    kernels::AttentionSpec spec;
    spec.heads = spec.kvHeads = m_sizes.heads;
    spec.headDim = m_sizes.hidden / m_sizes.heads;
    spec.scale = 1.0 / std::sqrt(static_cast<double>(spec.headDim));
    const auto qkv = block.qkv.forward(in, context);
    if (context.training && m_sizes.attentionDropout > 0) {
      spec.dropoutP = m_sizes.attentionDropout;
      spec.seed = maskSeed(context);
      spec.place = context.nextPlace++;
    }
    auto mixed = kernels::packedAttention(qkv, batch.starts, {}, {}, spec);
    auto residual = in;
    if (rows.defined()) {
      mixed = mixed.index_select(0, rows);
      residual = residual.index_select(0, rows);
    }
    const auto attended = join(block.attentionOut->forward(mixed, context), residual, block.attentionNorm, context);
    const auto inner = activate(block.inner->forward(attended, context));
    return join(block.out->forward(inner, context), attended, block.outNorm, context);
  }

  at::Tensor embed(const PackedBatch& batch, ForwardContext& context) const {
    auto sum = at::embedding(m_words, batch.inputIds).to(at::kFloat);
    sum = sum + at::embedding(m_positions, batch.positionIds);
    const auto types = batch.tokenTypeIds.defined() ? batch.tokenTypeIds : at::zeros_like(batch.inputIds);
    if (types.numel() > 0 && (types.min().item<int64_t>() < 0 || types.max().item<int64_t>() >= m_sizes.types))
      throw ErrorException({ErrorCode::BadInput, "a token type that the model does not know", "batch",
                            std::to_string(types.max().item<int64_t>()), fmt::format("below {}", m_sizes.types),
                            "Use the tokenizer that belongs to this model."});
    sum = (sum + at::embedding(m_types, types)).to(m_dtype);
    const auto normed =
        kernels::addLayerNorm(sum, {}, m_embeddingNorm.weight, m_embeddingNorm.bias, m_sizes.eps);
    return dropped(normed, m_sizes.hiddenDropout, context);
  }

  // `rows`: the tokens whose last output anyone reads; undefined for all.
  at::Tensor runBlocks(const PackedBatch& batch, ForwardContext& context, const at::Tensor& rows,
                       std::vector<at::Tensor>* states) {
    checkBatch(batch, m_vocabSize, m_maxPositions);
    auto x = embed(batch, context);
    if (states) states->push_back(x);
    const auto firstPlace = context.nextPlace;
    for (size_t i = 0; i < m_blocks.size(); ++i) {
      const auto& block = m_blocks[i];
      const auto kept = i + 1 == m_blocks.size() ? rows : at::Tensor();
      context.nextPlace = firstPlace + i * kPlacesPerBlock;  // the same masks with and without recomputation
      if (gradientCheckpointing && at::GradMode::is_enabled()) {
        const ForwardContext start = context;
        const auto again = [this, &block, batch, kept, start](const std::vector<at::Tensor>& in) {
          ForwardContext own = start;
          return std::vector<at::Tensor>{runBlock(block, in[0], batch, kept, own)};
        };
        x = checkpointed(again, {x}).front();
      } else {
        x = runBlock(block, x, batch, kept, context);
      }
      if (states) states->push_back(x);
    }
    context.nextPlace = firstPlace + m_blocks.size() * kPlacesPerBlock;
    return x;
  }

  static constexpr uint64_t kPlacesPerBlock = 64;  // more than any block has

  BertSizes m_sizes;
  std::vector<std::unique_ptr<LinearSite>> m_ownedSites;
  std::vector<BertBlock> m_blocks;
  LinearSite* m_pooler = nullptr;
  BertNorm m_embeddingNorm;
  at::Tensor m_words, m_positions, m_types, m_headWeight, m_headBias;
};

}  // namespace

Result<std::unique_ptr<Model>> loadBert(const std::filesystem::path& folder, const nlohmann::json& config,
                                        const ModelLoadOptions& options) try {
  if (options.head == HeadKind::CausalLm)
    return Error{ErrorCode::Usage, "BERT does not predict the next token", "model.head", "causal_lm",
                 "sequence_classification", "Choose a classification or regression task, or a causal model."};
  auto model = std::make_unique<BertModel>(config, readSizes(config), options);
  if (auto loaded = model->load(folder, options); !loaded) return loaded.error();
  return std::unique_ptr<Model>(std::move(model));
} catch (const ErrorException& e) {
  return e.error();
}

Result<std::vector<SiteShape>> bertSiteShapes(const nlohmann::json& config) try {
  return siteShapesOf(readSizes(config));
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
