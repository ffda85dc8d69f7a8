#include "core/methods/inserted/bottleneck.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "core/methods/inserted/activations.h"
#include "core/methods/site_selection.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

// What tells the three apart.
struct BottleneckForm {
  const char* method;
  bool behindAttention, parallel, normsInput;
  int64_t reduction;  // c: the bottleneck is hidden / c wide
  const char* activation;
  double scale;  // λ
};
constexpr BottleneckForm kBottleneckForms[] = {{"houlsby", true, false, false, 16, "swish", 1},
                                               {"pfeiffer", false, false, true, 16, "relu", 1},
                                               {"parallel", false, true, false, 2, "relu", 4}};

struct Bottleneck {
  BottleneckForm form;
  Activation activation = Activation::Relu;
  std::string activationName;
  double scale = 1;
  int64_t width = 1;
  double reduction = 1;
};

Result<Bottleneck> readBottleneck(const MethodSettings& settings, int64_t hidden) {
  Bottleneck b{};
  for (const BottleneckForm& form : kBottleneckForms)
    if (settings.name == form.method) b.form = form;
  auto activation = adapterActivation(settings, b.form.activation, &b.activationName);
  if (!activation) return activation.error();
  b.activation = *activation;
  auto reduction = realOption(settings, "reduction_factor", 0, 0, 1e6);
  if (!reduction) return reduction.error();
  b.reduction = *reduction > 0 ? *reduction : static_cast<double>(b.form.reduction);
  b.width = static_cast<int64_t>(std::floor(static_cast<double>(hidden) / b.reduction));
  if (b.width < 1)
    return Error{ErrorCode::Usage,
                 "the adapter would have no width",
                 "method.reduction_factor",
                 fmt::format("{}", b.reduction),
                 fmt::format("at most {}, the model's hidden size", hidden),
                 "Choose a smaller factor, such as 16."};
  auto scale = realOption(settings, "adapter_scale", 0, 0, 1e6);
  if (!scale) return scale.error();
  b.scale = *scale > 0 ? *scale : b.form.scale;
  return b;
}

struct BottleneckMaps {
  at::Tensor downWeight, downBias, upWeight, upBias;
};

class BottleneckInsertion final : public Insertion {
 public:
  BottleneckInsertion(Bottleneck settings, size_t layers) : m_settings(std::move(settings)) {
    m_maps[0].resize(layers);
    m_maps[1].resize(layers);
  }

  std::optional<BottleneckMaps>& at(SubLayer part, size_t layer) {
    return m_maps[part == SubLayer::FeedForward].at(layer);
  }

  bool follows(SubLayer part, size_t layer) const override { return maps(part, layer).has_value(); }

  at::Tensor behind(SubLayer part, size_t layer, const at::Tensor& h, const at::Tensor& x,
                    const SumNorm& norm) const override {
    const BottleneckMaps& m = *maps(part, layer);
    const BottleneckForm& form = m_settings.form;
    const at::Tensor z = form.parallel ? x : form.normsInput ? (norm ? norm(x + h) : x + h) : h;
    const at::Tensor inner = activate(m_settings.activation, kernels::linear(z, m.downWeight, m.downBias));
    return at::add(h, kernels::linear(inner, m.upWeight, m.upBias), m_settings.scale);
  }

 private:
  const std::optional<BottleneckMaps>& maps(SubLayer part, size_t layer) const {
    return m_maps[part == SubLayer::FeedForward].at(layer);
  }

  Bottleneck m_settings;
  std::vector<std::optional<BottleneckMaps>> m_maps[2];
};

