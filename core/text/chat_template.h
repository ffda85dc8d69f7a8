#pragma once
// Conversations as text. A named template (one JSON file each in resources/templates) says what stands around the turns
// of each role; rendering gives the text a model was taught with and which bytes of it assistants say. A template is a
// value; const use from any thread.

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/text/tokenizer.h"

namespace rankscope {

enum class ChatRole { System, User, Assistant };
const char* chatRoleName(ChatRole role);  // "system"

struct ChatTurn {
  ChatRole role = ChatRole::User;
  std::string text;
};

// What {bos} and {eos} of a template become.
struct ChatTokens {
  std::string bos, eos;
};
ChatTokens chatTokensOf(const Tokenizer& tokenizer);

struct RenderedChat {
  std::string text;
  std::vector<TextSpan> learned;  // one per assistant's turn: its content, and the mark that ends it
};

class ChatTemplate {
 public:
  // `where` names the document in errors.
  static Result<ChatTemplate> parse(const nlohmann::json& document, const std::string& name, const std::string& where);

  std::string name;   // file name without ".json": the value of data.chat_template
  std::string title;  // "Llama 3"
  std::string help;
  // Used when a conversation has no system turn; nullopt = nothing is put there.
  std::optional<std::string> defaultSystem;
  std::string inputJoint = "\n";  // between an instruction and its input
  bool tokenizerPrefix = false;   // the tokenizer's own opening tokens come first; else the text names its own

  // The system's turn may only be the first. `generation`: ends where an assistant is to begin.
  Result<RenderedChat> render(std::span<const ChatTurn> turns, bool generation, const ChatTokens& tokens) const;
  // What ends an answer, without white space: the token at which generation stops.
  std::string endMark(const ChatTokens& tokens) const;
  // All that decides about the text: part of keys for caches.
  std::string identity() const;
  bool takesSystem() const { return m_place != Place::None; }

 private:
  struct Piece {
    std::string before, end, after;  // `end` belongs to what an assistant says
    bool trim = false;
  };
  // Where a system text goes: a turn of its own, before the first user's text, nowhere.
  enum class Place { Turn, FirstUser, None };

  void assistantTurn(const std::string& text, bool last, RenderedChat& out) const;

  Piece m_system, m_user, m_assistant;
  Place m_place = Place::Turn;
  std::string m_opening, m_generation, m_identity;
  bool m_alternate = false;  // user and assistant take turns, a user first
  bool m_reasoning = false;  // Qwen 3's <think> … </think>: kept in the last turn only
};

// The rendered text's tokens, in one pass, as transformers does it: the template's marks become their special tokens.
// `rendered` receives the text that the spans refer to.
Result<Encoding> encodeChat(const ChatTemplate& chat, const Tokenizer& tokenizer, std::span<const ChatTurn> turns,
                            bool generation, RenderedChat* rendered = nullptr);
// The token that ends an answer, -1 where the vocabulary has none.
int32_t chatEnd(const ChatTemplate& chat, const Tokenizer& tokenizer);
// A text to be continued: as it is, or with a template as a user's turn (after a system text, if any) to be answered.
Result<std::vector<int64_t>> promptIds(const Tokenizer& tokenizer, const std::string& text,
                                       const ChatTemplate* chat = nullptr, const std::string& system = {});

struct ChatTemplateList {
  std::vector<ChatTemplate> templates;  // in order of file name
  std::vector<Error> problems;          // files that could not be read
  const ChatTemplate* find(std::string_view name) const;
};
ChatTemplateList loadChatTemplates(const std::filesystem::path& folder);

}  // namespace rankscope
