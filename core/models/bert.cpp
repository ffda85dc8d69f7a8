#include "core/models/bert.h"

#include "core/models/encoder.h"

namespace rankscope {

namespace {

EncoderNames bertNames() { return {"bert"}; }

EncoderSizes bertSizes(const nlohmann::json& config) {
  EncoderSizes s;
  s.vocab = 30522;
  s.hidden = 768;
  s.inner = 3072;
  s.layers = s.heads = 12;
  s.positions = 512;
  s.types = 2;
  return readEncoderSizes(ConfigReader(config, "config.json"), s);
}

HeadPlan bertHead(const EncoderSizes& s, const ModelLoadOptions& options) {
  HeadPlan head;
  head.kind = options.head;
  head.in = head.inner = s.hidden;
  head.eps = s.eps;
  if (options.head == HeadKind::SequenceClassification || options.head == HeadKind::None) {
    head.dense = "bert.pooler.dense";
    head.denseIsSite = true;
    head.outDropout = s.headDropout;
  }
  if (options.head == HeadKind::SequenceClassification) {
    head.out = "classifier";
    head.outputs = options.numLabels;
  } else if (options.head == HeadKind::TokenSpan) {
    head.out = "qa_outputs";
    head.outputs = 2;
  } else if (options.head == HeadKind::MaskedLm) {
    head.dense = "cls.predictions.transform.dense";
    head.activation = s.activation;
    head.norm = "cls.predictions.transform.LayerNorm";
    head.out = "cls.predictions.decoder";
    head.outputs = s.vocab;
    if (s.tied) {
      head.outBias = "cls.predictions.bias";
      head.tiedTo = "bert.embeddings.word_embeddings.weight";
    }
  }
  return head;
}

class BertModel final : public EncoderModel {
 public:
  BertModel(const nlohmann::json& config, const ModelLoadOptions& options)
      : BertModel(config, bertSizes(config), options) {}

 private:
  BertModel(const nlohmann::json& config, const EncoderSizes& sizes, const ModelLoadOptions& options)
      : EncoderModel(config, bertNames(), sizes, bertHead(sizes, options), options) {}
};

}  // namespace

Result<std::unique_ptr<Model>> loadBert(const std::filesystem::path& folder, const nlohmann::json& config,
                                        const ModelLoadOptions& options) {
  return loadEncoder<BertModel>(folder, config, options);
}

Result<std::vector<SiteShape>> bertSiteShapes(const nlohmann::json& config) try {
  ModelLoadOptions options;
  options.head = HeadKind::SequenceClassification;
  const auto sizes = bertSizes(config);
  return encoderSites(bertNames(), sizes, TaskHead(bertHead(sizes, options)));
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
