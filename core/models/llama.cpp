#include "core/models/llama.h"

#include <fmt/format.h>

#include <cmath>

#include "core/models/checkpointing.h"
#include "core/models/config_reader.h"
#include "core/models/decode.h"
#include "core/models/rope.h"
#include "core/models/site_group.h"
#include "core/models/task_loss.h"
#include "core/models/weights.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

constexpr int64_t kMaxSize = 1 << 24;

struct LlamaSizes {
  int64_t vocab = 0, hidden = 0, inner = 0, layers = 0, heads = 0, kvHeads = 0, headDim = 0, maxPositions = 0;
  double eps = 1e-6, initializerRange = 0.02;
  bool tied = false, attentionBias = false, mlpBias = false;
  int64_t padId = -1;
  RopeSettings rope;
};

LlamaSizes readSizes(const nlohmann::json& config) {
  const ConfigReader r(config, "config.json");
  LlamaSizes s;
  s.vocab = r.integer("vocab_size", 32000, 1, kMaxSize);
  s.hidden = r.integer("hidden_size", 4096, 1, kMaxSize);
  s.inner = r.integer("intermediate_size", 11008, 1, kMaxSize);
  s.layers = r.integer("num_hidden_layers", 32, 1, 4096);
  s.heads = r.integer("num_attention_heads", 32, 1, 1 << 16);
  s.kvHeads = r.integer("num_key_value_heads", s.heads, 1, 1 << 16);
  if (s.heads % s.kvHeads != 0)
    r.fail("num_key_value_heads", std::to_string(s.kvHeads), fmt::format("a divisor of {}", s.heads),
           "Take config.json from the model's publisher again.");
  if (!r.has("head_dim") && s.hidden % s.heads != 0)
    r.fail("num_attention_heads", std::to_string(s.heads), fmt::format("a divisor of hidden_size {}", s.hidden),
           "Give head_dim, or take config.json from the model's publisher again.");
  s.headDim = r.integer("head_dim", std::max<int64_t>(s.hidden / s.heads, 1), 2, 1 << 16);
  if (s.headDim % 2 != 0)
    r.fail("head_dim", std::to_string(s.headDim), "an even number", "Rotary positions turn pairs; check the model.");
  const auto act = r.text("hidden_act", "silu");
  if (act != "silu" && act != "swish")
    r.fail("hidden_act", act, "silu", "Only SwiGLU feed-forward layers are supported for this family.");
  s.maxPositions = r.integer("max_position_embeddings", 2048, 1, 1 << 30);
  s.eps = r.real("rms_norm_eps", 1e-6, 0, 1);
  s.initializerRange = r.real("initializer_range", 0.02, 0, 1e3);
  s.tied = r.flag("tie_word_embeddings", false);
  s.attentionBias = r.flag("attention_bias", false);
  s.mlpBias = r.flag("mlp_bias", false);
  s.padId = r.integer("pad_token_id", -1, -1, kMaxSize);
  s.rope = readRope(r, s.maxPositions);
  return s;
}

std::vector<SiteShape> siteShapesOf(const LlamaSizes& s) {
  std::vector<SiteShape> shapes;
  const auto q = s.heads * s.headDim, kv = s.kvHeads * s.headDim;
  for (int64_t i = 0; i < s.layers; ++i) {
    const auto add = [&](const char* part, const char* kind, int64_t in, int64_t out, bool bias) {
      shapes.push_back({fmt::format("model.layers.{}.{}.{}", i, part, kind), kind, i, in, out, bias});
    };
    add("self_attn", "q_proj", s.hidden, q, s.attentionBias);
    add("self_attn", "k_proj", s.hidden, kv, s.attentionBias);
    add("self_attn", "v_proj", s.hidden, kv, s.attentionBias);
    add("self_attn", "o_proj", q, s.hidden, s.attentionBias);
    add("mlp", "gate_proj", s.hidden, s.inner, s.mlpBias);
    add("mlp", "up_proj", s.hidden, s.inner, s.mlpBias);
    add("mlp", "down_proj", s.inner, s.hidden, s.mlpBias);
  }
  return shapes;
}

