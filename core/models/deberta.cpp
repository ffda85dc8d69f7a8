#include "core/models/deberta.h"

#include <fmt/format.h>

#include "core/models/encoder.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

struct DebertaSettings {
  EncoderSizes sizes;
  bool relative = false, contentToPosition = false, positionToContent = false, sharedKey = false, normTable = false;
  int64_t buckets = -1, reach = 512, span = 512;  // span: rows of the distance table on each side
  int64_t convWidth = 0, convGroups = 1;
  Activation convActivation = Activation::Tanh, poolerActivation = Activation::Gelu;
  double poolerDropout = 0;
  bool legacyHead = true;

  bool ownMaps() const { return relative && !sharedKey; }
};

// "c2p|p2c" or a list.
void readAttentionTypes(const ConfigReader& r, DebertaSettings& s) {
  std::vector<std::string> types;
  if (r.has("pos_att_type")) {
    const auto& entry = r.json()["pos_att_type"];
    if (entry.is_array()) {
      for (const auto& one : entry) types.push_back(one.is_string() ? one.get<std::string>() : one.dump());
    } else {
      auto text = r.text("pos_att_type", "");
      for (size_t end; !text.empty(); text = end == std::string::npos ? "" : text.substr(end + 1)) {
        end = text.find('|');
        auto one = text.substr(0, end);
        one.erase(0, one.find_first_not_of(' '));
        one.erase(one.find_last_not_of(' ') + 1);
        for (auto& c : one) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        types.push_back(one);
      }
    }
  }
  for (const auto& type : types) {
    if (type == "c2p")
      s.contentToPosition = true;
    else if (type == "p2c")
      s.positionToContent = true;
    else
      r.fail("pos_att_type", type.substr(0, 40), "c2p and p2c", "This kind of attention is not supported.");
  }
}

DebertaSettings readSettings(const nlohmann::json& config) {
  const ConfigReader r(config, "config.json");
  DebertaSettings s;
  EncoderSizes standard;
  standard.vocab = 128100;
  standard.hidden = 1536;
  standard.inner = 6144;
  standard.layers = standard.heads = 24;
  standard.positions = 512;
  standard.eps = 1e-7;
  s.sizes = readEncoderSizes(r, standard);
  s.sizes.headDropout = r.real("cls_dropout", s.sizes.hiddenDropout, 0, 0.999);
  s.relative = r.flag("relative_attention", false);
  readAttentionTypes(r, s);
  s.sizes.attentionFactor = 1.0 + (s.contentToPosition ? 1 : 0) + (s.positionToContent ? 1 : 0);
  s.sharedKey = r.flag("share_att_key", false);
  s.buckets = r.integer("position_buckets", -1, -1, 1 << 20);
  if (s.buckets == 1) r.fail("position_buckets", "1", "2 or more, or -1 for none", "Check the model.");
  s.reach = r.integer("max_relative_positions", -1, -1, 1 << 20);
  if (s.reach < 1) s.reach = s.sizes.positions;
  s.span = s.buckets > 0 ? s.buckets : s.reach;
  s.normTable = r.text("norm_rel_ebd", "none").find("layer_norm") != std::string::npos;
  if (!r.flag("position_biased_input", true)) s.sizes.positions = 0;
  const auto width = r.integer("attention_head_size", s.sizes.hidden / s.sizes.heads, 1, 1 << 20);
  if (width * s.sizes.heads != s.sizes.hidden)
    r.fail("attention_head_size", std::to_string(width), fmt::format("{}", s.sizes.hidden / s.sizes.heads),
           "Heads of another width are not supported.");
  s.convWidth = r.integer("conv_kernel_size", 0, 0, 255);
  if (s.convWidth > 0 && s.convWidth % 2 == 0)
    r.fail("conv_kernel_size", std::to_string(s.convWidth), "an odd number", "Check the model.");
  s.convGroups = r.integer("conv_groups", 1, 1, 1 << 16);
  if (s.sizes.hidden % s.convGroups != 0)
    r.fail("conv_groups", std::to_string(s.convGroups), fmt::format("a divisor of {}", s.sizes.hidden),
           "Check the model.");
  s.convActivation = readActivation(r, "conv_act", "tanh");
  s.poolerActivation = readActivation(r, "pooler_hidden_act", "gelu");
  s.poolerDropout = r.real("pooler_dropout", 0.0, 0, 0.999);
  if (const auto pooler = r.integer("pooler_hidden_size", s.sizes.hidden, 1, 1 << 24); pooler != s.sizes.hidden)
    r.fail("pooler_hidden_size", std::to_string(pooler), std::to_string(s.sizes.hidden), "Check the model.");
  s.legacyHead = r.flag("legacy", true);
  return s;
}

