#include "core/models/encoder.h"

#include <fmt/format.h>

#include <cmath>

#include "core/models/checkpointing.h"
#include "core/models/task_loss.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

std::string lastPart(const std::string& path) { return path.substr(path.rfind('.') + 1); }

void addNorm(WeightPlan& plan, const std::string& name, int64_t width) {
  for (const bool weight : {true, false}) {
    plan.parameters.push_back(
        {name + (weight ? ".weight" : ".bias"), {width}, weight ? StartValue::Ones : StartValue::Zeros});
    plan.parameters.back().norm = true;
  }
}

}  // namespace

EncoderSizes readEncoderSizes(const ConfigReader& r, EncoderSizes s) {
  s.vocab = r.integer("vocab_size", s.vocab, 1, kMaxConfigSize);
  s.hidden = r.integer("hidden_size", s.hidden, 1, kMaxConfigSize);
  s.embedding = r.integer("embedding_size", s.hidden, 1, kMaxConfigSize);
  s.inner = r.integer("intermediate_size", s.inner, 1, kMaxConfigSize);
  s.layers = r.integer("num_hidden_layers", s.layers, 1, 4096);
  s.heads = r.integer("num_attention_heads", s.heads, 1, 1 << 16);
  if (s.hidden % s.heads != 0)
    r.fail("num_attention_heads", std::to_string(s.heads), fmt::format("a divisor of hidden_size {}", s.hidden),
           kTakeConfigAgain);
  s.positions = s.maxPositions = r.integer("max_position_embeddings", s.positions, 1, kMaxConfigSize);
  s.types = r.integer("type_vocab_size", s.types, 0, kMaxConfigSize);
  s.padId = r.integer("pad_token_id", s.padId, -1, kMaxConfigSize);
  s.eps = r.real("layer_norm_eps", s.eps, 0, 1);
  s.initializerRange = r.real("initializer_range", s.initializerRange, 0, 1e3);
  s.hiddenDropout = r.real("hidden_dropout_prob", s.hiddenDropout, 0, 0.999);
  s.attentionDropout = r.real("attention_probs_dropout_prob", s.attentionDropout, 0, 0.999);
  s.headDropout = r.real("classifier_dropout", s.hiddenDropout, 0, 0.999);
  s.tied = r.flag("tie_word_embeddings", true);
  s.activation = readActivation(r, "hidden_act", "gelu");
  const auto positions = r.text("position_embedding_type", "absolute");
  if (positions != "absolute")
    r.fail("position_embedding_type", positions, "absolute", "Choose a model with absolute positions.");
  if (r.flag("is_decoder", false))
    r.fail("is_decoder", "true", "false", "Choose a model that was trained as an encoder.");
  return s;
}

void countPositionsBehindPadding(const ConfigReader& r, EncoderSizes& s) {
  s.firstPosition = s.padId + 1;
  s.maxPositions = s.positions - s.firstPosition;
  if (s.maxPositions < 1)
    r.fail("max_position_embeddings", std::to_string(s.positions), fmt::format("more than {}", s.firstPosition),
           kTakeConfigAgain);
}

HeadPlan robertaHead(const std::string& base, const EncoderSizes& s, const ModelLoadOptions& options) {
  HeadPlan head;
  head.kind = options.head;
  head.in = head.inner = s.hidden;
  head.eps = s.eps;
  if (options.head == HeadKind::SequenceClassification) {
    head.dense = "classifier.dense";
    head.denseDropout = head.outDropout = s.headDropout;
    head.out = "classifier.out_proj";
    head.outputs = options.numLabels;
  } else if (options.head == HeadKind::TokenSpan) {
    head.out = "qa_outputs";
    head.outputs = 2;
  } else if (options.head == HeadKind::MaskedLm) {
    head.dense = "lm_head.dense";
    head.activation = Activation::Gelu;
    head.norm = "lm_head.layer_norm";
    head.out = "lm_head.decoder";
    head.outputs = s.vocab;
    if (s.tied) {
      head.outBias = "lm_head.bias";
      head.tiedTo = base + ".embeddings.word_embeddings.weight";
    }
  }
  return head;
}

std::vector<SiteShape> encoderSites(const EncoderNames& names, const EncoderSizes& s, const TaskHead& head) {
  std::vector<SiteShape> shapes;
  for (int64_t i = 0; i < s.layers; ++i) {
    const auto add = [&](const std::string& path, int64_t in, int64_t out) {
      shapes.push_back({fmt::format("{}.encoder.layer.{}.{}", names.base, i, path), lastPart(path), i, in, out, true});
    };
    for (const char* path : {names.query, names.key, names.value}) add(path, s.hidden, s.hidden);
    for (const char* path : names.moreAttention) add(path, s.hidden, s.hidden);
    add(names.attentionOut, s.hidden, s.hidden);
    add("intermediate.dense", s.hidden, s.inner);
    add("output.dense", s.inner, s.hidden);
  }
  shapes.push_back(embeddingSite(names.base + ".embeddings.word_embeddings", s.vocab, s.embedding));
  for (auto& site : head.sites()) shapes.push_back(std::move(site));
  return shapes;
}

