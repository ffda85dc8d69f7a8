// question_answering: a question and the text that holds its answer. The answer's characters become tokens by the
// tokenizer's offsets; a long text is read through overlapping windows, and the question is never cut.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/config/text_shown.h"
#include "core/data/task.h"

namespace rankscope {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

struct AnswerColumns {
  size_t text;
  std::optional<size_t> start;
};

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? std::string_view()
                                         : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// Byte of the character number `characters`, counted as Python does (code points); npos behind the end.
size_t byteOf(std::string_view text, uint64_t characters) {
  size_t at = 0;
  for (; characters > 0 && at < text.size(); --characters) at += std::max<size_t>(1, utf8Length(text, at));
  return characters > 0 ? std::string_view::npos : at;
}

// Contexts repeat from question to question: each thread keeps the last one's tokens.
const Encoding& tokensOfContext(const Tokenizer& tokenizer, const std::string& context) {
  struct Last {
    std::string tokenizer, text;
    Encoding tokens;
  };
  thread_local Last last;
  if (last.tokenizer != tokenizer.contentHash() || last.text != context)
    last = {tokenizer.contentHash(), context, tokenizer.encode(context, {.addSpecial = false})};
  return last.tokens;
}

class QuestionTask : public RowTask {
 public:
  QuestionTask(const TaskSetup& setup, size_t question, size_t context, std::vector<AnswerColumns> answers)
      : m_tokenizer(*setup.tokenizer), m_path(setup.path), m_maxLength(static_cast<size_t>(setup.settings.maxLength)),
        m_docStride(static_cast<size_t>(std::max<int64_t>(0, setup.settings.docStride))), m_question(question),
        m_context(context), m_answers(std::move(answers)) {}

  RowOutcome encode(const Row& row) const override {
    const std::string question(trimmed(row.cells[m_question].value_or("")));
    if (question.empty())
      return mistake(row, "the question is empty", "", "a question", "Correct this row, or set data.columns.question.");
    const std::string context = row.cells[m_context].value_or("");
    const Encoding& tokens = tokensOfContext(m_tokenizer, context);
    if (trimmed(context).empty() || tokens.size() == 0)
      return mistake(row, "the text to be read is empty", "", "a text that holds the answer",
                     "Correct this row, or set data.columns.context.");
    EncodedRows out;
    out.question = QuestionText{std::make_shared<const std::string>(context), {}};
    std::optional<TextSpan> wanted;
    for (const AnswerColumns& columns : m_answers) {
      Result<std::optional<TextSpan>> found = answerIn(row, columns, context);
      if (!found) return found.error();
      if (!*found) continue;
      if (!wanted) wanted = **found;
      out.question->answers.push_back(context.substr((*found)->begin, (*found)->end - (*found)->begin));
    }
    return inWindows(question, tokens, wanted, std::move(out));
  }

 private:
  Error mistake(const Row& row, std::string what, std::string found, std::string expected, std::string hint) const {
    return {ErrorCode::BadInput, std::move(what), placeOf(m_path, row), std::move(found), std::move(expected), std::move(hint)};
  }

  // Bytes of the context that are the answer; nothing where the row names none.
  Result<std::optional<TextSpan>> answerIn(const Row& row, const AnswerColumns& columns, const std::string& context) const {
    const std::string answer = row.cells[columns.text].value_or("");
    if (trimmed(answer).empty()) return std::optional<TextSpan>();
    const std::string start = columns.start ? std::string(trimmed(row.cells[*columns.start].value_or(""))) : std::string();
    size_t begin = 0;
    if (start.empty()) {
      begin = context.find(answer);
      if (begin == std::string::npos)
        return mistake(row, "the answer does not occur in the text", shown(answer), "a stretch of the text, letter by letter",
                       "Correct the answer, or give its place in data.columns.answer_start.");
    } else {
      uint64_t characters = 0;
      const auto [end, code] = std::from_chars(start.data(), start.data() + start.size(), characters);
      if (code != std::errc() || end != start.data() + start.size())
        return mistake(row, "the answer's place is not a number", shown(start), "characters before the answer, from 0",
                       "Correct this row, or set data.columns.answer_start.");
      begin = byteOf(context, characters);
      if (begin == std::string::npos || begin >= context.size())
        return mistake(row, "the answer's place lies outside the text", start,
                       fmt::format("less than the text's {} bytes", context.size()),
                       "Correct this row; places count characters of the text from 0.");
      if (context.compare(begin, answer.size(), answer) != 0)
        return mistake(row, "the text at the answer's place is not the answer",
                       shown(std::string_view(context).substr(begin, answer.size())), shown(answer),
                       "Correct this row; places count characters (code points) of the text from 0.");
    }
    return std::optional(TextSpan{static_cast<uint32_t>(begin), static_cast<uint32_t>(begin + answer.size())});
  }

