#include "core/text/chat_template.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
constexpr size_t kMaxFiles = 1000;

// Jinja's trim and Python's strip().
std::string trimmed(const std::string& text, const char* set = " \t\n\r\v\f") {
  const size_t begin = text.find_first_not_of(set);
  return begin == std::string::npos ? std::string() : text.substr(begin, text.find_last_not_of(set) + 1 - begin);
}

std::string trimmedLeft(const std::string& text, const char* set) {
  return text.substr(std::min(text.find_first_not_of(set), text.size()));
}

void replaceAll(std::string& text, std::string_view from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

std::string filledIn(std::string text, const ChatTokens& tokens) {
  replaceAll(text, "{bos}", tokens.bos);
  replaceAll(text, "{eos}", tokens.eos);
  return text;
}

}  // namespace

ChatTokens chatTokensOf(const Tokenizer& tokenizer) {
  // idToPiece gives "" for the -1 of a token that there is none of.
  return {tokenizer.idToPiece(tokenizer.special().bos), tokenizer.idToPiece(tokenizer.special().eos)};
}

const char* chatRoleName(ChatRole role) {
  return role == ChatRole::System ? "system" : role == ChatRole::User ? "user" : "assistant";
}

Result<ChatTemplate> ChatTemplate::parse(const json& document, const std::string& name, const std::string& where) {
  ChatTemplate result;
  result.name = name;
  std::optional<Error> mistake;
  const auto bad = [&](const std::string& key, const std::string& found, const std::string& expected) {
    if (!mistake)
      mistake = Error{ErrorCode::BadInput, "the chat template is malformed", where + ", " + key, found, expected,
                      "Correct the file, or restore the one that came with the program."};
  };
  const auto text = [&](const json& value, const std::string& key, std::string& to) {
    if (value.is_string()) to = value.get<std::string>();
    else bad(key, describeJson(value), "a text");
  };
  const auto flag = [&](const json& value, const std::string& key, bool& to) {
    if (value.is_boolean()) to = value.get<bool>();
    else bad(key, describeJson(value), "true or false");
  };
  const auto piece = [&](const json& value, const std::string& role, Piece& to) {
    if (!value.is_object()) return bad(role, describeJson(value), "an object");
    for (const auto& [key, entry] : value.items()) {
      const std::string path = role + "." + cleanUtf8(key, 40);
      if (key == "before") text(entry, path, to.before);
      else if (key == "after") text(entry, path, to.after);
      else if (key == "trim") flag(entry, path, to.trim);
      else if (key == "end" && role == "assistant") text(entry, path, to.end);
      else if (key == "reasoning" && role == "assistant") flag(entry, path, result.m_reasoning);
      else if (key == "default" && role == "system") text(entry, path, result.defaultSystem.emplace());
      else if (key == "place" && role == "system" && entry == "turn") result.m_place = Place::Turn;
      else if (key == "place" && role == "system" && entry == "first_user") result.m_place = Place::FirstUser;
      else if (key == "place" && role == "system" && entry == "none") result.m_place = Place::None;
      else bad(path, describeJson(entry), "a key of a template's role");
    }
  };
  if (!document.is_object()) bad("the document", describeJson(document), "an object");
  else
    for (const auto& [key, value] : document.items()) {
      if (key == "title") text(value, key, result.title);
      else if (key == "help") text(value, key, result.help);
      else if (key == "opening") text(value, key, result.m_opening);
      else if (key == "generation") text(value, key, result.m_generation);
      else if (key == "input") text(value, key, result.inputJoint);
      else if (key == "tokenizer_prefix") flag(value, key, result.tokenizerPrefix);
      else if (key == "alternate") flag(value, key, result.m_alternate);
      else if (key == "system") piece(value, key, result.m_system);
      else if (key == "user") piece(value, key, result.m_user);
      else if (key == "assistant") piece(value, key, result.m_assistant);
      else bad(cleanUtf8(key, 40), describeJson(value), "a key of a template");
    }
  if (!mistake)
    for (const char* key : {"user", "assistant"})
      if (!document.contains(key)) bad(key, "nothing", "what stands around this role's turns");
  if (mistake) return *mistake;
  if (result.title.empty()) result.title = name;
  json identity = document;
  identity.erase("title");
  identity.erase("help");
  result.m_identity = jsonText(identity);
  return result;
}

void ChatTemplate::assistantTurn(const std::string& given, bool last, RenderedChat& out) const {
  std::string content = m_assistant.trim ? trimmed(given) : given;
  out.text += m_assistant.before;
  const size_t begin = out.text.size();
  if (m_reasoning) {
    std::string thought;
    if (const size_t close = content.find("</think>"); close != std::string::npos) {
      thought = content.substr(0, close);
      thought.erase(thought.find_last_not_of('\n') + 1);
      if (const size_t open = thought.rfind("<think>"); open != std::string::npos) thought.erase(0, open + 7);
      content = trimmedLeft(content.substr(content.rfind("</think>") + 8), "\n");
    }
    if (last) content = "<think>\n" + trimmed(thought, "\n") + "\n</think>\n\n" + trimmedLeft(content, "\n");
  }
  out.text += content + m_assistant.end;
  out.learned.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(out.text.size())});
  out.text += m_assistant.after;
}