class BottleneckModules final : public InsertedModules {
 public:
  BottleneckModules(const Model& model, const MethodSettings& settings, const Bottleneck& bottleneck,
                    const std::vector<int64_t>& layers)
      : m_method(settings.name), m_bottleneck(bottleneck), m_layers(layers) {
    const InsertionPlaces places = model.insertionPlaces();
    m_insertion = std::make_shared<BottleneckInsertion>(bottleneck, places.blocks.size());
    for (const int64_t layer : layers) {
      const auto index = static_cast<size_t>(layer);
      if (bottleneck.form.behindAttention)
        m_insertion->at(SubLayer::Attention, index) =
            maps(model, settings, places.blocks[index] + "." + places.attention + ".default");
      m_insertion->at(SubLayer::FeedForward, index) =
          maps(model, settings, places.blocks[index] + "." + places.feedForward + ".default");
    }
  }

  void attach(Model& model) const override { model.insertion = m_insertion; }

  void describe(const Model&, nlohmann::json& config) const override {
    config["peft_type"] = "ADAPTER";
    config["adapter_type"] = m_method;
    config["non_linearity"] = m_bottleneck.activationName;
    config["reduction_factor"] = m_bottleneck.reduction;
    config["scaling"] = m_bottleneck.scale;
    config["layers_to_transform"] = m_layers;
  }

 private:
  // Down and Up as the package begins them: both nearly 0 ("bert"), or Up = 0 beside the block ("mam_adapter").
  BottleneckMaps maps(const Model& model, const MethodSettings& settings, const std::string& module) {
    const int64_t hidden = model.hiddenSize(), width = m_bottleneck.width;
    const bool mam = m_bottleneck.form.parallel;
    const std::string down = module + ".adapter_down.0", up = module + ".adapter_up";
    const auto zeros = [&](int64_t size) { return drawnUniform(settings, "", {size}, 0, model); };
    constexpr double kDeviation = 0.02;
    const double bound = 1 / std::sqrt(static_cast<double>(hidden));
    BottleneckMaps m;
    m.downWeight = addTrained(down + ".weight",
                              mam ? drawnUniform(settings, down, {width, hidden}, bound, model)
                                  : drawnNormal(settings, down, {width, hidden}, kDeviation, model),
                              true);
    m.downBias = addTrained(down + ".bias", zeros(width), false);
    m.upWeight = addTrained(up + ".weight",
                            mam ? drawnUniform(settings, up, {hidden, width}, 0, model)
                                : drawnNormal(settings, up, {hidden, width}, kDeviation, model),
                            true);
    m.upBias = addTrained(up + ".bias", zeros(hidden), false);
    return m;
  }

  std::string m_method;
  Bottleneck m_bottleneck;
  std::vector<int64_t> m_layers;
  std::shared_ptr<BottleneckInsertion> m_insertion;
};

}  // namespace

Result<std::unique_ptr<InsertedModules>> makeBottleneck(const Model& model, const MethodSettings& settings) {
  if (model.insertionPlaces().blocks.empty()) return noPlace(settings, model, "a model of transformer blocks");
  auto bottleneck = readBottleneck(settings, model.hiddenSize());
  if (!bottleneck) return bottleneck.error();
  auto layers = chosenLayers(settings, model.numLayers());
  if (!layers) return layers.error();
  return std::unique_ptr<InsertedModules>(std::make_unique<BottleneckModules>(model, settings, *bottleneck, *layers));
}

Result<InsertedCost> bottleneckCost(const MethodSettings& settings, const ModelOutline& outline, int64_t layer) {
  auto bottleneck = readBottleneck(settings, outline.hidden);
  if (!bottleneck) return bottleneck.error();
  auto layers = LayerFilter::make(settings.layersToTransform);
  if (!layers) return layers.error();
  if (!layers->contains(layer)) return InsertedCost{};
  const int64_t count = bottleneck->form.behindAttention ? 2 : 1, width = bottleneck->width;
  // Down's input, its output and the activation's are kept for backward; the norm's own input besides.
  const int64_t kept = 2 * width + outline.hidden * (bottleneck->form.normsInput ? 2 : 1);
  return InsertedCost{count * (2 * outline.hidden * width + width + outline.hidden), count * kept};
}

}  // namespace rankscope