WeightPlan weightPlan(const LlamaSizes& s, const ModelLoadOptions& options) {
  WeightPlan plan;
  plan.basePrefix = "model.";
  plan.ignoredSuffixes = {"rotary_emb.inv_freq"};
  plan.initializerRange = s.initializerRange;
  auto& p = plan.parameters;
  p.push_back({"model.embed_tokens.weight", {s.vocab, s.hidden}});
  p.back().zeroRow = s.padId;
  const auto shapes = siteShapesOf(s);
  for (int64_t i = 0; i < s.layers; ++i) {
    const auto prefix = fmt::format("model.layers.{}.", i);
    p.push_back({prefix + "input_layernorm.weight", {s.hidden}, StartValue::Ones});
    p.back().norm = true;
    for (int64_t k = 0; k < 7; ++k) {
      const auto& site = shapes[static_cast<size_t>(i * 7 + k)];
      ParameterSpec weight{site.name + ".weight", {site.outFeatures, site.inFeatures}};
      if (k < 3) weight.stack = prefix + "qkv";
      if (k == 4 || k == 5) weight.stack = prefix + "gate_up";
      p.push_back(std::move(weight));
    }
    for (int64_t k = 0; k < 7; ++k) {
      const auto& site = shapes[static_cast<size_t>(i * 7 + k)];
      if (site.hasBias) p.push_back({site.name + ".bias", {site.outFeatures}, StartValue::Zeros});
    }
    p.push_back({prefix + "post_attention_layernorm.weight", {s.hidden}, StartValue::Ones});
    p.back().norm = true;
  }
  p.push_back({"model.norm.weight", {s.hidden}, StartValue::Ones});
  p.back().norm = true;
  if (options.head == HeadKind::CausalLm) {
    if (s.tied)
      plan.aliases.emplace_back("lm_head.weight", "model.embed_tokens.weight");
    else
      p.push_back({"lm_head.weight", {s.vocab, s.hidden}});
  } else if (options.head == HeadKind::SequenceClassification) {
    p.push_back({"score.weight", {options.numLabels, s.hidden}});
    p.back().isHead = true;
  }
  return plan;
}

struct LlamaBlock {
  std::string prefix;
  at::Tensor inputNorm, postNorm;
  LinearSite *o = nullptr, *down = nullptr;
  SiteGroup qkv, gateUp;
};

