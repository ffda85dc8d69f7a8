#include "core/train/language_twin.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/methods/trained_parameters.h"
#include "core/train/evaluation.h"
#include "core/train/pseudo_likelihood.h"

namespace rankscope {
namespace {

Error noLanguageHead(const TrainedModel& trained, const std::string& found) {
  return {ErrorCode::Usage, "this model has no language head to measure a pseudo-loss with", trained.setup.modelFolder.string(), found,
          "a checkpoint that carries the head of its pre-training",
          "Choose a base model saved with its language head (RobertaForMaskedLM, LlamaForCausalLM …), or leave the text out."};
}

}  // namespace

Result<LanguageTwin> languageTwin(const TrainedModel& trained) {
  const TrainingSetup& setup = trained.setup;
  const Result<const ModelFamily*> family = findModelFamily(setup.model->family());
  if (!family) return family.error();
  const std::vector<HeadKind>& heads = (*family)->heads;
  const auto carries = [&](HeadKind head) { return std::find(heads.begin(), heads.end(), head) != heads.end(); };
  ModelLoadOptions load;
  load.dtype = setup.computeDtype;
  load.head = carries(HeadKind::CausalLm) ? HeadKind::CausalLm : HeadKind::MaskedLm;
  if (!carries(load.head)) return noLanguageHead(trained, setup.model->family());
  load.randomInit = setup.config.flag("model.random_init");
  load.seed = static_cast<uint64_t>(setup.config.integer("seed"));  // the same draw
  LanguageTwin twin;
  if (!setup.method) {
    Result<std::unique_ptr<Model>> model = loadModel(setup.modelFolder, load);
    if (!model) return model.error();
    twin.model = std::move(*model);
  } else {
    MethodSettings settings = setup.method->settings();
    settings.stateFollows = true;
    const std::vector<std::string> taskHead = setup.model->headParameters();
    std::erase_if(settings.modulesToSave, [&](const std::string& name) {
      return std::any_of(taskHead.begin(), taskHead.end(),
                         [&](const std::string& parameter) { return parameter.find(name) != std::string::npos; });
    });
    load.keepFloat32 = (*findMethod(settings.name))->kind() == MethodKind::Full;
    Result<std::unique_ptr<Method>> method = makeMethod(std::move(settings));
    if (!method) return method.error();
    Result<std::unique_ptr<Model>> model = loadBaseModel(setup.modelFolder, load, **method);
    if (!model) return model.error();
    twin.model = std::move(*model);
    twin.method = std::move(*method);
  }
  if (const auto& drawn = twin.model->loadReport().newlyInitialised; !drawn.empty() && !load.randomInit)
    return noLanguageHead(trained, drawn.front() + " is not in the checkpoint");
  if (!twin.method) return twin;
  if (auto attached = twin.method->attach(*twin.model); !attached) return attached.error();
  if (auto copied = copyUpdate(*setup.method, twin); !copied) return copied.error();
  return twin;
}

Result<void> copyUpdate(const Method& from, LanguageTwin& to) {
  const at::NoGradGuard noGrad;
  std::map<std::string, at::Tensor> values;
  for (const OptimizedParameter& parameter : from.trainable()) values[parameter.name] = parameter.tensor.detach();
  std::vector<OptimizedParameter> shared = to.method->trainable();
  std::erase_if(shared, [&](const OptimizedParameter& parameter) {  // the heads differ
    const auto value = values.find(parameter.name);
    return value == values.end() || value->second.sizes() != parameter.tensor.sizes();
  });
  if (auto copied = copyInto(shared, values); !copied) return copied;
  return to.method->loadState(from.state());
}

Result<TextLoss> textLoss(Model& model, const Tokenizer& tokenizer, const std::filesystem::path& text, const RunConfig& config,
                          int64_t lines, const std::function<bool(double)>& progress) {
  DataSettings settings;
  settings.evalLimit = static_cast<uint64_t>(lines);
  settings.maxLength = config.integer("data.max_length");
  if (const int64_t most = model.maxPositions(); most > 0) settings.maxLength = std::min(settings.maxLength, most);
  const Error interrupted{ErrorCode::Interrupted, "the measurement was cancelled", text.string(), "", "", "Start it again when wanted."};
  if (model.head() == HeadKind::MaskedLm) {
    settings.task = DataTask::MaskedLm;
    const Result<PseudoLikelihood> scored =
        scorePseudoLikelihood(model, tokenizer, text, settings, [&](double share) { progress(share); });
    if (!scored) return scored.error();
    return TextLoss{scored->loss(), scored->tokens};
  }
  Result<PreparedFile> file = prepareFile(text, settings, tokenizer);
  if (!file) return file.error();
  EvaluationOptions options;
  options.between = progress;
  const Result<std::optional<Evaluation>> evaluated = evaluate(model, file->set, DataTask::CausalLm, options);
  if (!evaluated) return evaluated.error();
  if (!*evaluated) return interrupted;
  return TextLoss{(*evaluated)->values.at("loss"), (*evaluated)->predictions.scoredTokens};
}

}  // namespace rankscope
