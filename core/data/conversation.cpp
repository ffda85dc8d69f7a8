#include "core/data/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/config/json_text.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

using nlohmann::json;

// The keys of a turn's speaker and text.
struct TurnKeys {
  const char* speaker;
  const char* text;
};
constexpr TurnKeys kTurnKeys[] = {{"role", "content"}, {"from", "value"}};

const TurnKeys* keysOf(const json& turn) {
  for (const TurnKeys& keys : kTurnKeys) {
    const auto speaker = turn.find(keys.speaker);
    if (speaker != turn.end() && speaker->is_string() && turn.contains(keys.text)) return &keys;
  }
  return nullptr;
}

// Names that data sets give the three; those of tools are none of them.
std::optional<ChatRole> roleOf(const std::string& name) {
  if (name == "system") return ChatRole::System;
  if (name == "user" || name == "human" || name == "prompter") return ChatRole::User;
  if (name == "assistant" || name == "gpt" || name == "model" || name == "bot" || name == "chatbot") return ChatRole::Assistant;
  return std::nullopt;
}

}  // namespace

bool isConversation(const json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const json& turn) { return turn.is_object() && keysOf(turn); });
}

bool looksLikeConversation(std::string_view cell) {
  const size_t list = cell.find_first_not_of(" \t\r\n");
  if (list == std::string_view::npos || cell[list] != '[') return false;
  const std::string_view head = cell.substr(list, 4096);
  return std::any_of(std::begin(kTurnKeys), std::end(kTurnKeys), [&](const TurnKeys& keys) {
    return head.find(fmt::format("\"{}\"", keys.speaker)) != std::string_view::npos;
  });
}

std::variant<std::vector<ChatTurn>, std::string> readConversation(const std::string& cell) {
  const Result<json> document = parseJson(cell, "conversation");
  if (!document) return fmt::format("the conversation cannot be read: {}", document.error().what);
  if (!isConversation(*document)) return "the conversation is no list of turns with role and content, or from and value";
  std::vector<ChatTurn> turns;
  for (const json& turn : *document) {
    const TurnKeys& keys = *keysOf(turn);
    const std::string speaker = turn[keys.speaker].get<std::string>();
    const std::optional<ChatRole> role = roleOf(speaker);
    if (!role) return fmt::format("a turn's speaker is {}, whom chat templates do not know", shown(speaker, 40));
    if (!turn[keys.text].is_string()) return fmt::format("a turn of {} holds something else than text", shown(speaker, 40));
    turns.push_back({*role, turn[keys.text].get<std::string>()});
  }
  return turns;
}

}  // namespace rankscope
