#include "core/models/gpt2.h"

#include <fmt/format.h>

#include <cmath>

#include "core/models/causal_model.h"
#include "core/models/config_reader.h"
#include "core/models/layers.h"

namespace rankscope {

namespace {

struct Gpt2Sizes {
  int64_t vocab = 0, hidden = 0, inner = 0, layers = 0, heads = 0, maxPositions = 0;
  double eps = 1e-5, initializerRange = 0.02;
  double embeddingDropout = 0.1, attentionDropout = 0.1, residualDropout = 0.1;
  bool tied = true, scaled = true, scaledByLayer = false;
  Activation activation = Activation::GeluTanh;
};

Gpt2Sizes readSizes(const nlohmann::json& config) {
  const ConfigReader r(config, "config.json");
  refuseQuantised(r);
  Gpt2Sizes s;
  s.vocab = r.integer("vocab_size", 50257, 1, kMaxConfigSize);
  s.hidden = r.integer("n_embd", 768, 1, kMaxConfigSize);
  s.layers = r.integer("n_layer", 12, 1, 4096);
  s.heads = r.integer("n_head", 12, 1, 1 << 16);
  if (s.hidden % s.heads != 0)
    r.fail("n_head", std::to_string(s.heads), fmt::format("a divisor of n_embd {}", s.hidden),
           kTakeConfigAgain);
  s.inner = r.integer("n_inner", 4 * s.hidden, 1, kMaxConfigSize);
  s.maxPositions = r.integer("n_positions", 1024, 1, kMaxConfigSize);
  s.eps = r.real("layer_norm_epsilon", 1e-5, 0, 1);
  s.initializerRange = r.real("initializer_range", 0.02, 0, 1e3);
  s.embeddingDropout = r.real("embd_pdrop", 0.1, 0, 0.999);
  s.attentionDropout = r.real("attn_pdrop", 0.1, 0, 0.999);
  s.residualDropout = r.real("resid_pdrop", 0.1, 0, 0.999);
  s.tied = r.flag("tie_word_embeddings", true);
  s.scaled = r.flag("scale_attn_weights", true);
  s.scaledByLayer = r.flag("scale_attn_by_inverse_layer_idx", false);
  s.activation = readActivation(r, "activation_function", "gelu_new");
  if (r.flag("add_cross_attention", false))
    r.fail("add_cross_attention", "true", "false", "Models that read from an encoder are not supported.");
  return s;
}

std::vector<SiteShape> siteShapesOf(const Gpt2Sizes& s) {
  std::vector<SiteShape> shapes;
  for (int64_t i = 0; i < s.layers; ++i) {
    const auto add = [&](const char* part, const char* kind, int64_t in, int64_t out) {
      shapes.push_back({fmt::format("transformer.h.{}.{}.{}", i, part, kind), kind, i, in, out, true, true});
    };
    add("attn", "c_attn", s.hidden, 3 * s.hidden);
    add("attn", "c_proj", s.hidden, s.hidden);
    add("mlp", "c_fc", s.hidden, s.inner);
    add("mlp", "c_proj", s.inner, s.hidden);
  }
  shapes.push_back(embeddingSite("transformer.wte", s.vocab, s.hidden));
  return shapes;
}

constexpr int64_t kSites = 4;  // of a block

WeightPlan weightPlan(const Gpt2Sizes& s, const ModelLoadOptions& options) {
  WeightPlan plan;
  plan.basePrefix = "transformer.";
  plan.ignoredSuffixes = {".attn.bias", ".attn.masked_bias"};  // the causal mask, which old checkpoints carry
  plan.initializerRange = s.initializerRange;
  auto& p = plan.parameters;
  const auto norm = [&](const std::string& name) {
    for (const bool weight : {true, false}) {
      p.push_back({name + (weight ? ".weight" : ".bias"), {s.hidden}, weight ? StartValue::Ones : StartValue::Zeros});
      p.back().norm = true;
    }
  };
  p.push_back({"transformer.wte.weight", {s.vocab, s.hidden}});
  p.push_back({"transformer.wpe.weight", {s.maxPositions, s.hidden}});
  const auto shapes = siteShapesOf(s);
  for (int64_t i = 0; i < s.layers; ++i) {
    const auto prefix = fmt::format("transformer.h.{}.", i);
    const auto linear = [&](int64_t k) {
      const auto& site = shapes[static_cast<size_t>(i * kSites + k)];
      p.push_back({site.name + ".weight", {site.inFeatures, site.outFeatures}});
      p.back().transposed = true;
      // The maps that write into the residual stream start smaller, so that its variance does not grow with the depth.
      if (k == 1 || k == 3) p.back().spread = 1 / std::sqrt(2.0 * static_cast<double>(s.layers));
      p.push_back({site.name + ".bias", {site.outFeatures}, StartValue::Zeros});
    };
    norm(prefix + "ln_1");
    linear(0), linear(1);
    norm(prefix + "ln_2");
    linear(2), linear(3);
  }
  norm("transformer.ln_f");
  addCausalHead(plan, options, s.vocab, s.hidden, s.tied, "transformer.wte.weight");
  return plan;
}

struct Block {
  std::string prefix;
  NormWeights first, second;
  LinearSite *attention = nullptr, *attentionOut = nullptr, *inner = nullptr, *innerOut = nullptr;
};

class Gpt2Model final : public CausalModel {
 public:
  Gpt2Model(nlohmann::json config, const Gpt2Sizes& sizes, const ModelLoadOptions& options) : m_sizes(sizes) {
    describe(std::move(config), options, sizes.hidden, sizes.vocab, sizes.maxPositions, sizes.layers);
    m_learnedPositions = true;
    m_kvHeads = sizes.heads;
    m_headDim = sizes.hidden / sizes.heads;
  }

