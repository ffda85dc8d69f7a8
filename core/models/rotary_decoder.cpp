#include "core/models/rotary_decoder.h"

#include <fmt/format.h>

#include <cmath>

#include "core/models/causal_model.h"
#include "core/models/layers.h"
#include "core/models/site_group.h"

namespace rankscope {

std::vector<SiteShape> decoderSiteShapes(const DecoderSizes& s) {
  std::vector<SiteShape> shapes;
  const auto q = s.heads * s.headDim, kv = s.kvHeads * s.headDim;
  for (int64_t i = 0; i < s.layers; ++i) {
    const auto add = [&](const char* part, const char* kind, int64_t in, int64_t out, bool bias) {
      shapes.push_back({fmt::format("model.layers.{}.{}.{}", i, part, kind), kind, i, in, out, bias});
    };
    add("self_attn", "q_proj", s.hidden, q, s.inputBias);
    add("self_attn", "k_proj", s.hidden, kv, s.inputBias);
    add("self_attn", "v_proj", s.hidden, kv, s.inputBias);
    add("self_attn", "o_proj", q, s.hidden, s.outputBias);
    add("mlp", "gate_proj", s.hidden, s.inner, s.mlpBias);
    add("mlp", "up_proj", s.hidden, s.inner, s.mlpBias);
    add("mlp", "down_proj", s.inner, s.hidden, s.mlpBias);
  }
  shapes.push_back(embeddingSite("model.embed_tokens", s.vocab, s.hidden));
  return shapes;
}

namespace {

constexpr int64_t kSites = 7;  // of a block

WeightPlan weightPlan(const DecoderSizes& s, const ModelLoadOptions& options) {
  WeightPlan plan;
  plan.basePrefix = "model.";
  plan.ignoredSuffixes = {"rotary_emb.inv_freq"};
  plan.initializerRange = s.initializerRange;
  auto& p = plan.parameters;
  const auto norm = [&](const std::string& name, int64_t width) {
    p.push_back({name, {width}, StartValue::Ones});
    p.back().norm = true;
  };
  p.push_back({"model.embed_tokens.weight", {s.vocab, s.hidden}});
  p.back().zeroRow = s.padId;
  const auto shapes = decoderSiteShapes(s);
  for (int64_t i = 0; i < s.layers; ++i) {
    const auto prefix = fmt::format("model.layers.{}.", i);
    norm(prefix + "input_layernorm.weight", s.hidden);
    for (int64_t k = 0; k < kSites; ++k) {
      const auto& site = shapes[static_cast<size_t>(i * kSites + k)];
      ParameterSpec weight{site.name + ".weight", {site.outFeatures, site.inFeatures}};
      if (k < 3) weight.stack = prefix + "qkv";
      if (k == 4 || k == 5) weight.stack = prefix + "gate_up";
      p.push_back(std::move(weight));
    }
    for (int64_t k = 0; k < kSites; ++k) {
      const auto& site = shapes[static_cast<size_t>(i * kSites + k)];
      if (site.hasBias) p.push_back({site.name + ".bias", {site.outFeatures}, StartValue::Zeros});
    }
    if (s.queryKeyNorm)
      for (const char* name : {"self_attn.q_norm.weight", "self_attn.k_norm.weight"}) norm(prefix + name, s.headDim);
    norm(prefix + "post_attention_layernorm.weight", s.hidden);
  }
  norm("model.norm.weight", s.hidden);
  addCausalHead(plan, options, s.vocab, s.hidden, s.tied, "model.embed_tokens.weight");
  return plan;
}

struct Block {
  std::string prefix;
  at::Tensor inputNorm, postNorm, queryNorm, keyNorm;
  LinearSite *o = nullptr, *down = nullptr;
  SiteGroup qkv, gateUp;
};

class RotaryDecoder final : public CausalModel {
 public:
  RotaryDecoder(nlohmann::json config, const DecoderSizes& sizes, const ModelLoadOptions& options) : m_sizes(sizes) {
    describe(std::move(config), options, sizes.hidden, sizes.vocab, sizes.maxPositions, sizes.layers);
    m_rotary = true;
    m_tables = RotaryTables(sizes.rope, sizes.headDim);
    m_kvHeads = sizes.kvHeads;
    m_headDim = sizes.headDim;
  }

