#include "core/models/resnet_layout.h"

#include <fmt/format.h>

#include <map>

#include "core/models/config_reader.h"

namespace rankscope {

namespace {

constexpr int64_t kMaxWidth = 1 << 16;

struct Sizes {
  bool published = true;  // transformers' names
  int64_t channels = 3, stem = 64, stemKernel = 7;
  std::vector<int64_t> widths, depths;
  bool bottleneck = false, strideFirst = false, shrinkFirstStage = false;
  std::string shortcut = "downsample";  // of the others' names; "padding": without parameters
};

ResnetBlock makeBlock(const Sizes& s, const std::string& prefix, int64_t number, int64_t in, int64_t out, int64_t stride) {
  ResnetBlock block;
  const auto add = [&](int64_t from, int64_t to, int64_t kernel, int64_t step) {
    const size_t index = block.convs.size();
    const auto conv = s.published ? fmt::format("layer.{}.convolution", index) : fmt::format("conv{}", index + 1);
    const auto norm = s.published ? fmt::format("layer.{}.normalization", index) : fmt::format("bn{}", index + 1);
    block.convs.push_back({prefix + conv, prefix + norm, from, to, kernel, step, conv, number});
  };
  if (s.bottleneck) {
    const auto narrow = out / 4;
    add(in, narrow, 1, s.strideFirst ? stride : 1);
    add(narrow, narrow, 3, s.strideFirst ? 1 : stride);
    add(narrow, out, 1, 1);
  } else {
    add(in, out, 3, stride);
    add(out, out, 3, 1);
  }
  if (in == out && stride == 1) return block;
  if (!s.published && s.shortcut == "padding") {
    block.padChannels = (out - in) / 2;
    return block;
  }
  const auto conv = s.published ? std::string("shortcut.convolution") : s.shortcut + ".0";
  const auto norm = s.published ? std::string("shortcut.normalization") : s.shortcut + ".1";
  block.shortcut = ResnetConv{prefix + conv, prefix + norm, in, out, 1, stride, conv, number};
  return block;
}

std::vector<int64_t> listOf(const ConfigReader& r, const char* key, std::vector<int64_t> standard, int64_t most) {
  if (!r.has(key)) return standard;
  const auto& entry = r.json()[key];
  std::vector<int64_t> values;
  if (entry.is_array() && entry.size() <= 16)
    for (const auto& value : entry)
      if (value.is_number_integer() && value.get<int64_t>() > 0 && value.get<int64_t>() <= most)
        values.push_back(value.get<int64_t>());
  if (!entry.is_array() || values.size() != entry.size() || values.empty())
    r.fail(key, entry.dump().substr(0, 80), fmt::format("1 to 16 whole numbers up to {}", most), kTakeConfigAgain);
  return values;
}

std::string choice(const ConfigReader& r, const char* key, const std::string& standard, const char* other) {
  const auto value = r.text(key, standard);
  if (value != standard && value != other) r.fail(key, value.substr(0, 60), standard + " or " + other, kTakeConfigAgain);
  return value;
}

Sizes readSizes(const ConfigReader& r) {
  Sizes s;
  s.published = r.text("model_type", "resnet") != kBareResnetType;
  s.channels = r.integer("num_channels", 3, 1, 1024);
  s.stem = r.integer("embedding_size", 64, 1, kMaxWidth);
  s.widths = listOf(r, "hidden_sizes", {256, 512, 1024, 2048}, kMaxWidth);
  s.depths = listOf(r, "depths", {3, 4, 6, 3}, 1000);
  if (s.widths.size() != s.depths.size())
    r.fail("depths", std::to_string(s.depths.size()) + " stages", fmt::format("{} as in hidden_sizes", s.widths.size()), kTakeConfigAgain);
  s.bottleneck = choice(r, "layer_type", "bottleneck", "basic") == "bottleneck";
  for (const auto width : s.widths)
    if (s.bottleneck && width % 4 != 0) r.fail("hidden_sizes", std::to_string(width), "multiples of 4", kTakeConfigAgain);
  s.strideFirst = r.flag("downsample_in_bottleneck", false);
  s.shrinkFirstStage = r.flag("downsample_in_first_stage", false);
  if (s.published) return s;
  s.stemKernel = choice(r, "stem", "7x7", "3x3") == "7x7" ? 7 : 3;
  s.shortcut = r.text("shortcut", "downsample");
  if (s.shortcut != "downsample" && s.shortcut != "shortcut" && s.shortcut != "padding")
    r.fail("shortcut", s.shortcut.substr(0, 60), "downsample, shortcut or padding", kTakeConfigAgain);
  if (s.shortcut != "padding") return s;
  int64_t width = s.stem;
  for (const auto next : s.widths) {
    if (next < width || (next - width) % 2 != 0)
      r.fail("hidden_sizes", fmt::format("{} behind {}", next, width), "widths that grow by even numbers", kTakeConfigAgain);
    width = next;
  }
  return s;
}

}  // namespace

int64_t ResnetLayout::blocks() const {
  int64_t count = 0;
  for (const auto& stage : stages) count += static_cast<int64_t>(stage.size());
  return count;
}

std::vector<ResnetConv> ResnetLayout::convs() const {
  std::vector<ResnetConv> all{stem};
  for (const auto& stage : stages)
    for (const auto& block : stage) {
      all.insert(all.end(), block.convs.begin(), block.convs.end());
      if (block.shortcut) all.push_back(*block.shortcut);
    }
  return all;
}

ResnetLayout readResnetLayout(const nlohmann::json& config) {
  const ConfigReader r(config, "config.json");
  const Sizes s = readSizes(r);
  ResnetLayout layout;
  layout.channels = s.channels;
  layout.labels = std::max<int64_t>(2, classCountOf(r.json()));
  layout.activation = readActivation(r, "hidden_act", "relu");
  layout.stem = {s.published ? "resnet.embedder.embedder.convolution" : "conv1",
                 s.published ? "resnet.embedder.embedder.normalization" : "bn1", s.channels, s.stem, s.stemKernel,
                 s.stemKernel == 7 ? 2 : 1, s.published ? "embedder.convolution" : "conv1"};
  layout.stemPools = s.stemKernel == 7;
  int64_t width = s.stem, number = 0;
  for (size_t i = 0; i < s.widths.size(); ++i) {
    auto& stage = layout.stages.emplace_back();
    for (int64_t k = 0; k < s.depths[i]; ++k) {
      const auto prefix =
          s.published ? fmt::format("resnet.encoder.stages.{}.layers.{}.", i, k) : fmt::format("layer{}.{}.", i + 1, k);
      stage.push_back(makeBlock(s, prefix, number++, width, s.widths[i], k == 0 && (i > 0 || s.shrinkFirstStage) ? 2 : 1));
      width = s.widths[i];
    }
  }
  layout.features = width;
  layout.classifier = s.published ? "classifier.1" : choice(r, "classifier", "fc", "linear");
  return layout;
}

std::optional<nlohmann::json> bareResnetConfig(const std::vector<TensorInfo>& tensors) {
  // All names may lie inside a wrapper ("module.", "model.").
  constexpr std::string_view kFirst = "layer1.0.conv1.weight";
  std::map<std::string, const TensorInfo*> byName;
  std::string prefix;
  for (const auto& tensor : tensors) {
    byName[tensor.name] = &tensor;
    if (tensor.name.size() >= kFirst.size() && tensor.name.ends_with(kFirst))
      prefix = tensor.name.substr(0, tensor.name.size() - kFirst.size());
  }
  const auto shape = [&](const std::string& name, size_t dimensions) -> const std::vector<int64_t>* {
    const auto found = byName.find(prefix + name + ".weight");
    return found == byName.end() || found->second->shape.size() != dimensions ? nullptr : &found->second->shape;
  };
  const auto* stem = shape("conv1", 4);
  if (!stem || ((*stem)[2] != 7 && (*stem)[2] != 3) || !shape("layer1.0.conv1", 4)) return std::nullopt;
  const bool bottleneck = shape("layer1.0.conv3", 4) != nullptr;
  std::vector<int64_t> widths, depths;
  for (size_t i = 1; i <= 16; ++i) {
    int64_t depth = 0;
    while (depth < 1000 && shape(fmt::format("layer{}.{}.conv1", i, depth), 4)) ++depth;
    const auto* last = shape(fmt::format("layer{}.0.conv{}", i, bottleneck ? 3 : 2), 4);
    if (depth == 0 || !last) break;
    depths.push_back(depth);
    widths.push_back((*last)[0]);
  }
  const char* classifier = shape("linear", 2) ? "linear" : "fc";
  const auto* head = shape(classifier, 2);
  if (widths.size() < 2 || !head) return std::nullopt;
  const char* shortcut = shape("layer2.0.downsample.0", 4) ? "downsample" : shape("layer2.0.shortcut.0", 4) ? "shortcut" : "padding";
  return nlohmann::json{{"model_type", kBareResnetType}, {"num_channels", (*stem)[1]}, {"embedding_size", (*stem)[0]},
                        {"hidden_sizes", widths}, {"depths", depths}, {"layer_type", bottleneck ? "bottleneck" : "basic"},
                        {"stem", (*stem)[2] == 7 ? "7x7" : "3x3"}, {"shortcut", shortcut}, {"classifier", classifier},
                        {"num_labels", (*head)[0]}};
}

}  // namespace rankscope
