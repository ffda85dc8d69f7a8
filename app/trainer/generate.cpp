// rankscope-train generate: what a run or a model says to a prompt.

#include "core/models/generate.h"

#include <fmt/format.h>

#include <iostream>

#include "app/trainer/commands.h"
#include "app/trainer/subject.h"

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
  sub->add_option("--prompt", arguments->prompts, "Text to continue; may be given often (default: standard input)")
      ->take_all()
      ->allow_extra_args(false);
  sub->add_option("--tokens", arguments->options.maxNewTokens, "Tokens at most")->capture_default_str()->check(CLI::Range(1, 1 << 20));
  sub->add_option("--temperature", arguments->options.temperature, "0 always takes the likeliest token")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  sub->add_option("--top-k", arguments->options.topK, "Choose among the k likeliest (0: all)")->capture_default_str();
  sub->add_option("--top-p", arguments->options.topP, "Choose among the likeliest that make up this probability")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  sub->add_option("--seed", arguments->options.seed, "Of the choices")->capture_default_str();
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
    if (tokenizer.special().eos >= 0) options.stopTokens = {tokenizer.special().eos};
    Result<std::vector<Generated>> generated = generate(*trained->setup.model, prompts, options);
    if (!generated) return context.fail(generated.error());
    nlohmann::json documents = nlohmann::json::array();
    std::string text;
    for (size_t i = 0; i < generated->size(); ++i) {
      const std::vector<int64_t>& tokens = (*generated)[i].tokens;
      const std::string answer = tokenizer.decode(std::vector<int32_t>(tokens.begin(), tokens.end()));
      documents.push_back({{"prompt", arguments->prompts[i]}, {"text", answer}, {"tokens", tokens.size()},
                           {"end", endName((*generated)[i].end)}});
      text += (i > 0 ? "\n---\n" : "") + arguments->prompts[i] + answer;
    }
    context.print(documents, text);
    return 0;
  });
}

}  // namespace rankscope
