#include "core/models/resnet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/models/checkpointing.h"
#include "core/models/resnet_layout.h"
#include "core/models/task_loss.h"
#include "core/models/weights.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

constexpr double kNormEps = 1e-5, kNormMomentum = 0.1;

// The convolutions in the order of ResnetLayout::convs(), then the classifier where there is one.
std::vector<SiteShape> sitesOf(const ResnetLayout& layout, int64_t labels) {
  std::vector<SiteShape> sites;
  for (const auto& part : layout.convs())
    sites.push_back(
        convolutionSite(part.conv, part.kind, part.block, part.out, {part.in, part.kernel, part.stride, part.padding()}));
  if (labels > 0) sites.push_back({layout.classifier, layout.classifier, -1, layout.features, labels, true});
  return sites;
}

int64_t sideAfter(int64_t side, int64_t kernel, int64_t stride) { return (side + 2 * ((kernel - 1) / 2) - kernel) / stride + 1; }

class ResnetModel final : public Model {
 public:
  ResnetModel(const nlohmann::json& config, const ModelLoadOptions& options) : m_layout(readResnetLayout(config)) {
    describe(config, options, m_layout.features, 0, 0, m_layout.blocks());
    m_family = config.value("model_type", std::string("resnet"));
  }

  Result<void> load(const std::filesystem::path& folder, const ModelLoadOptions& options) {
    if (auto filled = fillParameters(folder, weightPlan(), options, m_parameters, m_report, &m_buffers); !filled)
      return filled;
    addSites(sitesOf(m_layout, m_numLabels));
    rebind();
    return {};
  }

  const char* family() const override { return m_family.c_str(); }

  void rebind() override {
    bindSites();
    m_convs.clear();
    for (const auto& part : m_layout.convs())
      m_convs.push_back({m_sites[m_convs.size()], m_buffers.at(part.norm + ".running_mean"),
                         m_buffers.at(part.norm + ".running_var"), normWeights(m_parameters, part.norm)});
  }

  std::vector<std::string> headParameters() const override {
    if (m_head == HeadKind::None) return {};
    return {m_layout.classifier + ".weight", m_layout.classifier + ".bias"};
  }

  // [S, features]: the last feature maps, averaged.
  at::Tensor hidden(const PackedBatch& batch, ForwardContext& context) override {
    return run(batch, context, nullptr).mean({2, 3});
  }

  // [S, channels, height, width] behind the stem and behind each stage.
  std::vector<at::Tensor> hiddenStates(const PackedBatch& batch, ForwardContext& context) override {
    std::vector<at::Tensor> states;
    run(batch, context, &states);
    return states;
  }

  at::Tensor logits(const PackedBatch& batch, ForwardContext& context) override {
    if (m_head == HeadKind::None)
      throw ErrorException({ErrorCode::Usage, "the model was loaded without a head", "model.head", "none",
                            "image_classification", "Load the model with a head."});
    const auto wide = sumType(m_dtype);
    const auto& site = *m_sites.back();
    const auto features = hidden(batch, context);
    if (site.adapter) return site.forward(features, context).to(wide);
    return kernels::linear(features.to(wide), site.weight.to(wide), site.bias.to(wide));
  }

  at::Tensor loss(const PackedBatch& batch, ForwardContext& context, double normaliser) override {
    return kernels::crossEntropy(logits(batch, context), batch.labels, normaliser);
  }

 private:
  struct Conv {
    const LinearSite* site;
    at::Tensor mean, variance;
    NormWeights norm;
  };

