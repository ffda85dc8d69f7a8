#include "tests/support/fake_model.h"

#include "core/methods/seeded_start.h"

namespace rankscope::test {

namespace {

constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kPatches = "model.patches";

std::string layerName(int64_t layer) { return "model.layers." + std::to_string(layer); }

}  // namespace

FakeModel::FakeModel(const FakeModelOptions& options) : m_moreSites(options.moreSites) {
  m_dtype = options.dtype;
  m_head = options.classification ? HeadKind::SequenceClassification : HeadKind::CausalLm;
  m_hiddenSize = kHidden;
  m_vocabSize = kVocab;
  m_maxPositions = 64;
  m_numLayers = kLayers;
  m_numLabels = options.classification ? kLabels : 0;
  m_config = {{"model_type", "fake"}};

  auto add = [&](const std::string& name, at::IntArrayRef shape, double deviation, double middle = 0) {
    at::Tensor value = at::empty(shape, at::kDouble);
    fillNormal(value, deviation, options.seed, name);
    m_parameters.add(name, value.add_(middle).to(m_dtype));
  };
  auto own = [&](const SiteShape& shape) {
    auto site = std::make_unique<LinearSite>();
    static_cast<SiteShape&>(*site) = shape;
    m_sites.push_back(site.get());
    m_owned.push_back(std::move(site));
  };
  auto addSite = [&](int64_t layer, const std::string& name, int64_t out, int64_t in, bool bias) {
    add(name + ".weight", {out, in}, 0.3);
    if (bias) add(name + ".bias", {out}, 0.1);
    own({name, name.substr(name.rfind('.') + 1), layer, in, out, bias});
  };
  add(kEmbedding, {kVocab, kHidden}, 0.5);
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    const std::string name = layerName(layer);
    add(name + ".input_layernorm.weight", {kHidden}, 0.1, 1.0);
    addSite(layer, name + ".self_attn.q_proj", kHidden, kHidden, true);
    addSite(layer, name + ".mlp.up_proj", kInner, kHidden, false);
    addSite(layer, name + ".mlp.down_proj", kHidden, kInner, false);
  }
  if (m_moreSites) {
    const SiteShape patches = convolutionSite(kPatches, "patches", -1, kHidden, {3, 3, 2, 1});
    add(patches.name + ".weight", patches.parameterShape(), 0.3);
    add(patches.name + ".bias", {kHidden}, 0.1);
    own(patches);
    own(embeddingSite("model.embed_tokens", kVocab, kHidden));
  }
  if (options.classification)
    addSite(-1, "classifier", kLabels, kHidden, true);
  else
    m_parameters.alias("lm_head.weight", kEmbedding);
  rebind();
}

void FakeModel::rebind() { bindSites(); }

std::vector<std::string> FakeModel::headParameters() const {
  if (m_head != HeadKind::SequenceClassification) return {};
  return {"classifier.weight", "classifier.bias"};
}

LinearSite& FakeModel::site(const std::string& name) {
  for (const auto& owned : m_owned)
    if (owned->name == name) return *owned;
  throw std::out_of_range(name);
}

std::vector<at::Tensor> FakeModel::hiddenStates(const PackedBatch& batch, ForwardContext& context) {
  std::vector<at::Tensor> states;
  at::Tensor h = m_moreSites ? site("model.embed_tokens").forward(batch.inputIds, context)
                             : at::embedding(m_parameters.at(kEmbedding), batch.inputIds);
  h = h.to(m_dtype);
  // A token's values as an image of 2 × 2 points.
  if (m_moreSites) h = h + at::tanh(site(kPatches).forward(h.view({-1, 3, 2, 2}), context).flatten(1));
  states.push_back(h);
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    const std::string name = layerName(layer);
    const at::Tensor scale = m_parameters.at(name + ".input_layernorm.weight").to(m_dtype);
    const at::Tensor normed = h * at::rsqrt(h.pow(2).mean(-1, true) + 1e-6) * scale;
    h = h + at::tanh(site(name + ".self_attn.q_proj").forward(normed, context));
    const at::Tensor inner = at::tanh(site(name + ".mlp.up_proj").forward(h, context));
    h = h + site(name + ".mlp.down_proj").forward(inner, context);
    states.push_back(h);
  }
  return states;
}

at::Tensor FakeModel::hidden(const PackedBatch& batch, ForwardContext& context) {
  return hiddenStates(batch, context).back();
}

at::Tensor FakeModel::logits(const PackedBatch& batch, ForwardContext& context) {
  const at::Tensor h = hidden(batch, context);
  const at::ScalarType out = m_dtype == at::kDouble ? at::kDouble : at::kFloat;
  if (m_head == HeadKind::CausalLm) return at::linear(h, m_parameters.at("lm_head.weight").to(m_dtype)).to(out);
  std::vector<at::Tensor> pooled;
  for (int64_t s = 0; s < batch.sequences(); ++s)
    pooled.push_back(
        h.slice(0, batch.starts[static_cast<size_t>(s)], batch.starts[static_cast<size_t>(s) + 1]).mean(0));
  return site("classifier").forward(at::stack(pooled), context).to(out);
}

at::Tensor FakeModel::loss(const PackedBatch& batch, ForwardContext& context, double normaliser) {
  const at::Tensor values = logits(batch, context);
  const at::Tensor sum = at::cross_entropy_loss(values, batch.labels, {}, at::Reduction::Sum, -100);
  return sum / (normaliser > 0 ? normaliser : static_cast<double>((batch.labels != -100).sum().item<int64_t>()));
}

PackedBatch fakeBatch(const Model& model, uint64_t seed) {
  PackedBatch batch;
  batch.starts = {0, 5, 8, 14};
  at::Tensor ids = at::empty({batch.tokens()}, at::kDouble), labels = at::empty({batch.tokens()}, at::kDouble);
  fillUniform(ids, 0.5, seed, "ids");
  fillUniform(labels, 0.5, seed, "labels");
  auto below = [](const at::Tensor& u, int64_t n) {
    return ((u + 0.5) * static_cast<double>(n)).floor().to(at::kLong);
  };
  batch.inputIds = below(ids, FakeModel::kVocab);
  batch.positionIds = at::cat({at::arange(5, at::kLong), at::arange(3, at::kLong), at::arange(6, at::kLong)});
  batch.labels = model.head() == HeadKind::CausalLm ? below(labels, FakeModel::kVocab)
                                                    : below(labels.slice(0, 0, batch.sequences()), FakeModel::kLabels);
  return batch;
}

}  // namespace rankscope::test
