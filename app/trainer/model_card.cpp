#include "app/trainer/model_card.h"

#include <fmt/format.h>

#include <cmath>

#include "app/trainer/command.h"
#include "core/runlog/event_log.h"
#include "rankscope_version.h"

namespace rankscope {
namespace {

// A value on one line of a table or of the front matter.
std::string oneLine(std::string text) {
  for (char& c : text)
    if (c == '\n' || c == '\r' || c == '|') c = ' ';
  return text;
}

std::string yamlText(const std::string& text) {
  return nlohmann::json(oneLine(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

const char* pipelineOf(HeadKind head) {
  switch (head) {
    case HeadKind::CausalLm: return "text-generation";
    case HeadKind::SequenceClassification: return "text-classification";
    case HeadKind::MaskedLm: return "fill-mask";
    case HeadKind::TokenSpan: return "question-answering";
    case HeadKind::ImageClassification: return "image-classification";
    case HeadKind::None: break;
  }
  return "feature-extraction";
}

// The last evaluation that the run's log holds at the exported step.
event::Values lastScores(const RunFolder& run, int64_t step) {
  event::Values scores;
  const Result<std::vector<event::Event>> events = readAllEvents(run.eventsFile());
  if (!events) return scores;
  for (const event::Event& entry : *events)
    if (const auto* eval = std::get_if<event::Eval>(&entry.body); eval && eval->at.step == step) scores = eval->values;
  return scores;
}

}  // namespace

std::string modelCard(CardKind kind, const TrainedModel& trained, const std::string& baseName,
                      const OutputCheck& check) {
  const TrainingSetup& setup = trained.setup;
  const std::string method = setup.config.str("method.name");
  const std::string name = setup.config.str("name").empty() ? trained.run->id() : setup.config.str("name");
  std::string card = "---\n";
  card += fmt::format("base_model: {}\n", yamlText(baseName));
  card += fmt::format("library_name: {}\n", kind == CardKind::Adapter ? "peft" : "transformers");
  card += fmt::format("pipeline_tag: {}\n", pipelineOf(setup.head));
  card += fmt::format("tags:\n- rankscope\n- {}\n---\n\n", yamlText(method));
  card += fmt::format("# {}\n\n", oneLine(name));
  card += kind == CardKind::Adapter
              ? fmt::format("An adapter ({}) for `{}`, in PEFT's format.\n\n", method, oneLine(baseName))
              : fmt::format("`{}` after fine-tuning ({}), as a whole model.\n\n", oneLine(baseName), method);
  card += fmt::format("Written by Rankscope {} from step {} of run `{}`: {} {} in {} of training.\n\n",
                      RANKSCOPE_VERSION, trained.step, trained.run->id(), formatCount(trained.tokens), check.unit,
                      formatSeconds(trained.seconds));
  if (const event::Values scores = lastScores(*trained.run, trained.step); !scores.empty()) {
    card += "## Scores\n\n| metric | value |\n|---|---|\n";
    for (const auto& [metric, value] : scores)
      if (std::isfinite(value)) card += fmt::format("| {} | {} |\n", oneLine(metric), formatNumber(value, 5));
    card += "\n";
  }
  card += "## Settings\n\n| option | value |\n|---|---|\n";
  for (const OptionSpec& option : optionTable()) {
    // Paths of the machine it was made on tell nobody else anything.
    if (option.type == OptionType::Path || option.key == "name" || option.key == "notes" ||
        !applies(option, setup.config))
      continue;
    if (setup.config.isDefault(option.key) && option.key.rfind("method.", 0) != 0 && option.key.rfind("optim.", 0) != 0)
      continue;
    const std::string value = setup.config.valueText(option.key);
    if (!value.empty()) card += fmt::format("| {} | {} |\n", option.key, oneLine(value));
  }
  card += fmt::format(
      "\nChecked when it was written: on {} {} ({} {}) its outputs equal the trained model's; the largest "
      "difference of a "
      "logit is {:.2g}, the largest logit {:.3g}.\n",
      check.rows, check.fromData ? "rows of the evaluation data" : "made-up sequences", check.tokens, check.unit, check.largest,
      check.scale);
  return card;
}

}  // namespace rankscope
