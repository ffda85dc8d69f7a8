// rankscope-train generate: what a run or a model says to a prompt.

#include "core/models/generate.h"

#include <fmt/format.h>

#include <iostream>
#include <map>

#include "app/trainer/commands.h"
#include "app/trainer/subject.h"
#include "core/models/stop_tokens.h"

namespace rankscope {
namespace {

struct GenerateArguments {
  SubjectArguments subject;
  std::vector<std::string> prompts;
  GenerateOptions options;
};

const char* endName(Generated::End end) {
  switch (end) {
    case Generated::End::Length: return "length";
    case Generated::End::StopToken: return "stop_token";
    case Generated::End::ContextFull: return "context_full";
    case Generated::End::Cancelled: return "cancelled";
  }
  return "length";
}

const std::map<std::string, EarlyStopping> kEarlyStopping{
    {"heuristic", EarlyStopping::Heuristic}, {"yes", EarlyStopping::Yes}, {"never", EarlyStopping::Never}};
const std::map<std::string, BeamRule> kBeamRules{{"transformers", BeamRule::Transformers},
                                                 {"lora-paper", BeamRule::LoraPaper}};

void declareChoice(CLI::App* sub, GenerateOptions& o) {
  sub->add_option("--tokens", o.maxNewTokens, "Tokens at most")->capture_default_str()->check(CLI::Range(1, 1 << 20));
  sub->add_option("--min-tokens", o.minNewTokens, "No end before as many tokens")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  sub->add_option("--temperature", o.temperature, "0 always takes the likeliest token")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  sub->add_option("--top-k", o.topK, "Choose among the k likeliest (0: all)")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 24));
  sub->add_option("--top-p", o.topP, "Choose among the likeliest that make up this probability")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  sub->add_option("--seed", o.seed, "Of the choices")->capture_default_str();
  sub->add_option("--no-repeat-ngram", o.noRepeatNgram, "No run of as many tokens comes twice (0: no rule)")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20));
  sub->add_option("--repetition-penalty", o.repetitionPenalty, "Above 1 makes tokens of the text so far less likely")
      ->capture_default_str()
      ->check(CLI::Range(1e-3, 1e3));
}

void declareBeams(CLI::App* sub, GenerateOptions& o) {
  constexpr const char* kGroup = "Beam search";
  sub->add_option("--beams", o.beams, "Keep as many texts open and give the best one; does not sample")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024))
      ->group(kGroup);
  sub->add_option("--length-penalty", o.lengthPenalty, "Scores are divided by length to this power: above 0 favours longer texts")
      ->capture_default_str()
      ->check(CLI::Range(-100.0, 100.0))
      ->group(kGroup);
  sub->add_option("--early-stopping", o.earlyStopping,
                  "When the search ends: once no open text beats the worst finished one at its length (heuristic), at as many "
                  "finished texts as beams (yes), or once none could at any length (never)")
      ->transform(CLI::CheckedTransformer(kEarlyStopping))
      ->option_text("heuristic|yes|never [heuristic]")
      ->group(kGroup);
  sub->add_option("--beam-rule", o.beamRule,
                  "The search of transformers, or the one behind the NLG tables of the LoRA paper")
      ->transform(CLI::CheckedTransformer(kBeamRules))
      ->option_text("transformers|lora-paper [transformers]")
      ->group(kGroup);
}

}  // namespace

std::vector<int64_t> promptIds(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<int64_t> ids(tokenizer.prefix().begin(), tokenizer.prefix().end());
  EncodeOptions plain;
  plain.addSpecial = false;
  const Encoding encoded = tokenizer.encode(text, plain);
  ids.insert(ids.end(), encoded.ids.begin(), encoded.ids.end());
  return ids;
}

void addGenerateCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("generate", "Continue prompts with a run or a model");
  auto arguments = std::make_shared<GenerateArguments>();
  arguments->subject.declare(sub, false);
  sub->add_option("--prompt", arguments->prompts, "Text to continue; may be given often, and all go through the model together (default: standard input)")
      ->take_all()
      ->allow_extra_args(false);
  declareChoice(sub, arguments->options);
  declareBeams(sub, arguments->options);
  context.run(sub, [&context, arguments]() -> int {
    if (arguments->prompts.empty())
      arguments->prompts.emplace_back(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
    Result<TrainedModel> trained = loadSubject(context, arguments->subject, false);
    if (!trained) return context.fail(trained.error());
    if (trained->setup.head != HeadKind::CausalLm)
      return context.fail({ErrorCode::Usage, "a classifier has no text to generate", arguments->subject.subject,
                           "a classification head", "a language model", "Use `rankscope-train eval` for it."});
    const Tokenizer& tokenizer = *trained->setup.tokenizer;
    std::vector<std::vector<int64_t>> prompts;
    for (const std::string& text : arguments->prompts) prompts.push_back(promptIds(tokenizer, text));
    GenerateOptions options = arguments->options;
    options.stopTokens = stopTokensOf(trained->setup.modelFolder, trained->setup.model->config(), tokenizer.special().eos);
    Result<std::vector<Generated>> generated = generate(*trained->setup.model, prompts, options);
    if (!generated) return context.fail(generated.error());
    nlohmann::json documents = nlohmann::json::array();
    std::string text;
    for (size_t i = 0; i < generated->size(); ++i) {
      const std::vector<int64_t>& tokens = (*generated)[i].tokens;
      const std::string answer = tokenizer.decode(std::vector<int32_t>(tokens.begin(), tokens.end()));
      nlohmann::json document{{"prompt", arguments->prompts[i]}, {"text", answer}, {"tokens", tokens.size()},
                              {"end", endName((*generated)[i].end)}};
      if (options.beams > 1 || options.beamRule == BeamRule::LoraPaper) document["score"] = (*generated)[i].score;
      documents.push_back(std::move(document));
      text += (i > 0 ? "\n---\n" : "") + arguments->prompts[i] + answer;
    }
    context.print(documents, text);
    return 0;
  });
}

}  // namespace rankscope
