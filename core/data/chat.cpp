// instruction with a chat template: conversations as the model was taught to read them, loss on what assistants say.

#include <fmt/format.h>

#include <algorithm>

#include "core/config/text_shown.h"
#include "core/data/conversation.h"
#include "core/data/prompt_template.h"
#include "core/data/task.h"

namespace rankscope {
namespace {

using Turns = std::vector<ChatTurn>;

// Without the first `count` questions and their answers; a system text stays.
Turns withoutFirst(const Turns& turns, size_t count) {
  Turns kept;
  size_t answers = 0;
  for (const ChatTurn& turn : turns) {
    if (turn.role == ChatRole::System || answers >= count) kept.push_back(turn);
    answers += turn.role == ChatRole::Assistant;
  }
  return kept;
}

class ChatTask : public RowTask {
 public:
  explicit ChatTask(const TaskSetup& setup)
      : m_tokenizer(*setup.tokenizer),
        m_template(*setup.settings.chatTemplate),
        m_maxLength(static_cast<size_t>(setup.settings.maxLength)),
        m_lastOnly(setup.settings.lossOnLastTurn) {}

  std::optional<PromptTemplate> promptTemplate;
  std::optional<size_t> messages, prompt, answer;

  std::vector<std::string> notes() const override {
    if (chatEnd(m_template, m_tokenizer) >= 0) return {};
    const std::string mark = m_template.endMark(chatTokensOf(m_tokenizer));
    return {mark.empty() ? std::string("the tokenizer has no token that could end an answer")
                         : fmt::format("the tokenizer has no token {}, with which the chat template {} ends an answer; it is "
                                       "written in several and will not end what the model says",
                                       mark, m_template.name)};
  }

  RowOutcome encode(const Row& row) const override {
    Turns turns;
    if (std::optional<std::string> reason = turnsOf(row, turns)) return SkippedRow{*reason + "; the row was left out"};
    // What follows the last answer teaches nothing.
    while (!turns.empty() && turns.back().role != ChatRole::Assistant) turns.pop_back();
    if (turns.empty()) return SkippedRow{"the conversation holds no answer; the row was left out"};
    if (turns.back().text.empty()) return SkippedRow{"the answer is empty; the row was left out"};

    EncodedRow encoded;
    std::vector<size_t> ends;  // number of tokens up to the end of every answer
    if (std::optional<std::string> reason = tokenise(turns, encoded, ends)) return SkippedRow{*reason + "; the row was left out"};
    const size_t whole = encoded.ids.size();
    // Too long: the oldest questions go with their answers, whole, as long as one is left.
    while (encoded.ids.size() > m_maxLength && ends.size() > 1) {
      size_t drop = 1;
      while (drop + 1 < ends.size() && encoded.ids.size() - ends[drop - 1] > m_maxLength) ++drop;
      turns = withoutFirst(turns, drop);
      if (std::optional<std::string> reason = tokenise(turns, encoded, ends)) return SkippedRow{*reason + "; the row was left out"};
    }
    const auto first = std::find(encoded.lossMask.begin(), encoded.lossMask.end(), uint8_t{1});
    if (first == encoded.lossMask.end()) return SkippedRow{"the answer gives no token; the row was left out"};
    cutToLength(encoded, openingTokens(encoded), static_cast<size_t>(first - encoded.lossMask.begin()), m_maxLength);
    encoded.lost = whole - std::min(whole, encoded.ids.size());
    return encoded;
  }

 private:
  // Why there are none.
  std::optional<std::string> turnsOf(const Row& row, Turns& turns) const {
    const auto cell = [&](std::optional<size_t> column) { return column ? row.cells[*column].value_or("") : std::string(); };
    if (messages) {
      const std::string conversation = cell(messages);
      if (conversation.empty()) return "the row has no conversation";
      auto read = readConversation(conversation);
      if (const std::string* reason = std::get_if<std::string>(&read)) return *reason;
      turns = std::move(std::get<Turns>(read));
      if (answer && !turns.empty() && turns.back().role != ChatRole::Assistant)
        turns.push_back({ChatRole::Assistant, cell(answer)});
      return std::nullopt;
    }
    std::string question = promptTemplate ? promptTemplate->render(row) : cell(prompt);
    if (question.empty()) return "the prompt is empty";
    turns = {{ChatRole::User, std::move(question)}, {ChatRole::Assistant, cell(answer)}};
    return std::nullopt;
  }

  std::optional<std::string> tokenise(const Turns& turns, EncodedRow& out, std::vector<size_t>& ends) const {
    RenderedChat chat;
    const Result<Encoding> tokens = encodeChat(m_template, m_tokenizer, turns, false, &chat);
    if (!tokens) return tokens.error().what;
    out = {};
    out.ids = tokens->ids;
    ends.assign(chat.learned.size(), out.ids.size());
    size_t answerAt = 0;
    for (size_t i = 0; i < tokens->size(); ++i) {
      const TextSpan& span = tokens->spans[i];
      // A token that reaches into an answer belongs to it.
      while (answerAt < chat.learned.size() && span.begin >= chat.learned[answerAt].end) ends[answerAt++] = out.lossMask.size();
      const bool inside = answerAt < chat.learned.size() && span.end > chat.learned[answerAt].begin;
      out.lossMask.push_back(inside && (!m_lastOnly || answerAt + 1 == chat.learned.size()));
    }
    return std::nullopt;
  }

  // Those that stay in front when the beginning is cut off.
  size_t openingTokens(const EncodedRow& encoded) const {
    if (m_template.tokenizerPrefix) return m_tokenizer.prefix().size();
    return !encoded.ids.empty() && encoded.ids[0] == m_tokenizer.special().bos ? 1 : 0;
  }

  const Tokenizer& m_tokenizer;
  const ChatTemplate& m_template;
  size_t m_maxLength;
  bool m_lastOnly;
};

}  // namespace

Result<std::unique_ptr<RowTask>> makeChatTask(const TaskSetup& setup) {
  auto task = std::make_unique<ChatTask>(setup);
  const auto column = [&](const std::string& name, const char* key, std::optional<size_t>& to) -> Result<void> {
    Result<size_t> found = findColumn(setup.columns, name, key);
    if (!found) return found.error();
    to = *found;
    return {};
  };
  const ColumnRoles& roles = setup.roles;
  if (!roles.messages.empty()) {
    if (Result<void> found = column(roles.messages, "data.columns.messages", task->messages); !found) return found.error();
    if (!roles.answer.empty())
      if (Result<void> found = column(roles.answer, "data.columns.answer", task->answer); !found) return found.error();
    return std::unique_ptr<RowTask>(std::move(task));
  }
  if (Result<void> found = column(roles.answer, "data.columns.answer", task->answer); !found) return found.error();
  if (roles.promptTemplate.empty()) {
    if (Result<void> found = column(roles.prompt, "data.columns.prompt", task->prompt); !found) return found.error();
  } else {
    Result<PromptTemplate> parsed = PromptTemplate::parse(roles.promptTemplate, setup.columns);
    if (!parsed) return parsed.error();
    task->promptTemplate = std::move(*parsed);
  }
  return std::unique_ptr<RowTask>(std::move(task));
}

}  // namespace rankscope