  void load(const std::filesystem::path& folder, const ModelLoadOptions& options) {
    if (auto filled = fillParameters(folder, weightPlan(m_sizes, options), options, m_parameters, m_report); !filled)
      throw ErrorException(filled.error());
    addSites(decoderSiteShapes(m_sizes));
    for (int64_t i = 0; i < m_sizes.layers; ++i) {
      const auto* s = m_sites.data() + kSites * i;
      Block block;
      block.prefix = fmt::format("model.layers.{}.", i);
      block.qkv = SiteGroup({s[0], s[1], s[2]});
      block.o = s[3];
      block.gateUp = SiteGroup({s[4], s[5]});
      block.down = s[6];
      m_blocks.push_back(std::move(block));
    }
    rebind();
  }

  const char* family() const override { return m_sizes.family; }

  InsertionPlaces insertionPlaces() const override { return preNormPlaces("model.layers."); }

  void rebind() override {
    bindSites();
    for (auto& block : m_blocks) {
      block.inputNorm = m_parameters.at(block.prefix + "input_layernorm.weight");
      block.postNorm = m_parameters.at(block.prefix + "post_attention_layernorm.weight");
      if (m_sizes.queryKeyNorm) {
        block.queryNorm = m_parameters.at(block.prefix + "self_attn.q_norm.weight");
        block.keyNorm = m_parameters.at(block.prefix + "self_attn.k_norm.weight");
      }
      block.qkv.rebind();
      block.gateUp.rebind();
    }
    m_finalNorm = m_parameters.at("model.norm.weight");
    bindHead("model.embed_tokens.weight");
  }

 protected:
  at::Tensor embed(const PackedBatch& batch, ForwardContext& context) const override {
    return m_sites.back()->forward(batch.inputIds, context).to(m_dtype);
  }

  Stream block(size_t layer, const Stream& in, const Mixer& mix, const at::Tensor& rows,
               ForwardContext& context) const override {
    const auto& block = m_blocks[layer];
    auto [x, residual] = normed(in, block.inputNorm);
    auto qkv = block.qkv.forward(x, context);
    if (m_sizes.queryKeyNorm) qkv = withNormedHeads(qkv, block);
    auto mixed = mix(qkv, attention(layer, context));
    if (rows.defined()) {
      mixed = mixed.index_select(0, rows);
      residual = residual.index_select(0, rows);
    }
    const auto attended = behind(SubLayer::Attention, layer, block.o->forward(mixed, context), residual);
    const auto [y, sum] = normed({residual, attended}, block.postNorm);
    const auto inner = kernels::swiglu(block.gateUp.forward(y, context));
    return {sum, behind(SubLayer::FeedForward, layer, block.down->forward(inner, context), sum)};
  }

  at::Tensor finalNorm(const Stream& stream) const override {
    return kernels::addRmsNorm(stream.update, stream.residual, m_finalNorm, m_sizes.eps).first;
  }

 private:
  std::pair<at::Tensor, at::Tensor> normed(const Stream& in, const at::Tensor& weight) const {
    if (in.update.defined()) return kernels::addRmsNorm(in.update, in.residual, weight, m_sizes.eps);
    return {kernels::rmsNorm(in.residual, weight, m_sizes.eps), in.residual};
  }

  at::Tensor withNormedHeads(const at::Tensor& qkv, const Block& block) const {
    const auto tokens = qkv.size(0), q = m_sizes.heads * m_sizes.headDim, kv = m_sizes.kvHeads * m_sizes.headDim;
    const auto heads = [&](int64_t at, int64_t width, const at::Tensor& weight) {
      const auto each = qkv.narrow(1, at, width).reshape({-1, m_sizes.headDim});
      return kernels::rmsNorm(each, weight, m_sizes.eps).view({tokens, width});
    };
    return at::cat({heads(0, q, block.queryNorm), heads(q, kv, block.keyNorm), qkv.narrow(1, q + kv, kv)}, 1);
  }

  kernels::AttentionSpec attention(size_t layer, ForwardContext& context) const {
    kernels::AttentionSpec spec;
    spec.heads = m_sizes.heads;
    spec.kvHeads = m_sizes.kvHeads;
    spec.headDim = m_sizes.headDim;
    spec.causal = true;
    spec.scale = 1.0 / std::sqrt(static_cast<double>(m_sizes.headDim));
    spec.window = m_sizes.windows[layer];
    dropProbabilities(spec, m_sizes.attentionDropout, context);
    return spec;
  }

  DecoderSizes m_sizes;
  std::vector<Block> m_blocks;
  at::Tensor m_finalNorm;
};

}  // namespace

std::unique_ptr<Model> loadDecoder(const std::filesystem::path& folder, const nlohmann::json& config,
                                   const DecoderSizes& sizes, const ModelLoadOptions& options) {
  auto model = std::make_unique<RotaryDecoder>(config, sizes, options);
  model->load(folder, options);
  return model;
}

}  // namespace rankscope