class LlamaModel final : public Model {
 public:
  LlamaModel(nlohmann::json config, const LlamaSizes& sizes, const ModelLoadOptions& options) : m_sizes(sizes) {
    m_config = std::move(config);
    m_head = options.head;
    m_dtype = options.dtype;
    m_hiddenSize = sizes.hidden;
    m_vocabSize = sizes.vocab;
    m_maxPositions = sizes.maxPositions;
    m_numLayers = sizes.layers;
    m_numLabels = options.head == HeadKind::SequenceClassification ? options.numLabels : 0;
    m_inverseFrequency = inverseFrequencies(sizes.rope, sizes.headDim);
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
      const auto* s = m_sites.data() + 7 * i;
      LlamaBlock block;
      block.prefix = fmt::format("model.layers.{}.", i);
      block.qkv = SiteGroup({s[0], s[1], s[2]});
      block.o = s[3];
      block.gateUp = SiteGroup({s[4], s[5]});
      block.down = s[6];
      m_blocks.push_back(std::move(block));
    }
    rebind();
    return {};
  }

  const char* family() const override { return "llama"; }

  void rebind() override {
    for (auto* site : m_sites) {
      site->weight = m_parameters.at(site->name + ".weight");
      site->bias = m_parameters.contains(site->name + ".bias") ? m_parameters.at(site->name + ".bias") : at::Tensor();
    }
    for (auto& block : m_blocks) {
      block.inputNorm = m_parameters.at(block.prefix + "input_layernorm.weight");
      block.postNorm = m_parameters.at(block.prefix + "post_attention_layernorm.weight");
      block.qkv.rebind();
      block.gateUp.rebind();
    }
    m_embedding = m_parameters.at("model.embed_tokens.weight");
    m_finalNorm = m_parameters.at("model.norm.weight");
    if (m_head == HeadKind::CausalLm) m_headWeight = m_parameters.at("lm_head.weight");
    if (m_head == HeadKind::SequenceClassification) m_headWeight = m_parameters.at("score.weight");
    m_inverseFrequency = m_inverseFrequency.to(m_embedding.device());
  }

  std::vector<std::string> headParameters() const override {
    if (m_head == HeadKind::SequenceClassification) return {"score.weight"};
    return {};
  }

  at::Tensor hidden(const PackedBatch& batch, ForwardContext& context) override {
    return finish(runBlocks(batch, context, {}, nullptr));
  }

  std::vector<at::Tensor> hiddenStates(const PackedBatch& batch, ForwardContext& context) override {
    std::vector<at::Tensor> states;
    states.back() = finish(runBlocks(batch, context, {}, &states));
    return states;
  }

  at::Tensor logits(const PackedBatch& batch, ForwardContext& context) override {
    const bool classifies = m_head == HeadKind::SequenceClassification;
    if (!classifies) requireHead();
    const auto stream = runBlocks(batch, context, classifies ? lastTokens(batch) : at::Tensor(), nullptr);
    return kernels::linear(finish(stream), m_headWeight, {}).to(at::kFloat);
  }

  at::Tensor loss(const PackedBatch& batch, ForwardContext& context, double normaliser) override {
    if (m_head == HeadKind::SequenceClassification)
      return classificationLoss(logits(batch, context), batch.labels, normaliser);
    requireHead();
    const auto rows = labelledRows(batch.labels);
    const auto labels = rows.defined() ? batch.labels.index_select(0, rows) : batch.labels;
    const auto stream = runBlocks(batch, context, rows, nullptr);
    return kernels::linearCrossEntropy(finish(stream), m_headWeight, labels, normaliser);
  }

  std::unique_ptr<DecodeCache> newDecodeCache(int64_t sequences, int64_t capacity) const override {
    requireHead();
    auto cache = std::make_unique<DecodeCache>();
    cache->capacity = capacity;
    cache->lengths.assign(static_cast<size_t>(sequences), 0);
    for (int64_t i = 0; i < m_sizes.layers; ++i) {
      const auto options = at::TensorOptions(m_dtype).device(m_embedding.device());
      cache->keys.push_back(at::empty({sequences, capacity, m_sizes.kvHeads, m_sizes.headDim}, options));
      cache->values.push_back(at::empty_like(cache->keys.back()));
    }
    return cache;
  }

  at::Tensor decode(DecodeCache& cache, const std::vector<int64_t>& rows, const PackedBatch& batch) override;

 private:
  // The residual stream between blocks: the sum of both, kept apart so that the next norm adds them in its own pass.
  struct Stream {
    at::Tensor residual, update;  // update is undefined before the first block
  };
  using Rotation = std::pair<at::Tensor, at::Tensor>;  // cos, sin

  void requireHead() const {
    if (m_head != HeadKind::CausalLm)
      throw ErrorException({ErrorCode::Usage, "the model was loaded without its language-model head", "model.head",
                            "another head", "causal_lm", "Load the model with the causal language-model head."});
  }

  at::Tensor embed(const PackedBatch& batch) const {
    return at::embedding(m_embedding, batch.inputIds).to(m_dtype);
  }

  kernels::AttentionSpec attention() const {
    kernels::AttentionSpec spec;
    spec.heads = m_sizes.heads;
    spec.kvHeads = m_sizes.kvHeads;
    spec.headDim = m_sizes.headDim;
    spec.causal = true;
    spec.scale = 1.0 / std::sqrt(static_cast<double>(m_sizes.headDim));
    return spec;
  }

  std::pair<at::Tensor, at::Tensor> normed(const Stream& in, const at::Tensor& weight) const {
    if (in.update.defined()) return kernels::addRmsNorm(in.update, in.residual, weight, m_sizes.eps);
    return {kernels::rmsNorm(in.residual, weight, m_sizes.eps), in.residual};
  }

  Stream feedForward(const LlamaBlock& block, const Stream& in, ForwardContext& context) const {
    const auto [x, residual] = normed(in, block.postNorm);
    const auto inner = kernels::swiglu(block.gateUp.forward(x, context));
    return {residual, block.down->forward(inner, context)};
  }

  // `rows`, when given, are the only tokens whose output anyone reads: behind the attention the rest is left out.
  Stream runBlock(const LlamaBlock& block, const Stream& in, const PackedBatch& batch, const Rotation& rotation,
                  const at::Tensor& rows, ForwardContext& context) const {
    auto [x, residual] = normed(in, block.inputNorm);
    auto mixed = kernels::packedAttention(block.qkv.forward(x, context), batch.starts, rotation.first, rotation.second,
                                          attention());
    if (rows.defined()) {
      mixed = mixed.index_select(0, rows);
      residual = residual.index_select(0, rows);
    }
    return feedForward(block, {residual, block.o->forward(mixed, context)}, context);
  }

  Stream runBlocks(const PackedBatch& batch, ForwardContext& context, const at::Tensor& rows,
                   std::vector<at::Tensor>* states) {
    checkBatch(batch, m_vocabSize, 0);  // rotary positions have no last one
    const auto rotation = ropeTables(m_inverseFrequency, batch.positionIds);
    Stream stream{embed(batch), {}};
    if (states) states->push_back(stream.residual);
    const auto firstPlace = context.nextPlace;
    for (size_t i = 0; i < m_blocks.size(); ++i) {
      const auto& block = m_blocks[i];
      const auto kept = i + 1 == m_blocks.size() ? rows : at::Tensor();
      context.nextPlace = firstPlace + i * kPlacesPerBlock;  // the same masks with and without recomputation
      if (gradientCheckpointing && at::GradMode::is_enabled()) {
        const ForwardContext start = context;
        const auto again = [this, &block, batch, rotation, kept, start](const std::vector<at::Tensor>& in) {
          ForwardContext own = start;
          const auto out = runBlock(block, {in[0], in[1]}, batch, rotation, kept, own);
          return std::vector<at::Tensor>{out.residual, out.update};
        };
        const auto out = checkpointed(again, {stream.residual, stream.update});
        stream = {out[0], out[1]};
      } else {
        stream = runBlock(block, stream, batch, rotation, kept, context);
      }
      if (states) states->push_back(stream.residual + stream.update);
    }
    context.nextPlace = firstPlace + m_blocks.size() * kPlacesPerBlock;
    return stream;
  }

  at::Tensor finish(const Stream& stream) const {
    return kernels::addRmsNorm(stream.update, stream.residual, m_finalNorm, m_sizes.eps).first;
  }

  // More than the dropout places of any block.
  static constexpr uint64_t kPlacesPerBlock = 64;

  LlamaSizes m_sizes;
  std::vector<std::unique_ptr<LinearSite>> m_ownedSites;
  std::vector<LlamaBlock> m_blocks;
  at::Tensor m_embedding, m_finalNorm, m_headWeight, m_inverseFrequency;
};

