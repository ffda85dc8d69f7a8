#include "core/models/causal_model.h"

#include "core/models/checkpointing.h"
#include "core/models/decode.h"
#include "core/models/layers.h"
#include "core/models/task_loss.h"

namespace rankscope {

namespace {

at::Tensor chosen(const at::Tensor& x, const at::Tensor& rows) {
  return rows.defined() && x.defined() ? x.index_select(0, rows) : x;
}

}  // namespace

void addCausalHead(WeightPlan& plan, const ModelLoadOptions& options, int64_t vocab, int64_t hidden, bool tied,
                   const std::string& embedding) {
  auto& p = plan.parameters;
  switch (options.head) {
    case HeadKind::CausalLm:
      if (tied)
        plan.aliases.emplace_back("lm_head.weight", embedding);
      else
        p.push_back({"lm_head.weight", {vocab, hidden}});
      break;
    case HeadKind::SequenceClassification:
      p.push_back({"score.weight", {options.numLabels, hidden}});
      p.back().isHead = true;
      break;
    case HeadKind::TokenSpan:
      p.push_back({"qa_outputs.weight", {2, hidden}});
      p.back().isHead = true;
      p.push_back({"qa_outputs.bias", {2}, StartValue::Zeros});
      p.back().isHead = true;
      break;
    case HeadKind::None: break;
    default:
      throw ErrorException({ErrorCode::Usage, "the model cannot carry this head", "model.head", "masked tokens",
                            "causal_lm, sequence_classification or answer spans",
                            "Choose a head that reads from left to right, or an encoder."});
  }
}

void refuseQuantised(const ConfigReader& config) {
  if (config.has("quantization_config"))
    config.fail("quantization_config", config.json()["quantization_config"].dump().substr(0, 80), "no entry",
                "The weights are packed by another library; take the model's unquantised checkpoint.");
}

void CausalModel::bindHead(const std::string& embedding) {
  m_device = m_parameters.at(embedding).device();
  if (m_rotary) m_tables.to(m_device);
  switch (m_head) {
    case HeadKind::CausalLm: m_headWeight = m_parameters.at("lm_head.weight"); break;
    case HeadKind::SequenceClassification: m_headWeight = m_parameters.at("score.weight"); break;
    case HeadKind::TokenSpan:
      m_headWeight = m_parameters.at("qa_outputs.weight");
      m_headBias = m_parameters.at("qa_outputs.bias");
      break;
    default: break;
  }
}

std::vector<std::string> CausalModel::headParameters() const {
  if (m_head == HeadKind::SequenceClassification) return {"score.weight"};
  if (m_head == HeadKind::TokenSpan) return {"qa_outputs.weight", "qa_outputs.bias"};
  return {};
}

void CausalModel::requireHead() const {
  if (m_head != HeadKind::CausalLm)
    throw ErrorException({ErrorCode::Usage, "the model was loaded without its language-model head", "model.head",
                          "another head", "causal_lm", "Load the model with the causal language-model head."});
}

void CausalModel::check(const PackedBatch& batch) const {
  checkBatch(batch, m_vocabSize, m_learnedPositions ? m_maxPositions : 0);  // rotary positions have no last one
}

std::pair<at::Tensor, at::Tensor> CausalModel::tables(const at::Tensor& positions,
                                                      const std::vector<int64_t>& starts) const {
  if (!m_rotary) return {};
  return m_tables.at(positions, starts);
}

InsertionPlaces CausalModel::preNormPlaces(const std::string& blocks) const {
  InsertionPlaces places;
  for (int64_t i = 0; i < m_numLayers; ++i) places.blocks.push_back(blocks + std::to_string(i));
  places.attention = "attention_adapters.adapters";
  places.feedForward = "output_adapters.adapters";
  places.keyValueHeads = m_kvHeads;
  places.headDim = m_headDim;
  return places;
}

CausalModel::Stream CausalModel::edited(size_t layer, Stream out, const InsertedPass& pass,
                                        ForwardContext& context) const {
  if (!insertion || !insertion->edits(layer)) return out;
  const at::Tensor rows = insertion->editedRows(pass);
  if (rows.numel() == 0) return out;
  const at::Tensor h = out.residual.index_select(0, rows) + out.update.index_select(0, rows);
  out.update = out.update.index_add(0, rows, insertion->edit(layer, h, pass, context));
  return out;
}

CausalModel::Stream CausalModel::runBlocks(const PackedBatch& given, ForwardContext& context, const at::Tensor& rows,
                                           std::vector<at::Tensor>* states) {
  const int64_t prefix = prefixLength();
  const PackedBatch batch = behindPrefix(given, prefix);
  check(batch);
  const auto inserted = beginInsertion(given, promptLengths(given));
  std::shared_ptr<const PrefixLayout> layout;
  if (prefix > 0) layout = std::make_shared<PrefixLayout>(prefix, given);
  const auto angles = layout ? tables(layout->positions(), layout->starts()) : tables(batch.positionIds, batch.starts);
  const auto count = static_cast<size_t>(m_numLayers);
  // An edit of the last block's output counts rows of the whole batch.
  const bool narrow = rows.defined() && !(insertion && insertion->edits(count - 1));
  const auto one = [this, starts = batch.starts, angles, layout, constants = inserted.constants,
                    last = narrow ? rows : at::Tensor(), count](size_t i, const std::vector<at::Tensor>& in,
                                                                ForwardContext& own) {
    const InsertedPass pass{{in.begin() + 2, in.end()}, constants};
    const Mixer mix = [&](const at::Tensor& qkv, const kernels::AttentionSpec& spec) {
      if (!layout) return kernels::packedAttention(qkv, starts, angles.first, angles.second, spec);
      const auto longer = layout->extended(qkv, insertion->prefix(i, pass));
      return layout->real(kernels::packedAttention(longer, layout->starts(), angles.first, angles.second, spec));
    };
    const auto out = edited(i, block(i, {in[0], in[1]}, mix, i + 1 == count ? last : at::Tensor(), own), pass, own);
    return std::vector<at::Tensor>{out.residual, out.update};
  };
  const auto start = embed(batch, context);
  if (states) states->push_back(start);
  const auto seen = [states](const std::vector<at::Tensor>& state) {
    if (states) states->push_back(state[0] + state[1]);
  };
  const auto end =
      throughBlocks(count, {start, at::Tensor()}, inserted.tracked, gradientCheckpointing, context, one, seen);
  return narrow ? Stream{end[0], end[1]} : Stream{chosen(end[0], rows), chosen(end[1], rows)};
}

at::Tensor CausalModel::hidden(const PackedBatch& batch, ForwardContext& context) {
  return finalNorm(runBlocks(batch, context, {}, nullptr));
}

std::vector<at::Tensor> CausalModel::hiddenStates(const PackedBatch& batch, ForwardContext& context) {
  std::vector<at::Tensor> states;
  states.back() = finalNorm(runBlocks(batch, context, {}, &states));
  return states;
}

at::Tensor CausalModel::rowLogits(const at::Tensor& hidden) const {
  return kernels::linear(hidden, m_headWeight, m_headBias).to(sumType(m_dtype));
}

at::Tensor CausalModel::logits(const PackedBatch& batch, ForwardContext& context) {
  if (m_head == HeadKind::None) requireHead();
  const bool perSequence = m_head == HeadKind::SequenceClassification;
  return rowLogits(finalNorm(runBlocks(batch, context, perSequence ? lastTokens(batch) : at::Tensor(), nullptr)));
}

at::Tensor CausalModel::logitsAt(const PackedBatch& batch, const at::Tensor& rows, ForwardContext& context) {
  if (m_head == HeadKind::SequenceClassification) return Model::logitsAt(batch, rows, context);
  if (m_head == HeadKind::None) requireHead();
  return rowLogits(finalNorm(runBlocks(batch, context, rows, nullptr)));
}

at::Tensor CausalModel::vocabularyLogits(const at::Tensor& hidden) const {
  requireHead();
  return rowLogits(hidden);
}

at::Tensor CausalModel::loss(const PackedBatch& batch, ForwardContext& context, double normaliser) {
  if (m_head == HeadKind::SequenceClassification)
    return classificationLoss(logits(batch, context), batch.labels, normaliser);
  if (m_head == HeadKind::TokenSpan) return spanLoss(logits(batch, context), batch, normaliser);
  requireHead();
  const auto rows = labelledRows(batch.labels);
  const auto stream = runBlocks(batch, context, rows, nullptr);
  return kernels::linearCrossEntropy(finalNorm(stream), m_headWeight, chosen(batch.labels, rows), normaliser);
}

std::unique_ptr<DecodeCache> CausalModel::newDecodeCache(int64_t sequences, int64_t capacity) const {
  requireHead();
  const at::NoGradGuard off;
  const int64_t prefix = prefixLength();
  auto cache = std::make_unique<DecodeCache>();
  cache->capacity = capacity + prefix;
  cache->lengths.assign(static_cast<size_t>(sequences), prefix);
  const auto options = at::TensorOptions(m_dtype).device(m_device);
  const auto inserted = beginInsertion({}, {});
  for (int64_t i = 0; i < m_numLayers; ++i) {
    cache->keys.push_back(at::zeros({sequences, cache->capacity, m_kvHeads, m_headDim}, options));
    cache->values.push_back(at::zeros_like(cache->keys.back()));
    if (prefix == 0) continue;
    const auto rows = insertion->prefix(static_cast<size_t>(i), inserted).view({prefix, 2, m_kvHeads, m_headDim});
    cache->keys.back().narrow(1, 0, prefix).copy_(rows.select(1, 0));
    cache->values.back().narrow(1, 0, prefix).copy_(rows.select(1, 1));
  }
  return cache;
}

at::Tensor CausalModel::decode(DecodeCache& cache, const std::vector<int64_t>& rows, const PackedBatch& batch) {
  requireHead();
  check(batch);
  const at::NoGradGuard off;
  ForwardContext context;
  // What comes first is the prompt; what follows was generated.
  std::vector<int64_t> prompts;
  for (size_t s = 0; s < rows.size(); ++s)
    prompts.push_back(cache.lengths.at(static_cast<size_t>(rows[s])) > prefixLength() ? 0 : batch.starts[s + 1] - batch.starts[s]);
  const auto inserted = prefixLength() > 0 ? InsertedPass{} : beginInsertion(batch, prompts);  // the cache holds a prefix
  const auto angles = tables(batch.positionIds, batch.starts);
  DecodeStep step(cache, rows, batch, angles.first, angles.second);
  const auto last = batch.tokens() == batch.sequences() ? at::Tensor() : lastTokens(batch);
  Stream stream{embed(batch, context), {}};
  const auto count = static_cast<size_t>(m_numLayers);
  const bool narrow = !(insertion && insertion->edits(count - 1));
  for (size_t i = 0; i < count; ++i) {
    const Mixer mix = [&](const at::Tensor& qkv, const kernels::AttentionSpec& spec) {
      return step.attend(i, qkv, spec);
    };
    stream = edited(i, block(i, stream, mix, narrow && i + 1 == count ? last : at::Tensor(), context), inserted, context);
  }
  step.finish();
  if (!narrow) stream = {chosen(stream.residual, last), chosen(stream.update, last)};
  return rowLogits(finalNorm(stream));
}

}  // namespace rankscope