EncoderModel::EncoderModel(nlohmann::json config, EncoderNames names, const EncoderSizes& sizes, HeadPlan head,
                           const ModelLoadOptions& options)
    : m_names(std::move(names)), m_sizes(sizes), m_taskHead(std::move(head)) {
  m_family = config.value("model_type", std::string());
  describe(std::move(config), options, sizes.hidden, sizes.vocab, sizes.maxPositions, sizes.layers);
}

WeightPlan EncoderModel::weightPlan() const {
  const auto& s = m_sizes;
  const auto base = m_names.base + ".";
  WeightPlan plan;
  plan.basePrefix = base;
  plan.ignoredSuffixes = {"embeddings.position_ids", "embeddings.token_type_ids"};
  plan.oldSuffixes = {{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}};
  plan.initializerRange = s.initializerRange;
  auto& p = plan.parameters;
  p.push_back({base + "embeddings.word_embeddings.weight", {s.vocab, s.embedding}});
  p.back().zeroRow = s.padId;
  if (s.positions > 0) {
    p.push_back({base + "embeddings.position_embeddings.weight", {s.positions, s.embedding}});
    p.back().zeroRow = s.firstPosition - 1;  // where positions count from behind the padding's
  }
  if (s.types > 0) p.push_back({base + "embeddings.token_type_embeddings.weight", {s.types, s.embedding}});
  if (s.embedding != s.hidden) p.push_back({base + "embeddings.embed_proj.weight", {s.hidden, s.embedding}});
  addNorm(plan, base + "embeddings.LayerNorm", s.hidden);
  const auto shapes = encoderSites(m_names, s, m_taskHead);
  const auto perBlock = 6 + m_names.moreAttention.size();
  for (int64_t i = 0; i < s.layers; ++i) {
    const auto prefix = fmt::format("{}encoder.layer.{}.", base, i);
    const auto* site = shapes.data() + static_cast<int64_t>(perBlock) * i;
    const auto weight = [&](size_t k) {
      p.push_back({site[k].name + ".weight", {site[k].outFeatures, site[k].inFeatures}});
      if (k < 3) p.back().stack = prefix + "qkv";
    };
    const auto bias = [&](size_t k) {
      p.push_back({site[k].name + ".bias", {site[k].outFeatures}, StartValue::Zeros});
    };
    for (size_t k = 0; k < 3; ++k) weight(k);
    for (size_t k = 0; k < 3; ++k) bias(k);
    for (size_t k = 3; k < perBlock - 2; ++k) weight(k), bias(k);
    addNorm(plan, prefix + m_names.attentionNorm, s.hidden);
    for (size_t k = perBlock - 2; k < perBlock; ++k) weight(k), bias(k);
    addNorm(plan, prefix + "output.LayerNorm", s.hidden);
  }
  planMore(plan);
  m_taskHead.addTo(plan);
  return plan;
}

Result<void> EncoderModel::load(const std::filesystem::path& folder, const ModelLoadOptions& options) {
  if (auto filled = fillParameters(folder, weightPlan(), options, m_parameters, m_report); !filled) return filled;
  addSites(encoderSites(m_names, m_sizes, m_taskHead));
  const auto more = m_names.moreAttention.size();
  const auto* s = m_sites.data();
  for (int64_t i = 0; i < m_sizes.layers; ++i) {
    EncoderBlock block;
    block.prefix = fmt::format("{}.encoder.layer.{}.", m_names.base, i);
    block.qkv = SiteGroup({s[0], s[1], s[2]});
    block.query = s[0];
    block.key = s[1];
    s += 3;
    block.moreAttention.assign(s, s + more);
    s += more;
    block.attentionOut = *s++;
    block.inner = *s++;
    block.out = *s++;
    m_blocks.push_back(std::move(block));
  }
  m_words = *s;
  m_words->paddingRow = m_sizes.padId;
  rebind();
  return {};
}

void EncoderModel::rebind() {
  bindSites();
  for (auto& block : m_blocks) {
    block.attentionNorm = normWeights(m_parameters, block.prefix + m_names.attentionNorm);
    block.outNorm = normWeights(m_parameters, block.prefix + "output.LayerNorm");
    block.qkv.rebind();
  }
  const auto embeddings = m_names.base + ".embeddings.";
  const auto find = [&](const char* name) {
    const auto full = embeddings + name;
    return m_parameters.contains(full) ? m_parameters.at(full) : at::Tensor();
  };
  m_embeddingNorm = normWeights(m_parameters, embeddings + "LayerNorm");
  m_positions = find("position_embeddings.weight");
  m_types = find("token_type_embeddings.weight");
  m_embeddingMap = find("embed_proj.weight");
  bindMore();
  const bool pooler = m_taskHead.plan().denseIsSite && !m_taskHead.plan().dense.empty();
  m_taskHead.bind(m_parameters, pooler ? m_sites.back() : nullptr);
}