  void load(const std::filesystem::path& folder, const ModelLoadOptions& options) {
    if (auto filled = fillParameters(folder, weightPlan(m_sizes, options), options, m_parameters, m_report); !filled)
      throw ErrorException(filled.error());
    addSites(siteShapesOf(m_sizes));
    for (int64_t i = 0; i < m_sizes.layers; ++i) {
      const auto* s = m_sites.data() + kSites * i;
      m_blocks.push_back({fmt::format("transformer.h.{}.", i), {}, {}, s[0], s[1], s[2], s[3]});
    }
    rebind();
  }

  const char* family() const override { return "gpt2"; }
  InsertionPlaces insertionPlaces() const override { return preNormPlaces("transformer.h."); }

  void rebind() override {
    bindSites();
    for (auto& block : m_blocks) {
      block.first = normWeights(m_parameters, block.prefix + "ln_1");
      block.second = normWeights(m_parameters, block.prefix + "ln_2");
    }
    m_positions = m_parameters.at("transformer.wpe.weight");
    m_last = normWeights(m_parameters, "transformer.ln_f");
    bindHead("transformer.wte.weight");
  }

 protected:
  at::Tensor embed(const PackedBatch& batch, ForwardContext& context) const override {
    const auto words = m_sites.back()->forward(batch.inputIds, context);
    const auto sum = words + at::embedding(m_positions, batch.positionIds);
    return dropped(sum.to(m_dtype), m_sizes.embeddingDropout, context);
  }

  Stream block(size_t layer, const Stream& in, const Mixer& mix, const at::Tensor& rows,
               ForwardContext& context) const override {
    const auto& block = m_blocks[layer];
    auto x = joined(in);
    auto mixed = mix(block.attention->forward(norm(x, block.first), context), attention(layer, context));
    if (rows.defined()) {
      mixed = mixed.index_select(0, rows);
      x = x.index_select(0, rows);
    }
    const auto attended = dropped(block.attentionOut->forward(mixed, context), m_sizes.residualDropout, context);
    x = x + behind(SubLayer::Attention, layer, attended, x);
    const auto inner = activate(m_sizes.activation, block.inner->forward(norm(x, block.second), context));
    const auto out = dropped(block.innerOut->forward(inner, context), m_sizes.residualDropout, context);
    return {x, behind(SubLayer::FeedForward, layer, out, x)};
  }

  at::Tensor finalNorm(const Stream& stream) const override { return norm(joined(stream), m_last); }

 private:
  static at::Tensor joined(const Stream& in) { return in.update.defined() ? in.residual + in.update : in.residual; }

  at::Tensor norm(const at::Tensor& x, const NormWeights& weights) const {
    return kernels::addLayerNorm(x, {}, weights.weight, weights.bias, m_sizes.eps);
  }

  kernels::AttentionSpec attention(size_t layer, ForwardContext& context) const {
    kernels::AttentionSpec spec;
    spec.heads = spec.kvHeads = m_sizes.heads;
    spec.headDim = m_headDim;
    spec.causal = true;
    spec.scale = m_sizes.scaled ? 1.0 / std::sqrt(static_cast<double>(m_headDim)) : 1.0;
    if (m_sizes.scaledByLayer) spec.scale /= static_cast<double>(layer + 1);
    dropProbabilities(spec, m_sizes.attentionDropout, context);
    return spec;
  }

  Gpt2Sizes m_sizes;
  std::vector<Block> m_blocks;
  at::Tensor m_positions;
  NormWeights m_last;
};

}  // namespace

Result<std::unique_ptr<Model>> loadGpt2(const std::filesystem::path& folder, const nlohmann::json& config,
                                        const ModelLoadOptions& options) {
  return resultOf([&]() -> std::unique_ptr<Model> {
    auto model = std::make_unique<Gpt2Model>(config, readSizes(config), options);
    model->load(folder, options);
    return model;
  });
}

Result<std::vector<SiteShape>> gpt2SiteShapes(const nlohmann::json& config) {
  return resultOf([&] { return siteShapesOf(readSizes(config)); });
}

}  // namespace rankscope