  WeightPlan weightPlan() const {
    WeightPlan plan;
    plan.basePrefix = "resnet.";
    plan.ignoredSuffixes = {"num_batches_tracked"};  // counts for averages that nobody takes
    auto& p = plan.parameters;
    const auto spreadOf = [&](double deviation) { return deviation / plan.initializerRange; };
    for (const auto& part : m_layout.convs()) {
      // The usual start of a network with rectifiers (He et al. 2015): variance 2 / (out · k²).
      p.push_back({part.conv + ".weight", {part.out, part.in, part.kernel, part.kernel}});
      p.back().spread = spreadOf(std::sqrt(2.0 / static_cast<double>(part.out * part.kernel * part.kernel)));
      for (const char* tail : {".weight", ".bias", ".running_mean", ".running_var"}) {
        const std::string_view name = tail;
        const bool one = name == ".weight" || name == ".running_var";
        p.push_back({part.norm + tail, {part.out}, one ? StartValue::Ones : StartValue::Zeros});
        p.back().norm = true;
        p.back().buffer = name.starts_with(".running");
      }
    }
    if (m_head == HeadKind::None) return plan;
    p.push_back({m_layout.classifier + ".weight", {m_numLabels, m_layout.features}});
    p.back().isHead = true;
    p.back().spread = spreadOf(std::sqrt(1.0 / static_cast<double>(3 * m_layout.features)));  // as nn.Linear's
    p.push_back({m_layout.classifier + ".bias", {m_numLabels}, StartValue::Zeros});
    p.back().isHead = true;
    return plan;
  }

  // `moves`: the running statistics follow this batch.
  static at::Tensor normed(const Conv& conv, const at::Tensor& in, ForwardContext& context, bool moves) {
    const auto x = conv.site->forward(in, context);
    // One value a channel has no variance; such a batch is normalised as in evaluation.
    const bool byBatch = context.training && conv.norm.weight.requires_grad() && x.size(0) * x.size(2) * x.size(3) > 1;
    const auto none = at::Tensor();
    const bool running = moves || !byBatch;
    return at::batch_norm(x, conv.norm.weight, conv.norm.bias, running ? conv.mean : none, running ? conv.variance : none,
                          byBatch, kNormMomentum, kNormEps, /*cudnn_enabled=*/true);
  }

  // A norm's backward asks for its input alone, so its result may become the sum and the rectified value in place: a third
  // less is allocated in the forward pass, and no holes stay in the heap between what is kept.
  at::Tensor rectified(at::Tensor x) const {
    return m_layout.activation == Activation::Relu ? x.relu_() : activate(m_layout.activation, x);
  }

  // `first`: where the block's convolutions stand in m_convs.
  at::Tensor runBlock(const ResnetBlock& block, size_t first, const at::Tensor& in, ForwardContext& context,
                      bool moves) const {
    auto x = in;
    for (size_t i = 0; i < block.convs.size(); ++i) {
      x = normed(m_convs[first + i], x, context, moves);
      // Inside a block transformers rectifies whatever the activation is.
      if (i + 1 < block.convs.size()) x.relu_();
    }
    auto residual = in;
    if (block.shortcut) {
      residual = normed(m_convs[first + block.convs.size()], in, context, moves);
    } else if (block.padChannels > 0) {
      const auto half = in.slice(2, 0, std::nullopt, 2).slice(3, 0, std::nullopt, 2);
      residual = at::constant_pad_nd(half, {0, 0, 0, 0, block.padChannels, block.padChannels});
    }
    return rectified(x.add_(residual));
  }

  void checkImages(const PackedBatch& batch) const {
    const auto& pixels = batch.pixels;
    if (pixels.defined() && pixels.dim() == 4 && pixels.size(0) == batch.sequences() && pixels.size(1) == m_layout.channels &&
        pixels.size(2) > 0 && pixels.size(3) > 0)
      return;
    throw ErrorException({ErrorCode::BadInput, "a batch without fitting images", "batch",
                          pixels.defined() ? c10::str(pixels.sizes()) : "no images",
                          fmt::format("[{}, {}, height, width]", batch.sequences(), m_layout.channels),
                          "Use image data (data.task image_classification) with this model."});
  }

