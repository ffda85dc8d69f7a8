// rankscope-train tokenize: text to a model's tokens, and ids back to text.

#include <fmt/format.h>

#include <charconv>

#include "app/trainer/commands.h"
#include "app/trainer/data_documents.h"
#include "core/config/files.h"
#include "core/data/conversation.h"
#include "core/text/chat_recognition.h"
#include "core/text/registry.h"

namespace rankscope {
namespace {

constexpr size_t kMaxTextBytes = 64u << 20;

struct TokenizeArguments {
  std::string model, text, pair, file, ids, chat;
  bool plain = false;
  size_t limit = 0;
};

Result<std::vector<int32_t>> parseIds(const std::string& text) {
  std::vector<int32_t> ids;
  for (size_t at = text.find_first_not_of(" ,[]"); at != std::string::npos; at = text.find_first_not_of(" ,[]", at)) {
    int32_t id = 0;
    const auto [end, code] = std::from_chars(text.data() + at, text.data() + text.size(), id);
    if (code != std::errc())
      return Error{ErrorCode::Usage, "not a list of token ids", "--decode", text.substr(at, 20), "whole numbers: 1,403,407",
                   "Give ids separated by commas."};
    ids.push_back(id);
    at = static_cast<size_t>(end - text.data());
  }
  return ids;
}

// The text as a user's turn to be answered, or as the conversation that its JSON is.
Result<Encoding> encodedChat(const ChatTemplate& chat, const Tokenizer& tokenizer, const std::string& text) {
  std::vector<ChatTurn> turns = {{ChatRole::User, text}};
  if (looksLikeConversation(text)) {
    auto read = readConversation(text);
    if (const std::string* reason = std::get_if<std::string>(&read))
      return Error{ErrorCode::BadInput, *reason, "TEXT", "", "[{\"role\": \"user\", \"content\": \"…\"}, …]",
                   "Correct the conversation."};
    turns = std::move(std::get<std::vector<ChatTurn>>(read));
  }
  return encodeChat(chat, tokenizer, turns, turns.back().role == ChatRole::User);
}

int tokenize(CommandContext& context, TokenizeArguments arguments) {
  Result<std::filesystem::path> folder = context.places.resolve(arguments.model);
  if (!folder) return context.fail(folder.error());
  Result<std::unique_ptr<Tokenizer>> tokenizer = loadTokenizer(*folder);
  if (!tokenizer) return context.fail(tokenizer.error());
  if (!arguments.ids.empty()) {
    Result<std::vector<int32_t>> ids = parseIds(arguments.ids);
    if (!ids) return context.fail(ids.error());
    const std::string text = (*tokenizer)->decode(*ids);
    context.print({{"ids", *ids}, {"text", cleanUtf8(text, kMaxTextBytes)}}, text);
    return 0;
  }
  if (!arguments.file.empty()) {
    Result<std::string> text = readFileBounded(arguments.file, kMaxTextBytes);
    if (!text) return context.fail(text.error());
    arguments.text = std::move(*text);
  }
  EncodeOptions options;
  options.addSpecial = !arguments.plain;
  options.maxTokens = arguments.limit;
  Encoding encoding;
  if (!arguments.chat.empty()) {
    auto chat = chatTemplateFor(arguments.chat, *folder, context.places.resources / "templates");
    if (!chat) return context.fail(chat.error());
    if (!*chat)
      return context.fail({ErrorCode::Usage, "the model has no chat template", "--chat-template", arguments.chat,
                           "the name of a template", "Name one, for instance chatml."});
    Result<Encoding> encoded = encodedChat(**chat, **tokenizer, arguments.text);
    if (!encoded) return context.fail(encoded.error());
    encoding = std::move(*encoded);
  } else {
    encoding = arguments.pair.empty() ? (*tokenizer)->encode(arguments.text, options)
                                      : (*tokenizer)->encodePair(arguments.text, arguments.pair, options);
  }
  TextTable table;
  table.header = {"id", "piece", "bytes", "type"};
  table.rightAligned = {0};
  for (size_t i = 0; i < encoding.size(); ++i)
    table.rows.push_back({std::to_string(encoding.ids[i]), cleanUtf8((*tokenizer)->idToPiece(encoding.ids[i]), 256),
                          fmt::format("{}…{}", encoding.spans[i].begin, encoding.spans[i].end),
                          encoding.typeIds.empty() ? "" : std::to_string(encoding.typeIds[i])});
  context.print(tokensDocument(**tokenizer, encoding), table);
  context.note(fmt::format("{} tokens of {} ({}, vocabulary of {})", encoding.size(), arguments.model, (*tokenizer)->kind(),
                           (*tokenizer)->vocabSize()));
  return 0;
}

}  // namespace

void addTokenizeCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("tokenize", "Show a text as a model's tokens, or token ids as text");
  auto arguments = std::make_shared<TokenizeArguments>();
  sub->add_option("MODEL", arguments->model, "Model folder (also starter:… or models:…), or a tokenizer file")->required();
  CLI::Option* text = sub->add_option("TEXT", arguments->text, "The text");
  CLI::Option* file = sub->add_option("--file", arguments->file, "Take the text from this file");
  CLI::Option* ids = sub->add_option("--decode", arguments->ids, "Token ids to turn into text: 1,403,407");
  CLI::Option* pair = sub->add_option("--pair", arguments->pair, "Second text of a pair");
  sub->add_option("--chat-template", arguments->chat,
                  "The text is a user's turn (or, as JSON, a conversation) in this form: a template's name, or auto")
      ->excludes(pair);
  sub->add_option("--max-length", arguments->limit, "Cut to this many tokens");
  sub->add_flag("--plain", arguments->plain, "Without the special tokens around the text");
  file->excludes(text);
  ids->excludes(text)->excludes(file);
  context.run(sub, [&context, arguments] { return tokenize(context, *arguments); });
}

}  // namespace rankscope
