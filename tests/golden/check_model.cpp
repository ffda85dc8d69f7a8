#include "core/methods/registry.h"
#include "tests/golden/check.h"
#include "tests/golden/packing.h"

namespace rankscope::golden {

namespace {

std::optional<HeadKind> headOf(const nlohmann::json& config, std::string& architecture) {
  auto list = config.find("architectures");
  if (list != config.end() && list->is_array() && !list->empty() && list->front().is_string())
    architecture = list->front().get<std::string>();
  if (architecture.find("ForCausalLM") != std::string::npos || architecture.find("LMHeadModel") != std::string::npos)
    return HeadKind::CausalLm;
  if (architecture.find("ForSequenceClassification") != std::string::npos) return HeadKind::SequenceClassification;
  if (architecture.find("ForImageClassification") != std::string::npos) return HeadKind::ImageClassification;
  if (architecture.find("ForMaskedLM") != std::string::npos) return HeadKind::MaskedLm;
  if (architecture.find("ForQuestionAnswering") != std::string::npos) return HeadKind::TokenSpan;
  return std::nullopt;
}

}  // namespace

GoldenModel openModel(const std::filesystem::path& folder, at::ScalarType dtype) {
  auto config = readModelConfig(folder);
  if (!config) {
    // A folder without a model type is another kind of model (a vision network's formula weights), not a broken case.
    if (!std::filesystem::exists(folder / "config.json")) return {nullptr, "a model without config.json"};
    throw ErrorException(config.error());
  }
  const std::string type = text(*config, "model_type");
  if (auto family = findModelFamily(type); !family) return {nullptr, "model " + (type.empty() ? "of no type" : type)};
  std::string architecture;
  const auto head = headOf(*config, architecture);
  if (!head) return {nullptr, architecture.empty() ? "a model without a known head" : architecture};
  ModelLoadOptions options;
  options.dtype = dtype;
  options.head = *head;
  options.numLabels = static_cast<int64_t>(numberOr(*config, "num_labels", 2));
  if (auto labels = config->find("id2label"); labels != config->end() && labels->is_object() && !labels->empty())
    options.numLabels = static_cast<int64_t>(labels->size());
  auto model = loadModel(folder, options);
  if (!model) throw ErrorException(model.error());
  return {std::move(model).value(), std::nullopt};
}

NotBuilt checkModel(const Case& golden, Findings& findings) {
  if (isImageCase(golden)) return checkImages(golden, findings);
  // The weights lie beside the case, except where it names a model.
  const std::string named = text(golden.meta(), "model");
  const auto folder = named.empty() ? golden.jsonFolder() : golden.modelFolder();
  const bool wide = golden.has("out/logits") && golden.get("out/logits").scalar_type() == at::kDouble;
  GoldenModel opened = openModel(folder, wide ? at::kDouble : at::kFloat);
  if (opened.notBuilt) return opened.notBuilt;
  Model& model = *opened.model;

  const Tolerance logitsTolerance{golden.tolerance("logits_atol", 2e-4), golden.tolerance("logits_rtol", 1e-3)};
  const Tolerance hiddenTolerance{golden.tolerance("hidden_atol", 2e-4), golden.tolerance("hidden_rtol", 0)};
  const Tolerance gradTolerance{golden.tolerance("grad_atol", 1e-5), golden.tolerance("grad_rtol", 2e-3)};

  const PaddedBatch padded = readBatch(golden, "in/");
  const PackedBatch batch = pack(padded, model.head(), model.numLabels());
  ForwardContext context;
  {
    const at::NoGradGuard noGrad;
    if (golden.has("out/logits"))
      findings.close("logits", model.logits(batch, context), packedRows(golden.get("out/logits"), padded),
                     logitsTolerance);
    const auto hiddenNames = golden.namesUnder("out/hidden_states.");
    if (!hiddenNames.empty()) {
      const auto states = model.hiddenStates(batch, context);
      findings.equal("number of hidden states", static_cast<int64_t>(states.size()),
                     static_cast<int64_t>(hiddenNames.size()));
      for (size_t i = 0; i < states.size(); ++i)
        if (const std::string name = "out/hidden_states." + std::to_string(i); golden.has(name))
          findings.close("hidden state " + std::to_string(i), states[i], packedRows(golden.get(name), padded),
                         hiddenTolerance);
      findings.close("final hidden", model.hidden(batch, context), states.back(), hiddenTolerance);
    }
    if (golden.has("leftpad/logits")) {
      const PaddedBatch left = readBatch(golden, "leftpad/");
      findings.close("left-padded logits", model.logits(pack(left, HeadKind::None, 0), context),
                     packedRows(golden.get("leftpad/logits"), left), logitsTolerance);
    }
    if (model.head() == HeadKind::CausalLm) checkGeneration(golden, model, findings);
  }
  if (!batch.labels.defined()) return std::nullopt;

  MethodSettings everything;
  everything.name = "full";
  auto method = makeMethod(everything);
  if (!method) throw ErrorException(method.error());
  if (auto ok = (*method)->attach(model); !ok) throw ErrorException(ok.error());
  const at::Tensor loss = model.loss(batch, context);
  if (golden.has("out/loss"))
    findings.close("loss", loss.reshape({1}), golden.get("out/loss").reshape({1}),
                   {golden.tolerance("loss_atol", 1e-5), 0});
  const auto gradients = golden.namesUnder("grad/");
  if (gradients.empty()) return std::nullopt;
  loss.backward();
  for (const std::string& name : gradients) {
    const std::string parameter = name.substr(5);
    if (!model.parameters().contains(parameter)) {
      findings.fail("the model has no parameter " + parameter);
      continue;
    }
    findings.close("gradient of " + parameter, model.parameters().at(parameter).grad(), golden.get(name),
                   gradTolerance);
  }
  return std::nullopt;
}

}  // namespace rankscope::golden