Result<RenderedChat> ChatTemplate::render(std::span<const ChatTurn> turns, bool generation, const ChatTokens& tokens) const {
  const auto refused = [&](std::string what, std::string hint) {
    return Error{ErrorCode::BadInput, std::move(what), "chat template " + name, "", "", std::move(hint)};
  };
  // The pieces with {bos} and {eos} in place; contents are put in afterwards, so that they are never searched.
  ChatTemplate filled = *this;
  for (std::string* text : {&filled.m_opening, &filled.m_generation, &filled.m_system.before, &filled.m_system.after,
                            &filled.m_user.before, &filled.m_user.after, &filled.m_assistant.before, &filled.m_assistant.end,
                            &filled.m_assistant.after})
    *text = filledIn(std::move(*text), tokens);
  RenderedChat out;
  out.text = filled.m_opening;
  std::optional<std::string> system = defaultSystem;
  if (!turns.empty() && turns[0].role == ChatRole::System) {
    system = turns[0].text;
    turns = turns.subspan(1);
    if (m_place == Place::None)
      return refused("the chat template has no place for a system text", "Put the system text into the first question.");
  }
  std::string early;  // the system text where it belongs to the first user's turn
  if (system) {
    std::string wrapped = filled.m_system.before + (m_system.trim ? trimmed(*system) : *system) + filled.m_system.after;
    if (m_place == Place::Turn) out.text += wrapped;
    else early = std::move(wrapped);
  }
  for (size_t i = 0; i < turns.size(); ++i) {
    const ChatTurn& turn = turns[i];
    if (turn.role == ChatRole::System)
      return refused("a system text stands within the conversation", "Only the first turn may be the system's.");
    if (m_alternate && (turn.role == ChatRole::User) != (i % 2 == 0))
      return refused("user and assistant do not take turns", "This template wants user, assistant, user, … in turn.");
    if (turn.role == ChatRole::Assistant) {
      filled.assistantTurn(turn.text, i + 1 == turns.size(), out);
      continue;
    }
    const std::string content = i == 0 ? early + turn.text : turn.text;
    out.text += filled.m_user.before + (m_user.trim ? trimmed(content) : content) + filled.m_user.after;
  }
  if (generation) out.text += filled.m_generation;
  return out;
}

std::string ChatTemplate::endMark(const ChatTokens& tokens) const { return trimmed(filledIn(m_assistant.end, tokens)); }

std::string ChatTemplate::identity() const { return m_identity + (defaultSystem ? "+" + *defaultSystem : "-"); }

Result<Encoding> encodeChat(const ChatTemplate& chat, const Tokenizer& tokenizer, std::span<const ChatTurn> turns,
                            bool generation, RenderedChat* rendered) {
  Result<RenderedChat> text = chat.render(turns, generation, chatTokensOf(tokenizer));
  if (!text) return text.error();
  Encoding tokens = tokenizer.encode(text->text, {.addSpecial = false});
  if (chat.tokenizerPrefix) {
    tokens.ids.insert(tokens.ids.begin(), tokenizer.prefix().begin(), tokenizer.prefix().end());
    tokens.spans.insert(tokens.spans.begin(), tokenizer.prefix().size(), TextSpan{});
  }
  if (rendered) *rendered = std::move(*text);
  return tokens;
}

int32_t chatEnd(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  const std::string mark = chat.endMark(chatTokensOf(tokenizer));
  const Encoding tokens = tokenizer.encode(mark, {.addSpecial = false});
  return !mark.empty() && tokens.size() == 1 ? tokens.ids.front() : -1;
}

Result<std::vector<int64_t>> promptIds(const Tokenizer& tokenizer, const std::string& text, const ChatTemplate* chat,
                                       const std::string& system) {
  if (!chat) {
    std::vector<int64_t> ids(tokenizer.prefix().begin(), tokenizer.prefix().end());
    const Encoding tokens = tokenizer.encode(text, {.addSpecial = false});
    ids.insert(ids.end(), tokens.ids.begin(), tokens.ids.end());
    return ids;
  }
  std::vector<ChatTurn> turns;
  if (!system.empty()) turns.push_back({ChatRole::System, system});
  turns.push_back({ChatRole::User, text});
  Result<Encoding> tokens = encodeChat(*chat, tokenizer, turns, true);
  if (!tokens) return tokens.error();
  return std::vector<int64_t>(tokens->ids.begin(), tokens->ids.end());
}

const ChatTemplate* ChatTemplateList::find(std::string_view wanted) const {
  const auto it = std::find_if(templates.begin(), templates.end(), [&](const ChatTemplate& each) { return each.name == wanted; });
  return it == templates.end() ? nullptr : &*it;
}

ChatTemplateList loadChatTemplates(const fs::path& folder) {
  ChatTemplateList list;
  std::error_code code;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(folder, code), end; !code && it != end && files.size() < kMaxFiles; it.increment(code))
    if (it->path().extension() == ".json") files.push_back(it->path());
  if (code) list.problems.push_back(systemError(code.value(), "cannot list the chat templates", folder));
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    Result<json> document = readJsonFile(file);
    Result<ChatTemplate> parsed =
        document ? ChatTemplate::parse(*document, file.stem().string(), pathText(file)) : Result<ChatTemplate>(document.error());
    if (parsed) list.templates.push_back(std::move(*parsed));
    else list.problems.push_back(parsed.error());
  }
  return list;
}

}  // namespace rankscope