EncoderNames debertaNames(const DebertaSettings& s) {
  EncoderNames names{"deberta"};
  names.query = "attention.self.query_proj";
  names.key = "attention.self.key_proj";
  names.value = "attention.self.value_proj";
  if (s.ownMaps() && s.contentToPosition) names.moreAttention.push_back("attention.self.pos_key_proj");
  if (s.ownMaps() && s.positionToContent) names.moreAttention.push_back("attention.self.pos_query_proj");
  return names;
}

HeadPlan debertaHead(const DebertaSettings& s, const ModelLoadOptions& options) {
  HeadPlan head;
  head.kind = options.head;
  head.in = head.inner = s.sizes.hidden;
  head.eps = s.sizes.eps;
  if (options.head == HeadKind::SequenceClassification) {
    head.dense = "pooler.dense";
    head.denseIsSite = true;
    head.activation = s.poolerActivation;
    head.denseDropout = s.poolerDropout;
    head.outDropout = s.sizes.headDropout;
    head.out = "classifier";
    head.outputs = options.numLabels;
  } else if (options.head == HeadKind::TokenSpan) {
    head.out = "qa_outputs";
    head.outputs = 2;
  } else if (options.head == HeadKind::MaskedLm) {
    // What transformers calls legacy is BERT's head; the other is the one of the authors' own checkpoints.
    const std::string stem = s.legacyHead ? "cls.predictions." : "lm_predictions.lm_head.";
    head.dense = stem + (s.legacyHead ? "transform.dense" : "dense");
    head.norm = stem + (s.legacyHead ? "transform.LayerNorm" : "LayerNorm");
    head.activation = s.sizes.activation;
    head.inner = s.sizes.embedding;
    head.outputs = s.sizes.vocab;
    if (!s.legacyHead || s.sizes.tied) {
      head.tiedTo = "deberta.embeddings.word_embeddings.weight";
      head.outBias = stem + "bias";
    }
    head.out = s.legacyHead ? "cls.predictions.decoder" : "deberta.embeddings.word_embeddings";
  }
  return head;
}

// Row of the distance table for i - j = 1 - longest … longest - 1: itself while it is near, then logarithmic buckets
// that reach `reach` (the paper's A.5), in float32 as published so that the steps lie at the same places.
at::Tensor distanceRows(const DebertaSettings& s, int64_t longest) {
  const auto apart = at::arange(1 - longest, longest, at::kLong);
  auto bucket = apart;
  if (s.buckets > 0 && s.reach > 0) {
    const auto middle = s.buckets / 2;
    const auto distance = apart.abs().clamp_min(middle - 1).to(at::kFloat);
    const auto whole =
        at::log(at::scalar_tensor(static_cast<double>(s.reach - 1) / static_cast<double>(middle), at::kFloat));
    const auto far = at::ceil(at::log(distance / middle) / whole * (middle - 1)) + middle;
    bucket = at::where(apart.abs() <= middle, apart.to(at::kFloat), far * apart.sign()).to(at::kLong);
  }
  return (bucket + s.span).clamp(0, 2 * s.span - 1);
}

class DebertaModel final : public EncoderModel {
 public:
  DebertaModel(const nlohmann::json& config, const ModelLoadOptions& options)
      : DebertaModel(config, readSettings(config), options) {}

 private:
  DebertaModel(const nlohmann::json& config, const DebertaSettings& settings, const ModelLoadOptions& options)
      : EncoderModel(config, debertaNames(settings), settings.sizes, debertaHead(settings, options), options),
        m_settings(settings) {}

  void planMore(WeightPlan& plan) const override {
    const auto hidden = m_sizes.hidden;
    const auto norm = [&](const std::string& name) {
      plan.parameters.push_back({name + ".weight", {hidden}, StartValue::Ones, false, true});
      plan.parameters.push_back({name + ".bias", {hidden}, StartValue::Zeros, false, true});
    };
    if (m_settings.relative) plan.parameters.push_back({kTable, {2 * m_settings.span, hidden}});
    if (m_settings.normTable) norm("deberta.encoder.LayerNorm");
    if (m_settings.convWidth == 0) return;
    plan.parameters.push_back(
        {"deberta.encoder.conv.conv.weight", {hidden, hidden / m_settings.convGroups, m_settings.convWidth}});
    plan.parameters.push_back({"deberta.encoder.conv.conv.bias", {hidden}, StartValue::Zeros});
    norm("deberta.encoder.conv.LayerNorm");
  }

