// Model cases over images: outputs and gradients under the checkpoint's statistics, and one pass in training mode with the
// statistics that it leaves behind. Weights lie beside the case or follow from its formula.

#include <filesystem>

#include "core/io/safetensors_writer.h"
#include "core/methods/registry.h"
#include "tests/golden/check.h"

namespace rankscope::golden {

namespace {

// A folder of its own for weights that are written to be read back; goes with the object.
struct ScratchFolder {
  std::filesystem::path path;
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "golden-images-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) malformed("no folder for the formula's weights", pattern, "a writable temporary folder");
    path = pattern;
  }
  ~ScratchFolder() {
    std::error_code code;
    std::filesystem::remove_all(path, code);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
};

// Element i of the tensor with index p: shift + amp · sin((i mod 7919) · 0.731 + 0.37 p), in float64.
at::Tensor byFormula(const std::vector<int64_t>& shape, double shift, double amp, double index) {
  const at::Tensor i = at::arange(c10::multiply_integers(shape), at::kDouble).remainder(7919);
  return ((i * 0.731 + 0.37 * index).sin() * amp + shift).to(at::kFloat).view(shape);
}

std::vector<int64_t> shapeOf(const nlohmann::json& value) { return value.get<std::vector<int64_t>>(); }

NotBuilt compare(const Case& golden, Model& model, const at::Tensor& pixels, Findings& findings) {
  PackedBatch batch;
  batch.pixels = pixels;
  batch.labels = golden.get("in/labels");
  for (int64_t i = 0; i <= pixels.size(0); ++i) batch.starts.push_back(i);
  const Tolerance logits{golden.tolerance("logits_atol", 2e-4), golden.tolerance("logits_rtol", 1e-3)};
  const Tolerance hidden{golden.tolerance("hidden_atol", 2e-4), golden.tolerance("hidden_rtol", 0)};
  ForwardContext context;
  {
    const at::NoGradGuard noGrad;
    findings.close("logits", model.logits(batch, context), golden.get("out/logits"), logits);
    const auto states = model.hiddenStates(batch, context);
    for (size_t i = 0; i < states.size(); ++i)
      if (const std::string name = "out/hidden_states." + std::to_string(i); golden.has(name))
        findings.close("hidden state " + std::to_string(i), states[i], golden.get(name), hidden);
    for (const size_t stage : {size_t{1}, size_t{4}})
      if (const std::string name = "act/layer" + std::to_string(stage); golden.has(name))
        findings.close(name, states[stage], golden.get(name), logits);
    if (golden.has("act/avgpool"))
      findings.close("pooled", model.hidden(batch, context), golden.get("act/avgpool").flatten(1), logits);
  }

  MethodSettings everything;
  everything.name = "full";
  auto method = makeMethod(everything);
  if (!method) throw ErrorException(method.error());
  if (auto ok = (*method)->attach(model); !ok) throw ErrorException(ok.error());
  const at::Tensor loss = model.loss(batch, context);
  findings.close("loss", loss.reshape({1}), golden.get("out/loss"), {golden.tolerance("loss_atol", 1e-5), 1e-5});
  loss.backward();
  for (const std::string& name : golden.namesUnder("grad/"))
    findings.close("gradient of " + name.substr(5), model.parameters().at(name.substr(5)).grad(), golden.get(name),
                   {golden.tolerance("grad_atol", 1e-5), golden.tolerance("grad_rtol", 2e-3), !golden.hasTolerance("grad_atol")});
  if (!golden.has("train/loss")) return std::nullopt;

  context.training = true;
  const at::NoGradGuard noGrad;
  const at::Tensor trained = model.logits(batch, context);
  findings.close("logits in training", trained, golden.get("train/logits"), logits);
  findings.close("loss in training", at::cross_entropy_loss(trained, batch.labels).reshape({1}), golden.get("train/loss"),
                 {golden.tolerance("loss_atol", 1e-5), 1e-5});
  for (const std::string& name : golden.namesUnder("train/after/"))
    findings.close(name.substr(12) + " afterwards", model.buffers().at(name.substr(12)), golden.get(name), {1e-6, 1e-5});
  return std::nullopt;
}

}  // namespace

bool isImageCase(const Case& golden) { return golden.has("in/pixel_values") || golden.meta().contains("formula"); }

NotBuilt checkImages(const Case& golden, Findings& findings) {
  const nlohmann::json& meta = golden.meta();
  if (!meta.contains("formula")) {
    GoldenModel opened = openModel(golden.jsonFolder(), at::kFloat);
    if (opened.notBuilt) return opened.notBuilt;
    return compare(golden, *opened.model, golden.get("in/pixel_values"), findings);
  }
  NamedTensors weights;
  for (const auto& entry : meta.at("state_dict"))
    weights.emplace_back(text(entry, "name"), byFormula(shapeOf(entry.at("shape")), number(entry, "shift"), number(entry, "amp"),
                                                        number(entry, "index")));
  const ScratchFolder folder;
  if (auto saved = writeSafetensors(folder.path / "model.safetensors", weights); !saved) throw ErrorException(saved.error());
  ModelLoadOptions options;
  options.head = HeadKind::ImageClassification;
  options.numLabels = golden.get("out/logits").size(1);
  auto model = loadModel(folder.path, options);
  if (!model) throw ErrorException(model.error());
  return compare(golden, **model, byFormula(shapeOf(meta.at("input_shape")), 0, 1, 1000), findings);
}

}  // namespace rankscope::golden