RelativeSpec EncoderModel::attentionSpec(ForwardContext& context) const {
  RelativeSpec spec;
  spec.heads = m_sizes.heads;
  spec.headDim = m_sizes.hidden / m_sizes.heads;
  spec.scale = 1.0 / std::sqrt(m_sizes.attentionFactor * static_cast<double>(spec.headDim));
  dropProbabilities(spec, m_sizes.attentionDropout, context);
  return spec;
}

InsertionPlaces EncoderModel::insertionPlaces() const {
  InsertionPlaces places;
  for (const EncoderBlock& block : m_blocks) places.blocks.push_back(block.prefix.substr(0, block.prefix.size() - 1));
  places.attention = "attention.output.adapters";
  places.feedForward = "output.adapters";
  places.postNorm = true;
  if (takesPrefix()) {
    places.keyValueHeads = m_sizes.heads;
    places.headDim = m_sizes.hidden / m_sizes.heads;
  }
  return places;
}

at::Tensor EncoderModel::join(SubLayer part, size_t layer, const at::Tensor& x, const at::Tensor& residual,
                              const NormWeights& norm, ForwardContext& context) const {
  if (insertion && insertion->follows(part, layer)) {
    const auto normed = [&](const at::Tensor& sum) {
      return kernels::addLayerNorm(sum, {}, norm.weight, norm.bias, m_sizes.eps);
    };
    const auto h = insertion->behind(part, layer, dropped(x, m_sizes.hiddenDropout, context), residual, normed);
    return kernels::addLayerNorm(h, residual, norm.weight, norm.bias, m_sizes.eps);
  }
  const double p = context.training ? m_sizes.hiddenDropout : 0;
  return kernels::addLayerNorm(x, residual, norm.weight, norm.bias, m_sizes.eps, p, maskSeed(context),
                               context.nextPlace++);
}

at::Tensor EncoderModel::attend(const EncoderBlock& block, const at::Tensor& in, const PackedBatch& batch,
                                const Relative& relative, ForwardContext& context) const {
  const auto qkv = block.qkv.forward(in, context);
  const auto own = attentionSpec(context);
  kernels::AttentionSpec spec;
  spec.heads = spec.kvHeads = own.heads;
  spec.headDim = own.headDim;
  spec.scale = own.scale;
  spec.dropoutP = own.dropoutP;
  spec.seed = own.seed;
  spec.place = own.place;
  if (!relative.layout) return kernels::packedAttention(qkv, batch.starts, {}, {}, spec);
  const auto& layout = *relative.layout;
  return layout.real(
      kernels::packedAttention(layout.extended(qkv, relative.prefix), layout.starts(), {}, {}, spec));
}

at::Tensor EncoderModel::runBlock(size_t index, const at::Tensor& in, const PackedBatch& batch,
                                  const Relative& relative, const at::Tensor& rows, ForwardContext& context) const {
  const auto& block = m_blocks[index];
  auto mixed = attend(block, in, batch, relative, context);
  auto residual = in;
  if (rows.defined()) {
    mixed = mixed.index_select(0, rows);
    residual = residual.index_select(0, rows);
  }
  const auto attended = join(SubLayer::Attention, index, block.attentionOut->forward(mixed, context), residual,
                             block.attentionNorm, context);
  const auto inner = activate(m_sizes.activation, block.inner->forward(attended, context));
  const auto out =
      join(SubLayer::FeedForward, index, block.out->forward(inner, context), attended, block.outNorm, context);
  return finishBlock(index, in, out, batch, rows, context);
}

at::Tensor EncoderModel::embed(const PackedBatch& batch, ForwardContext& context) const {
  const auto wide = sumType(m_dtype);
  auto sum = m_words->forward(batch.inputIds, context).to(wide);
  if (m_positions.defined()) sum = sum + at::embedding(m_positions, batch.positionIds + m_sizes.firstPosition);
  if (m_types.defined()) {
    const auto types = batch.tokenTypeIds.defined() ? batch.tokenTypeIds : at::zeros_like(batch.inputIds);
    if (types.numel() > 0 && (types.min().item<int64_t>() < 0 || types.max().item<int64_t>() >= m_sizes.types))
      throw ErrorException({ErrorCode::BadInput, "a token type that the model does not know", "batch",
                            std::to_string(types.max().item<int64_t>()), fmt::format("below {}", m_sizes.types),
                            "Use the tokenizer that belongs to this model."});
    sum = sum + at::embedding(m_types, types);
  }
  sum = sum.to(m_dtype);
  if (m_embeddingMap.defined()) sum = kernels::linear(sum, m_embeddingMap, {});
  const auto normed = kernels::addLayerNorm(sum, {}, m_embeddingNorm.weight, m_embeddingNorm.bias, m_sizes.eps);
  return dropped(normed, m_sizes.hiddenDropout, context);
}