  at::Tensor run(const PackedBatch& batch, ForwardContext& context, std::vector<at::Tensor>* states) {
    checkImages(batch);
    auto x = rectified(normed(m_convs.front(), batch.pixels.to(m_dtype), context, true));
    if (m_layout.stemPools) x = at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
    if (states) states->push_back(x);
    struct Place {
      const ResnetBlock* block;
      size_t first;
      bool endsStage;
    };
    std::vector<Place> places;
    size_t first = 1;
    for (const auto& stage : m_layout.stages)
      for (const auto& block : stage) {
        places.push_back({&block, first, &block == &stage.back()});
        first += block.convs.size() + (block.shortcut ? 1 : 0);
      }
    size_t done = 0;
    const auto seen = [&](const std::vector<at::Tensor>& state) {
      if (states && places[done].endsStage) states->push_back(state.front());
      ++done;
    };
    // A recomputed block runs twice, without gradients first; its statistics move in that first run alone.
    const bool twice = gradientCheckpointing && at::GradMode::is_enabled();
    const auto block = [this, places, twice](size_t i, const std::vector<at::Tensor>& in, ForwardContext& own) {
      const bool moves = !twice || !at::GradMode::is_enabled();
      return std::vector<at::Tensor>{runBlock(*places[i].block, places[i].first, in[0], own, moves)};
    };
    return throughBlocks(places.size(), {x}, {}, gradientCheckpointing, context, block, seen).front();
  }

  ResnetLayout m_layout;
  std::string m_family;
  std::vector<Conv> m_convs;
};

}  // namespace

Result<std::unique_ptr<Model>> loadResnet(const std::filesystem::path& folder, const nlohmann::json& config,
                                          const ModelLoadOptions& options) try {
  if (options.head != HeadKind::ImageClassification && options.head != HeadKind::None)
    return Error{ErrorCode::Usage, "this family looks at images", "model.head", "a head for text",
                 "image_classification", "Choose an image task, or a language model."};
  auto model = std::make_unique<ResnetModel>(config, options);
  if (auto loaded = model->load(folder, options); !loaded) return loaded.error();
  return std::unique_ptr<Model>(std::move(model));
} catch (const ErrorException& e) {
  return e.error();
}

Result<std::vector<SiteShape>> resnetSiteShapes(const nlohmann::json& config) try {
  const auto layout = readResnetLayout(config);
  return sitesOf(layout, layout.labels);
} catch (const ErrorException& e) {
  return e.error();
}

Result<ImagePass> resnetPass(const nlohmann::json& config, int64_t height, int64_t width) try {
  const auto layout = readResnetLayout(config);
  ImagePass pass;
  pass.channels = layout.channels;
  pass.usualSide = layout.stemPools ? 224 : 32;
  const auto keep = [&](int64_t count) {
    pass.kept += count;
    pass.widest = std::max(pass.widest, count);
  };
  // A convolution keeps its input and a norm its own; a rectifier's result is the next one's input, the norm's is not kept.
  // `ahead`: what is kept when its input has been.
  const auto conv = [&](const ResnetConv& part, int64_t& h, int64_t& w, int64_t ahead) {
    const int64_t input = part.in * h * w;
    h = sideAfter(h, part.kernel, part.stride);
    w = sideAfter(w, part.kernel, part.stride);
    pass.sites.push_back({part.conv, h * w, ahead - input});
    keep(part.out * h * w);
  };
  pass.kept = pass.pixels = layout.channels * height * width;
  conv(layout.stem, height, width, pass.kept);
  keep(layout.stem.out * height * width);
  if (layout.stemPools) {
    height = sideAfter(height, 3, 2);
    width = sideAfter(width, 3, 2);
    keep(3 * layout.stem.out * height * width);  // with the places of the maxima, int64
  }
  for (const auto& stage : layout.stages)
    for (const auto& block : stage) {
      int64_t h = height, w = width;
      const int64_t ahead = pass.kept;
      for (size_t i = 0; i < block.convs.size(); ++i) {
        conv(block.convs[i], h, w, pass.kept);
        keep(block.convs[i].out * h * w);  // rectified; of the last one, the block's result
      }
      if (block.shortcut) {
        int64_t sideH = height, sideW = width;
        conv(*block.shortcut, sideH, sideW, ahead);
      }
      height = h;
      width = w;
    }
  return pass;
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