at::Tensor rotateHalves(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const auto half = x.size(2) / 2;
  const auto f = x.to(at::kFloat), a = f.narrow(2, 0, half), b = f.narrow(2, half, half);
  const auto c = cos.unsqueeze(1), s = sin.unsqueeze(1);
  return at::cat({a * c - b * s, b * c + a * s}, 2).to(x.scalar_type());
}

at::Tensor LlamaModel::decode(DecodeCache& cache, const std::vector<int64_t>& rows, const PackedBatch& batch) {
  requireHead();
  checkBatch(batch, m_vocabSize, 0);
  at::NoGradGuard off;
  ForwardContext context;
  const auto [cos, sin] = ropeTables(m_inverseFrequency, batch.positionIds);
  const auto spec = attention();
  const auto tokens = batch.tokens(), qWidth = spec.heads * spec.headDim, kvWidth = spec.kvHeads * spec.headDim;
  Stream stream{embed(batch), {}};
  for (size_t layer = 0; layer < m_blocks.size(); ++layer) {
    const auto& block = m_blocks[layer];
    const auto [x, residual] = normed(stream, block.inputNorm);
    const auto qkv = block.qkv.forward(x, context);
    const auto q = rotateHalves(qkv.narrow(1, 0, qWidth).view({tokens, spec.heads, spec.headDim}), cos, sin);
    const auto k = rotateHalves(qkv.narrow(1, qWidth, kvWidth).view({tokens, spec.kvHeads, spec.headDim}), cos, sin);
    const auto v = qkv.narrow(1, qWidth + kvWidth, kvWidth).view({tokens, spec.kvHeads, spec.headDim});
    auto mixed = at::empty({tokens, spec.heads, spec.headDim}, qkv.options());
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto begin = batch.starts[i], fresh = batch.starts[i + 1] - begin;
      const auto held = cache.lengths[static_cast<size_t>(rows[i])], total = held + fresh;
      if (total > cache.capacity)
        throw ErrorException({ErrorCode::Internal, "the key/value cache is full", "generation",
                              std::to_string(total), fmt::format("at most {}", cache.capacity),
                              "Generate fewer tokens."});
      const auto keys = cache.keys[layer].select(0, rows[i]), values = cache.values[layer].select(0, rows[i]);
      keys.narrow(0, held, fresh).copy_(k.narrow(0, begin, fresh));
      values.narrow(0, held, fresh).copy_(v.narrow(0, begin, fresh));
      // [kvHeads, groups · fresh, D] against [kvHeads, total, D]
      const auto groups = spec.heads / spec.kvHeads;
      const auto qs = q.narrow(0, begin, fresh).transpose(0, 1).reshape({spec.kvHeads, groups * fresh, spec.headDim});
      const auto ks = keys.narrow(0, 0, total).transpose(0, 1), vs = values.narrow(0, 0, total).transpose(0, 1);
      auto scores = at::matmul(qs, ks.transpose(1, 2)).to(at::kFloat) * spec.scale;
      if (fresh > 1) {
        const auto future = at::ones({fresh, total}, scores.options().dtype(at::kBool)).triu(held + 1);
        scores = scores.view({spec.kvHeads, groups, fresh, total}).masked_fill(future, -INFINITY);
        scores = scores.view({spec.kvHeads, groups * fresh, total});
      }
      const auto weights = at::softmax(scores, -1).to(m_dtype);
      const auto out = at::matmul(weights, vs).view({spec.heads, fresh, spec.headDim}).transpose(0, 1);
      mixed.narrow(0, begin, fresh).copy_(out);
    }
    stream = feedForward(block, {residual, block.o->forward(mixed.view({tokens, qWidth}), context)}, context);
  }
  for (size_t i = 0; i < rows.size(); ++i)
    cache.lengths[static_cast<size_t>(rows[i])] += batch.starts[i + 1] - batch.starts[i];
  const auto last = lastTokens(batch);
  return kernels::linear(finish({stream.residual.index_select(0, last), stream.update.index_select(0, last)}), m_headWeight, {})
      .to(at::kFloat);
}

}  // namespace

Result<std::unique_ptr<Model>> loadLlama(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options) try {
  auto model = std::make_unique<LlamaModel>(config, readSizes(config), options);
  if (auto loaded = model->load(folder, options); !loaded) return loaded.error();
  return std::unique_ptr<Model>(std::move(model));
} catch (const ErrorException& e) {
  return e.error();
}

Result<std::vector<SiteShape>> llamaSiteShapes(const nlohmann::json& config) try {
  return siteShapesOf(readSizes(config));
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
