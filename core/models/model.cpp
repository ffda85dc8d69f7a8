#include "core/models/model.h"

#include <algorithm>

#include "core/models/decode.h"

namespace rankscope {

namespace {

[[noreturn]] void notCausal(const Model& model) {
  throw ErrorException({ErrorCode::Usage, "this model does not generate text", "model", model.family(),
                        "a causal language model", "Choose a causal model with its language-model head."});
}

}  // namespace

void Model::describe(nlohmann::json config, const ModelLoadOptions& options, int64_t hidden, int64_t vocab,
                     int64_t maxPositions, int64_t layers) {
  m_config = std::move(config);
  m_head = options.head;
  m_dtype = options.dtype;
  m_hiddenSize = hidden;
  m_vocabSize = vocab;
  m_maxPositions = maxPositions;
  m_numLayers = layers;
  const bool classes = options.head == HeadKind::SequenceClassification || options.head == HeadKind::ImageClassification;
  m_numLabels = classes ? options.numLabels : 0;
}

void Model::addSites(const std::vector<SiteShape>& shapes) {
  for (const auto& shape : shapes) {
    auto site = std::make_unique<LinearSite>();
    static_cast<SiteShape&>(*site) = shape;
    m_sites.push_back(site.get());
    m_siteStore.push_back(std::move(site));
  }
}

void Model::bindSites() {
  for (auto* site : m_sites) {
    if (!site->coded.defined()) site->weight = site->matrixOf(m_parameters.at(site->name + ".weight"));
    if (site->transposed && site->weight.defined()) {
      // A parameter that came back from training lies the other way round; products read rows of outputs.
      if (!site->weight.requires_grad() && !site->weight.is_contiguous() && !m_parameters.isView(site->name + ".weight")) {
        site->weight = site->weight.contiguous();
        m_parameters.replace(site->name + ".weight", site->weight.t());
      }
    }
    site->bias = m_parameters.contains(site->name + ".bias") ? m_parameters.at(site->name + ".bias") : at::Tensor();
  }
}

void Model::replaceSiteWeight(LinearSite& site, const at::Tensor& weight) {
  const std::string name = site.name + ".weight";
  const at::Tensor parameter = site.parameterOf(weight);
  if (site.coded.defined())
    m_parameters.add(name, parameter);
  else
    m_parameters.replace(name, parameter);
  site.coded = {};
}

void Model::codeSite(LinearSite& site, kernels::FourBitWeight weight) {
  m_parameters.remove(site.name + ".weight");
  site.weight = at::Tensor();
  site.coded = std::move(weight);
}

bool Model::isTied(const std::string& parameter) const {
  return std::any_of(m_parameters.aliases().begin(), m_parameters.aliases().end(),
                     [&](const auto& alias) { return alias.first == parameter || alias.second == parameter; });
}

int64_t Model::parameterCount() const {
  int64_t count = 0;
  for (const NamedTensor& entry : m_parameters.entries()) count += entry.tensor.numel();
  for (const LinearSite* site : m_sites)
    if (site->coded.defined()) count += site->inFeatures * site->outFeatures;
  return count;
}

at::Tensor Model::logitsAt(const PackedBatch& batch, const at::Tensor& rows, ForwardContext& context) {
  return logits(batch, context).index_select(0, rows);
}

at::Tensor Model::vocabularyLogits(const at::Tensor&) const { notCausal(*this); }

std::unique_ptr<DecodeCache> Model::newDecodeCache(int64_t, int64_t) const { notCausal(*this); }

at::Tensor Model::decode(DecodeCache&, const std::vector<int64_t>&, const PackedBatch&) { notCausal(*this); }

}  // namespace rankscope
