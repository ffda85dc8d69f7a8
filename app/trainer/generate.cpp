// rankscope-train generate: what a run or a model says to a prompt.

#include "core/models/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <iterator>

#include "app/trainer/commands.h"
#include "app/trainer/subject.h"
#include "core/models/stop_tokens.h"
#include "core/text/chat_recognition.h"

namespace rankscope {
namespace {

struct GenerateArguments {
  SubjectArguments subject;
  std::vector<std::string> prompts;
  GenerateOptions options;
  std::string stopping = "heuristic", rule = "transformers", chat = "run", system;
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

constexpr const char* kStoppings[] = {"heuristic", "yes", "never"};  // in the order of EarlyStopping
constexpr const char* kRules[] = {"transformers", "lora-paper"};     // in the order of BeamRule

template <typename Choice, size_t kCount>
Choice choiceOf(const std::string& name, const char* const (&names)[kCount]) {
  return static_cast<Choice>(std::find(std::begin(names), std::end(names), name) - std::begin(names));
}

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

void declareBeams(CLI::App* sub, GenerateArguments& arguments) {
  GenerateOptions& o = arguments.options;
  constexpr const char* kGroup = "Beam search";
  sub->add_option("--beams", o.beams, "Keep as many texts open and give the best one; does not sample")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024))
      ->group(kGroup);
  sub->add_option("--length-penalty", o.lengthPenalty,
                  "Scores are divided by length to this power: above 0 favours longer texts")
      ->capture_default_str()
      ->check(CLI::Range(-100.0, 100.0))
      ->group(kGroup);
  sub->add_option("--early-stopping", arguments.stopping,
                  "heuristic: the search ends once no open text beats the worst finished one at its length; yes: at as "
                  "many finished texts as beams; never: once none could at any length")
      ->capture_default_str()
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kStoppings), std::end(kStoppings))))
      ->group(kGroup);
  sub->add_option("--beam-rule", arguments.rule,
                  "The search of transformers, or the one behind the NLG tables of the LoRA paper")
      ->capture_default_str()
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kRules), std::end(kRules))))
      ->group(kGroup);
}

}  // namespace

void addGenerateCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("generate", "Continue prompts with a run or a model");
  auto arguments = std::make_shared<GenerateArguments>();
  arguments->subject.declare(sub, false);
  sub->add_option(
         "--prompt", arguments->prompts,
         "Text to continue; may be given often, and all go through the model together (default: standard input)")
      ->take_all()
      ->allow_extra_args(false);
  sub->add_option("--chat-template", arguments->chat,
                  "A prompt is a user's turn of a conversation in this form: a template's name, auto (the model's own), none, "
                  "or run (what the run was trained with)")
      ->capture_default_str();
  sub->add_option("--system", arguments->system, "System text of the conversation");
  declareChoice(sub, arguments->options);
  declareBeams(sub, *arguments);
  context.run(sub, [&context, arguments]() -> int {
    if (arguments->prompts.empty())
      arguments->prompts.emplace_back(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
    Result<TrainedModel> trained = loadSubject(context, arguments->subject, false);
    if (!trained) return context.fail(trained.error());
    if (trained->setup.head != HeadKind::CausalLm)
      return context.fail({ErrorCode::Usage, "a classifier has no text to generate", arguments->subject.subject,
                           "a classification head", "a language model", "Use `rankscope-train eval` for it."});
    const Tokenizer& tokenizer = *trained->setup.tokenizer;
    std::optional<ChatTemplate> chat = trained->setup.dataSettings.chatTemplate;
    if (arguments->chat != "run") {
      auto named = chatTemplateFor(arguments->chat, trained->setup.modelFolder, context.places.resources / "templates");
      if (!named) return context.fail(named.error());
      chat = std::move(*named);
    }
    if (!chat && !arguments->system.empty())
      return context.fail({ErrorCode::Usage, "a system text needs a chat template", "--system", "no template", "a chat template",
                           "Name one with --chat-template."});
    std::vector<std::vector<int64_t>> prompts;
    for (const std::string& text : arguments->prompts) {
      Result<std::vector<int64_t>> ids = promptIds(tokenizer, text, chat ? &*chat : nullptr, arguments->system);
      if (!ids) return context.fail(ids.error());
      prompts.push_back(std::move(*ids));
    }
    GenerateOptions options = arguments->options;
    options.earlyStopping = choiceOf<EarlyStopping>(arguments->stopping, kStoppings);
    options.beamRule = choiceOf<BeamRule>(arguments->rule, kRules);
    options.stopTokens =
        stopTokensOf(trained->setup.modelFolder, trained->setup.model->config(), tokenizer.special().eos);
    if (const int32_t end = chat ? chatEnd(*chat, tokenizer) : -1; end >= 0) options.stopTokens.push_back(end);
    Result<std::vector<Generated>> generated = generate(*trained->setup.model, prompts, options);
    if (!generated) return context.fail(generated.error());
    nlohmann::json documents = nlohmann::json::array();
    std::string text;
    for (size_t i = 0; i < generated->size(); ++i) {
      const std::vector<int64_t>& tokens = (*generated)[i].tokens;
      const std::string answer = tokenizer.decode(std::vector<int32_t>(tokens.begin(), tokens.end()));
      nlohmann::json document{{"prompt", arguments->prompts[i]},
                              {"text", answer},
                              {"tokens", tokens.size()},
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
