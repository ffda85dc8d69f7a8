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

std::pair<at::Tensor, at::Tensor> CausalModel::tables(const PackedBatch& batch) const {
  if (!m_rotary) return {};
  return m_tables.at(batch.positionIds, batch.starts);
}

CausalModel::Stream CausalModel::runBlocks(const PackedBatch& batch, ForwardContext& context, const at::Tensor& rows,
                                           std::vector<at::Tensor>* states) {
  check(batch);
  const Mixer mix = [starts = batch.starts, angles = tables(batch)](const at::Tensor& qkv,
                                                                    const kernels::AttentionSpec& spec) {
    return kernels::packedAttention(qkv, starts, angles.first, angles.second, spec);
  };
  const auto start = embed(batch, context);
  if (states) states->push_back(start);
  const auto count = static_cast<size_t>(m_numLayers);
  const auto one = [this, mix, rows, count](size_t i, const std::vector<at::Tensor>& in, ForwardContext& own) {
    const auto out = block(i, {in[0], in[1]}, mix, i + 1 == count ? rows : at::Tensor(), own);
    return std::vector<at::Tensor>{out.residual, out.update};
  };
  const auto seen = [states](const std::vector<at::Tensor>& state) {
    if (states) states->push_back(state[0] + state[1]);
  };
  const auto end = throughBlocks(count, {start, at::Tensor()}, {}, gradientCheckpointing, context, one, seen);
  return {end[0], end[1]};
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
  auto cache = std::make_unique<DecodeCache>();
  cache->capacity = capacity;
  cache->lengths.assign(static_cast<size_t>(sequences), 0);
  const auto options = at::TensorOptions(m_dtype).device(m_device);
  for (int64_t i = 0; i < m_numLayers; ++i) {
    cache->keys.push_back(at::zeros({sequences, capacity, m_kvHeads, m_headDim}, options));
    cache->values.push_back(at::zeros_like(cache->keys.back()));
  }
  return cache;
}

at::Tensor CausalModel::decode(DecodeCache& cache, const std::vector<int64_t>& rows, const PackedBatch& batch) {
  requireHead();
  check(batch);
  const at::NoGradGuard off;
  ForwardContext context;
  const auto angles = tables(batch);
  DecodeStep step(cache, rows, batch, angles.first, angles.second);
  const auto last = batch.tokens() == batch.sequences() ? at::Tensor() : lastTokens(batch);
  Stream stream{embed(batch, context), {}};
  const auto count = static_cast<size_t>(m_numLayers);
  for (size_t i = 0; i < count; ++i) {
    const Mixer mix = [&](const at::Tensor& qkv, const kernels::AttentionSpec& spec) {
      return step.attend(i, qkv, spec);
    };
    stream = block(i, stream, mix, i + 1 == count ? last : at::Tensor(), context);
  }
  step.finish();
  return rowLogits(finalNorm(stream));
}

}  // namespace rankscope
