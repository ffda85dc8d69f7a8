// instruction: prompt and answer in one sequence, loss on the answer and its end alone.

#include <algorithm>

#include "core/data/prompt_template.h"
#include "core/data/task.h"

namespace rankscope {
namespace {

bool endsInSpace(const std::string& text) {
  return text.empty() || text.back() == ' ' || text.back() == '\n' || text.back() == '\t';
}

class InstructionTask : public RowTask {
 public:
  InstructionTask(const Tokenizer& tokenizer, size_t maxLength, size_t answer) : m_tokenizer(tokenizer), m_answer(answer) {
    m_maxLength = maxLength;
  }
  PromptSource prompt;

  RowOutcome encode(const Row& row) const override {
    const std::optional<std::string>& answer = row.cells[m_answer];
    if (!answer || answer->empty()) return SkippedRow{"the answer is empty; the row was left out"};
    std::string text = prompt.text(row);
    if (text.empty()) return SkippedRow{"the prompt is empty; the row was left out"};
    // A template says itself how prompt and answer are joined; a bare column gets a line end between.
    if (!prompt.composed && !endsInSpace(text)) text += '\n';
    const size_t boundary = text.size();
    text += *answer;

    // One pass over both, so that the tokens are those of the whole text; what reaches into the answer belongs to it.
    const Encoding tokens = m_tokenizer.encode(text, {.addSpecial = false});
    size_t promptTokens = 0;
    while (promptTokens < tokens.size() && tokens.spans[promptTokens].end <= boundary &&
           tokens.spans[promptTokens].begin < boundary)
      ++promptTokens;
    const std::vector<int32_t>& opening = m_tokenizer.prefix();
    const int32_t closing = m_tokenizer.special().eos >= 0 ? m_tokenizer.special().eos : m_tokenizer.special().sep;

    if (promptTokens == tokens.size()) return SkippedRow{"the answer gives no token; the row was left out"};
    EncodedRow encoded;
    encoded.ids = opening;
    encoded.ids.insert(encoded.ids.end(), tokens.ids.begin(), tokens.ids.end());
    if (closing >= 0) encoded.ids.push_back(closing);
    const size_t firstScored = opening.size() + promptTokens;
    encoded.lossMask.assign(encoded.ids.size(), 1);
    std::fill_n(encoded.lossMask.begin(), firstScored, uint8_t{0});
    cutToLength(encoded, opening.size(), firstScored, m_maxLength);
    return encoded;
  }

 private:
  const Tokenizer& m_tokenizer;
  size_t m_maxLength = 0;
  size_t m_answer;
};

}  // namespace

void cutToLength(EncodedRow& row, size_t opening, size_t answer, size_t maxLength) {
  const size_t whole = row.ids.size(), room = maxLength > opening ? maxLength - opening : 0;
  const size_t keepAnswer = std::min(whole - answer, room), keepPrompt = std::min(answer - opening, room - keepAnswer);
  const auto cut = [&](auto& values) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(opening);
    values.erase(begin, begin + static_cast<std::ptrdiff_t>(answer - opening - keepPrompt));
    values.resize(opening + keepPrompt + keepAnswer);
  };
  cut(row.ids);
  cut(row.lossMask);
  row.lost += whole - row.ids.size();
}

Result<std::unique_ptr<RowTask>> makeInstructionTask(const TaskSetup& setup) {
  if (setup.settings.chatTemplate) return makeChatTask(setup);
  if (!setup.roles.messages.empty())
    return Error{ErrorCode::Usage, "conversations need a chat template, and the model has none", "data.chat_template",
                 setup.roles.messages, "the name of a template",
                 "Set data.chat_template to the one the model shall learn, for instance chatml or plain."};
  Result<size_t> answer = findColumn(setup.columns, setup.roles.answer, "data.columns.answer");
  if (!answer) return answer.error();
  auto task = std::make_unique<InstructionTask>(*setup.tokenizer, static_cast<size_t>(setup.settings.maxLength), *answer);
  Result<PromptSource> prompt = PromptSource::find(setup.roles.promptTemplate, setup.roles.prompt, setup.columns);
  if (!prompt) return prompt.error();
  if (!prompt->composed && prompt->column == *answer)
    return Error{ErrorCode::Usage, "prompt and answer are the same column", "data.columns.prompt", setup.columns[*answer],
                 "two columns", "Set data.columns.prompt and data.columns.answer."};
  task->prompt = std::move(*prompt);
  return std::unique_ptr<RowTask>(std::move(task));
}

}  // namespace rankscope