  void bindMore() override {
    if (m_settings.relative) m_table = m_parameters.at(kTable);
    if (m_settings.normTable) m_tableNorm = normWeights(m_parameters, "deberta.encoder.LayerNorm");
    if (m_settings.convWidth == 0) return;
    m_convWeight = m_parameters.at("deberta.encoder.conv.conv.weight");
    m_convBias = m_parameters.at("deberta.encoder.conv.conv.bias");
    m_convNorm = normWeights(m_parameters, "deberta.encoder.conv.LayerNorm");
  }

  // The rows of the table that the batch's distances reach, and where each pair finds its own among them.
  bool takesPrefix() const override { return false; }

  Relative relative(const PackedBatch& batch) const override {
    if (!usesPositions()) return {};
    const auto rows = distanceRows(m_settings, longestSequence(batch.starts));
    const auto first = rows[0].item<int64_t>(), count = rows[-1].item<int64_t>() - first + 1;
    auto table = m_table.narrow(0, first, count).to(m_dtype);
    if (m_settings.normTable) table = kernels::addLayerNorm(table, {}, m_tableNorm.weight, m_tableNorm.bias, m_sizes.eps);
    return {{table}, relativeIndex(rows - first).to(m_table.device())};
  }

  at::Tensor attend(const EncoderBlock& block, const at::Tensor& in, const PackedBatch& batch, const Relative& relative,
                    ForwardContext& context) const override {
    if (!usesPositions()) return EncoderModel::attend(block, in, batch, relative, context);
    const auto qkv = block.qkv.forward(in, context);
    const auto table = dropped(relative.tables.front(), m_sizes.hiddenDropout, context);
    RelativeTerms terms;
    terms.index = relative.index;
    size_t next = 0;
    const auto map = [&](LinearSite* shared) {
      return (m_settings.sharedKey ? shared : block.moreAttention[next++])->forward(table, context);
    };
    if (m_settings.contentToPosition) terms.keys = map(block.key);
    if (m_settings.positionToContent) terms.queries = map(block.query);
    return relativeAttention(qkv, batch.starts, terms, attentionSpec(context));
  }

  // norm(out + act(conv(in))) behind the first block, `in` being the embeddings. Sequences are laid out with as many zeros
  // between them as the kernel looks to one side, which is what padding each of them would show it.
  at::Tensor finishBlock(size_t index, const at::Tensor& in, const at::Tensor& out, const PackedBatch& batch,
                         const at::Tensor& rows, ForwardContext& context) const override {
    if (index != 0 || m_settings.convWidth == 0) return out;
    const auto gap = (m_settings.convWidth - 1) / 2;
    std::vector<at::Tensor> pieces;
    const auto zeros = at::zeros({gap, in.size(1)}, in.options());
    auto places = at::empty({batch.tokens()}, at::kLong);
    for (size_t s = 0; s + 1 < batch.starts.size(); ++s) {
      const auto begin = batch.starts[s], length = batch.starts[s + 1] - begin;
      pieces.push_back(zeros);
      pieces.push_back(in.narrow(0, begin, length));
      const auto first = begin + static_cast<int64_t>(s) * gap;
      places.narrow(0, begin, length).copy_(at::arange(first, first + length, at::kLong));
    }
    pieces.push_back(zeros);
    const auto type = in.scalar_type();
    const auto spread = at::conv1d(at::cat(pieces).t().unsqueeze(0), m_convWeight.to(type), m_convBias.to(type),
                                   at::IntArrayRef{1}, at::IntArrayRef{0}, at::IntArrayRef{1}, m_settings.convGroups);
    places = places.to(in.device());
    if (rows.defined()) places = places.index_select(0, rows);
    const auto seen = spread.squeeze(0).t().index_select(0, places);
    const auto acted = activate(m_settings.convActivation, dropped(seen, m_sizes.hiddenDropout, context).contiguous());
    return kernels::addLayerNorm(acted, out, m_convNorm.weight, m_convNorm.bias, m_sizes.eps);
  }

  bool usesPositions() const {
    return m_settings.relative && (m_settings.contentToPosition || m_settings.positionToContent);
  }

  static constexpr const char* kTable = "deberta.encoder.rel_embeddings.weight";

  DebertaSettings m_settings;
  at::Tensor m_table, m_convWeight, m_convBias;
  NormWeights m_tableNorm, m_convNorm;
};

}  // namespace

Result<std::unique_ptr<Model>> loadDeberta(const std::filesystem::path& folder, const nlohmann::json& config,
                                           const ModelLoadOptions& options) {
  return loadEncoder<DebertaModel>(folder, config, options);
}

Result<std::vector<SiteShape>> debertaSiteShapes(const nlohmann::json& config) try {
  ModelLoadOptions options;
  options.head = HeadKind::SequenceClassification;
  const auto settings = readSettings(config);
  return encoderSites(debertaNames(settings), settings.sizes, TaskHead(debertaHead(settings, options)));
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
