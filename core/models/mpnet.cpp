#include "core/models/mpnet.h"

#include <cmath>

#include "core/models/encoder.h"

namespace rankscope {

namespace {

constexpr const char* kBiasTable = "mpnet.encoder.relative_attention_bias.weight";
constexpr int64_t kBuckets = 32;  // the published implementation counts on 32 whatever the table's height

EncoderNames mpnetNames() {
  EncoderNames names{"mpnet"};
  names.query = "attention.attn.q";
  names.key = "attention.attn.k";
  names.value = "attention.attn.v";
  names.attentionOut = "attention.attn.o";
  names.attentionNorm = "attention.LayerNorm";
  return names;
}

EncoderSizes mpnetSizes(const nlohmann::json& config) {
  const ConfigReader reader(config, "config.json");
  EncoderSizes s;
  s.vocab = 30527;
  s.hidden = 768;
  s.inner = 3072;
  s.layers = s.heads = 12;
  s.positions = 512;
  s.padId = 1;
  s = readEncoderSizes(reader, s);
  s.types = 0;
  s.padId = 1;  // fixed in this family
  s.headDropout = s.hiddenDropout;
  countPositionsBehindPadding(reader, s);
  return s;
}

// Buckets by distance as in T5 (Raffel et al., 2020): half of them for keys behind the query; near distances one each,
// far ones by their logarithm, up to 128.
at::Tensor bucketRows(int64_t longest) {
  const auto apart = at::arange(1 - longest, longest, at::kLong);  // i - j
  const auto distance = apart.abs();
  constexpr int64_t kHalf = kBuckets / 2, kExact = kHalf / 2;
  const auto far = (at::log(distance.to(at::kFloat) / kExact) / std::log(128.0 / kExact) * (kHalf - kExact))
                       .clamp(0, kHalf)
                       .to(at::kLong) +
                   kExact;
  const auto bucket = at::where(distance < kExact, distance, far.clamp_max(kHalf - 1));
  return bucket + (apart < 0).to(at::kLong) * kHalf;
}

class MpnetModel final : public EncoderModel {
 public:
  MpnetModel(const nlohmann::json& config, const ModelLoadOptions& options)
      : MpnetModel(config, mpnetSizes(config), options) {}

 private:
  MpnetModel(const nlohmann::json& config, const EncoderSizes& sizes, const ModelLoadOptions& options)
      : EncoderModel(config, mpnetNames(), sizes, robertaHead("mpnet", sizes, options), options),
        m_rows(ConfigReader(config, "config.json")
                   .integer("relative_attention_num_buckets", kBuckets, kBuckets, 1 << 16)) {}

  void planMore(WeightPlan& plan) const override { plan.parameters.push_back({kBiasTable, {m_rows, m_sizes.heads}}); }
  void bindMore() override { m_bias = m_parameters.at(kBiasTable); }

  bool takesPrefix() const override { return false; }

  Relative relative(const PackedBatch& batch) const override {
    return {{m_bias}, relativeIndex(bucketRows(longestSequence(batch.starts))).to(m_bias.device())};
  }

  at::Tensor attend(const EncoderBlock& block, const at::Tensor& in, const PackedBatch& batch, const Relative& relative,
                    ForwardContext& context) const override {
    RelativeTerms terms;
    terms.bias = relative.tables.front();
    terms.index = relative.index;
    const auto qkv = block.qkv.forward(in, context);
    return relativeAttention(qkv, batch.starts, terms, attentionSpec(context));
  }

  int64_t m_rows;
  at::Tensor m_bias;
};

}  // namespace

Result<std::unique_ptr<Model>> loadMpnet(const std::filesystem::path& folder, const nlohmann::json& config,
                                         const ModelLoadOptions& options) {
  return loadEncoder<MpnetModel>(folder, config, options);
}

Result<std::vector<SiteShape>> mpnetSiteShapes(const nlohmann::json& config) try {
  return encoderSites(mpnetNames(), mpnetSizes(config), TaskHead({}));
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