// `rows`: the tokens whose last output anyone reads; undefined for all.
at::Tensor EncoderModel::runBlocks(const PackedBatch& given, ForwardContext& context, const at::Tensor& rows,
                                   std::vector<at::Tensor>* states) {
  const int64_t prefix = prefixLength();
  const PackedBatch batch = behindPrefix(given, prefix);
  checkBatch(batch, m_vocabSize, m_sizes.maxPositions);
  const auto x = embed(batch, context);
  if (states) states->push_back(x);
  const auto extra = relative(batch);
  const auto last = m_blocks.size() - 1;
  const auto inserted = beginInsertion(given, promptLengths(given));
  std::shared_ptr<const PrefixLayout> layout;
  if (prefix > 0) layout = std::make_shared<PrefixLayout>(prefix, given);
  auto shared = extra.tables;
  shared.insert(shared.end(), inserted.tracked.begin(), inserted.tracked.end());
  // An edit of the last block's output counts rows of the whole batch.
  const bool narrow = rows.defined() && !(insertion && insertion->edits(last));
  const auto block = [this, batch, index = extra.index, wanted = narrow ? rows : at::Tensor(), last, layout,
                      constants = inserted.constants, tables = static_cast<int64_t>(extra.tables.size())](
                         size_t i, const std::vector<at::Tensor>& in, ForwardContext& own) {
    const InsertedPass pass{{in.begin() + 1 + tables, in.end()}, constants};
    const Relative reads{{in.begin() + 1, in.begin() + 1 + tables}, index, layout,
                         layout ? insertion->prefix(i, pass) : at::Tensor()};
    auto out = runBlock(i, in[0], batch, reads, i == last ? wanted : at::Tensor(), own);
    if (insertion && insertion->edits(i))
      if (const at::Tensor chosen = insertion->editedRows(pass); chosen.numel() > 0)
        out = out.index_add(0, chosen, insertion->edit(i, out.index_select(0, chosen), pass, own));
    return std::vector<at::Tensor>{out};
  };
  std::function<void(const std::vector<at::Tensor>&)> seen;
  if (states) seen = [states](const std::vector<at::Tensor>& state) { states->push_back(state.front()); };
  const auto out =
      throughBlocks(m_blocks.size(), {x}, shared, gradientCheckpointing, context, block, seen).front();
  return rows.defined() && !narrow ? out.index_select(0, rows) : out;
}

at::Tensor EncoderModel::hidden(const PackedBatch& batch, ForwardContext& context) {
  return runBlocks(batch, context, {}, nullptr);
}

std::vector<at::Tensor> EncoderModel::hiddenStates(const PackedBatch& batch, ForwardContext& context) {
  std::vector<at::Tensor> states;
  runBlocks(batch, context, {}, &states);
  return states;
}

void EncoderModel::requireHead() const {
  if (m_taskHead.plan().kind == HeadKind::None)
    throw ErrorException({ErrorCode::Usage, "the model was loaded without a head", "model.head", "none",
                          "sequence_classification, masked_lm or token_span", "Load the model with a head."});
}

at::Tensor EncoderModel::logits(const PackedBatch& batch, ForwardContext& context) {
  requireHead();
  const auto rows = m_head == HeadKind::SequenceClassification ? firstTokens(batch) : at::Tensor();
  return m_taskHead.forward(runBlocks(batch, context, rows, nullptr), context);
}

at::Tensor EncoderModel::logitsAt(const PackedBatch& batch, const at::Tensor& rows, ForwardContext& context) {
  requireHead();
  if (m_head == HeadKind::SequenceClassification) return Model::logitsAt(batch, rows, context);
  return m_taskHead.forward(runBlocks(batch, context, rows, nullptr), context);
}

at::Tensor EncoderModel::loss(const PackedBatch& batch, ForwardContext& context, double normaliser) {
  requireHead();
  if (m_head == HeadKind::SequenceClassification)
    return classificationLoss(logits(batch, context), batch.labels, normaliser);
  if (m_head == HeadKind::TokenSpan) return spanLoss(logits(batch, context), batch, normaliser);
  const auto rows = labelledRows(batch.labels);
  const auto labels = rows.defined() ? batch.labels.index_select(0, rows) : batch.labels;
  return m_taskHead.maskedLoss(runBlocks(batch, context, rows, nullptr), labels, normaliser, context);
}

}  // namespace rankscope