  RowOutcome inWindows(const std::string& question, const Encoding& context, const std::optional<TextSpan>& wanted,
                       EncodedRows out) const {
    const Encoding asked = m_tokenizer.encode(question, {.addSpecial = false});
    const auto [around, place] = m_tokenizer.pairLayout(asked.size());
    if (asked.size() + around + 1 > m_maxLength)
      return SkippedRow{fmt::format("the question's {} tokens leave no room for the text within data.max_length; the row was "
                                    "left out", asked.size())};
    const size_t room = m_maxLength - asked.size() - around;
    const size_t step = room - std::min(m_docStride, room / 2);
    // Tokens that hold a character of the answer.
    size_t first = context.size(), last = 0;
    for (size_t i = 0; wanted && i < context.size(); ++i)
      if (context.spans[i].end > wanted->begin && context.spans[i].begin < wanted->end) {
        first = std::min(first, i);
        last = i;
      }
    for (size_t begin = 0;; begin += step) {
      const size_t count = std::min(room, context.size() - begin);
      const auto part = [&](const auto& values) {
        const auto from = values.begin() + static_cast<std::ptrdiff_t>(begin);
        return std::vector(from, from + static_cast<std::ptrdiff_t>(count));
      };
      Encoding window = m_tokenizer.assemblePair(asked, {part(context.ids), {}, part(context.spans)});
      EncodedRow encoded;
      encoded.ids = std::move(window.ids);
      encoded.typeIds = std::move(window.typeIds);
      encoded.offsets.assign(encoded.ids.size(), TextSpan{});
      std::copy_n(window.spans.begin() + static_cast<std::ptrdiff_t>(place), count,
                  encoded.offsets.begin() + static_cast<std::ptrdiff_t>(place));
      encoded.lossMask.assign(encoded.ids.size(), 0);
      // A window that does not hold the whole answer points at the first token, which stands for "not here".
      encoded.answer = {0, 0};
      if (first <= last && first >= begin && last < begin + count) {
        encoded.answer = {static_cast<int32_t>(place + first - begin), static_cast<int32_t>(place + last - begin)};
        std::fill(encoded.lossMask.begin() + encoded.answer[0], encoded.lossMask.begin() + encoded.answer[1] + 1, uint8_t{1});
      }
      out.examples.push_back(std::move(encoded));
      if (begin + count >= context.size()) return out;
    }
  }

  const Tokenizer& m_tokenizer;
  std::filesystem::path m_path;
  size_t m_maxLength, m_docStride, m_question, m_context;
  std::vector<AnswerColumns> m_answers;
};

// "answers.0.text" -> "answers.7.text": where several answers count as right, each has columns of its own.
std::optional<size_t> sibling(const std::vector<std::string>& columns, const std::string& first, size_t number) {
  std::string name = first;
  const size_t at = name.ends_with(".0") ? name.size() - 1 : name.find(".0.") == std::string::npos ? name.size() : name.find(".0.") + 1;
  if (at >= name.size()) return std::nullopt;
  name.replace(at, 1, std::to_string(number));
  const auto found = std::find(columns.begin(), columns.end(), name);
  return found == columns.end() ? std::nullopt : std::optional(static_cast<size_t>(found - columns.begin()));
}

}  // namespace

Result<std::unique_ptr<RowTask>> makeQuestionAnsweringTask(const TaskSetup& setup) {
  Result<size_t> question = findColumn(setup.columns, setup.roles.question, "data.columns.question");
  if (!question) return question.error();
  Result<size_t> context = findColumn(setup.columns, setup.roles.context, "data.columns.context");
  if (!context) return context.error();
  Result<size_t> answer = findColumn(setup.columns, setup.roles.answer, "data.columns.answer");
  if (!answer) return answer.error();
  if (*question == *context || *question == *answer || *context == *answer)
    return Error{ErrorCode::Usage, "two parts are played by the same column", "data.columns.context", setup.columns[*context],
                 "a column each for question, text and answer", "Set data.columns.question, .context and .answer."};
  std::vector<AnswerColumns> answers{{*answer, std::nullopt}};
  if (!setup.roles.answerStart.empty()) {
    Result<size_t> start = findColumn(setup.columns, setup.roles.answerStart, "data.columns.answer_start");
    if (!start) return start.error();
    answers[0].start = *start;
  }
  for (size_t k = 1;; ++k) {
    const std::optional<size_t> text = sibling(setup.columns, setup.columns[*answer], k);
    if (!text) break;
    answers.push_back({*text, answers[0].start ? sibling(setup.columns, setup.columns[*answers[0].start], k) : std::nullopt});
  }
  return std::unique_ptr<RowTask>(std::make_unique<QuestionTask>(setup, *question, *context, std::move(answers)));
}

}  // namespace rankscope
