// multiple_choice: a question and its choices, each as one sequence in which the choice carries the loss. Tokens are those
// of EleutherAI's evaluation harness: a choice's are what context and choice together have more than the context alone.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cctype>

#include "core/config/text_shown.h"
#include "core/data/prompt_template.h"
#include "core/data/task.h"

namespace rankscope {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr size_t kMaxChoices = 64;

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? std::string_view()
                                         : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// A question whose choices stand in its own text, as LLM-Adapters writes them: "… Answer1: x Answer2: y Answer format:
// answer1/answer2". Where the labels have no texts of their own (true/false), they are the choices.
struct WrittenChoices {
  std::string question;
  std::vector<std::string> labels, texts;
};

std::optional<WrittenChoices> choicesIn(std::string_view prompt) {
  constexpr std::string_view kMark = "Answer format:";
  const size_t mark = prompt.rfind(kMark);
  if (mark == std::string_view::npos) return std::nullopt;
  WrittenChoices written;
  for (std::string_view rest = trimmed(prompt.substr(mark + kMark.size())); !rest.empty();) {
    const size_t slash = rest.find('/');
    written.labels.emplace_back(trimmed(rest.substr(0, slash)));
    if (written.labels.back().empty()) return std::nullopt;
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  }
  if (written.labels.size() < 2) return std::nullopt;
  const std::string_view before = prompt.substr(0, mark);
  std::vector<size_t> places;
  for (const std::string& label : written.labels) {
    std::string heading = label + ":";
    heading[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(heading[0])));
    const size_t place = before.find(heading, places.empty() ? 0 : places.back() + 1);
    if (place == std::string_view::npos) break;
    places.push_back(place);
  }
  written.question = trimmed(before.substr(0, places.size() == written.labels.size() ? places[0] : before.size()));
  if (places.size() == written.labels.size()) {
    for (size_t i = 0; i < places.size(); ++i) {
      const size_t begin = places[i] + written.labels[i].size() + 1;
      const size_t end = i + 1 < places.size() ? places[i + 1] : before.size();
      written.texts.emplace_back(trimmed(before.substr(begin, end - begin)));
    }
  } else {
    written.texts = written.labels;
  }
  return written;
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string joined(const std::vector<std::string>& items) {
  std::string list;
  for (size_t i = 0; i < std::min<size_t>(items.size(), 8); ++i) list += (i > 0 ? ", " : "") + shown(items[i], 40);
  return list;
}

// What a row asks, ready to be tokenised.
struct Asked {
  std::string context;
  std::vector<std::string> continuations, choices;  // choices without what joins them to the context
  size_t right = 0;
};

class ChoiceTask : public RowTask {
 public:
  explicit ChoiceTask(const TaskSetup& setup)
      : m_tokenizer(*setup.tokenizer), m_path(setup.path), m_maxLength(static_cast<size_t>(setup.settings.maxLength)) {}
  PromptSource prompt;
  size_t answer = 0;
  std::vector<size_t> choices;  // none: they stand in the prompt
  bool fromOne = false;         // numbers of choices count from 1

  RowOutcome encode(const Row& row) const override {
    Result<Asked> asked = ask(row);
    if (!asked) return asked.error();
    EncodedRows out;
    for (size_t i = 0; i < asked->choices.size(); ++i) {
      std::optional<EncodedRow> example = sequence(asked->context, asked->continuations[i]);
      if (!example) return SkippedRow{fmt::format("choice {} does not fit data.max_length; the row was left out", i + 1)};
      example->classLabel = static_cast<int32_t>(asked->right);
      example->target = static_cast<float>(characters(asked->choices[i]));
      out.examples.push_back(std::move(*example));
    }
    return out;
  }

 private:
  Error mistake(const Row& row, std::string what, std::string found, std::string expected, std::string hint) const {
    return {ErrorCode::BadInput, std::move(what), placeOf(m_path, row), std::move(found), std::move(expected), std::move(hint)};
  }

  Result<Asked> ask(const Row& row) const {
    const std::string question = prompt.text(row);
    const std::string given(trimmed(row.cells[answer].value_or("")));
    if (trimmed(question).empty())
      return mistake(row, "the question is empty", "", "a question", "Correct this row, or set data.columns.prompt.");
    if (given.empty())
      return mistake(row, "the row does not say which choice is right", "", "a choice, its letter or its number",
                     "Correct this row, or set data.columns.answer.");
    Asked asked;
    if (choices.empty()) {
      if (auto read = readWritten(row, question, given, asked); !read) return read.error();
    } else {
      if (auto read = readColumns(row, given, asked); !read) return read.error();
      asked.context = prompt.composed ? question : harnessContext(question);
    }
    if (asked.choices.size() > kMaxChoices)
      return mistake(row, "too many choices", std::to_string(asked.choices.size()), fmt::format("at most {}", kMaxChoices),
                     "Correct this row, or set data.choices.");
    for (const std::string& choice : asked.choices) {
      if (trimmed(choice).empty())
        return mistake(row, "a choice is empty", joined(asked.choices), "a text for each choice", "Correct this row.");
      asked.continuations.push_back(asked.context.find_last_not_of(kSpace) + 1 == asked.context.size() ? " " + choice : choice);
    }
    // What separates context and choice belongs to the choice.
    const size_t end = asked.context.find_last_not_of(kSpace) + 1;
    for (std::string& continuation : asked.continuations) continuation.insert(0, asked.context, end);
    asked.context.resize(end);
    return asked;
  }

  static std::string harnessContext(const std::string& question) {
    return fmt::format("Question: {}\nAnswer:", trimmed(question));
  }

  Result<void> readColumns(const Row& row, const std::string& given, Asked& asked) const {
    for (const size_t column : choices) {
      const std::string text(trimmed(row.cells[column].value_or("")));
      if (!text.empty()) asked.choices.push_back(text);
      else if (column == choices.front()) break;
    }
    if (asked.choices.size() < 2)
      return mistake(row, "the row has no choices", fmt::format("{} choices", asked.choices.size()), "at least two",
                     "Correct this row, or name the columns with the choices in data.choices.");
    const size_t count = asked.choices.size();
    if (const auto same = std::find(asked.choices.begin(), asked.choices.end(), given); same != asked.choices.end()) {
      asked.right = static_cast<size_t>(same - asked.choices.begin());
      return {};
    }
    size_t number = 0;
    const auto [stop, code] = std::from_chars(given.data(), given.data() + given.size(), number);
    if (code == std::errc() && stop == given.data() + given.size()) {
      if (number >= (fromOne ? 1 : 0) && number - (fromOne ? 1 : 0) < count) {
        asked.right = number - (fromOne ? 1 : 0);
        return {};
      }
    } else if (given.size() == 1 && std::isalpha(static_cast<unsigned char>(given[0]))) {
      const auto letter = static_cast<size_t>(std::tolower(static_cast<unsigned char>(given[0])) - 'a');
      if (letter < count) {
        asked.right = letter;
        return {};
      }
    }
    return mistake(row, "the right answer is none of the choices", shown(given),
                   fmt::format("{}, or a number from {} to {}", joined(asked.choices), fromOne ? 1 : 0, count - (fromOne ? 0 : 1)),
                   "Correct this row, or set data.columns.answer.");
  }

  // With a template the model reads the choices itself and answers as the answer column does ("the correct answer is
  // answer2"); without one it is asked for the chosen text.
  Result<void> readWritten(const Row& row, const std::string& question, const std::string& given, Asked& asked) const {
    std::optional<WrittenChoices> written = choicesIn(prompt.composed ? rawPrompt(row, question) : question);
    if (!written)
      return mistake(row, "the row has no choices", shown(question), "columns with choices, or \"Answer format: a/b\" in the prompt",
                     "Name the columns with the choices in data.choices.");
    std::vector<size_t> found;
    for (size_t i = 0; i < written->labels.size(); ++i)
      if (given.ends_with(written->labels[i])) found.push_back(i);
    if (found.size() != 1)
      return mistake(row, "the right answer is none of the choices", shown(given), joined(written->labels),
                     "Correct this row, or set data.columns.answer.");
    asked.right = found[0];
    if (!prompt.composed) {
      asked.context = harnessContext(written->question);
      asked.choices = std::move(written->texts);
      return {};
    }
    asked.context = question;
    const std::string before = given.substr(0, given.size() - written->labels[found[0]].size());
    for (const std::string& label : written->labels) asked.choices.push_back(before + label);
    return {};
  }

  // The column of the template that lists the choices: what stands behind it in the prompt is not a choice.
  std::string rawPrompt(const Row& row, const std::string& rendered) const {
    for (const size_t column : prompt.composed->columns())
      if (row.cells[column] && row.cells[column]->find("Answer format:") != std::string::npos) return *row.cells[column];
    return rendered;
  }

  // Context and choice together; nothing when the choice alone is too long. A context that does not fit loses its beginning.
  std::optional<EncodedRow> sequence(const std::string& context, const std::string& continuation) const {
    const std::vector<int32_t>& opening = m_tokenizer.prefix();
    const Encoding whole = m_tokenizer.encode(context + continuation, {.addSpecial = false});
    size_t before = m_tokenizer.encode(context, {.addSpecial = false}).size();
    if (before >= whole.size()) return std::nullopt;
    std::vector<int32_t> ids = opening;
    ids.insert(ids.end(), whole.ids.begin(), whole.ids.end());
    before += opening.size();
    const size_t cut = ids.size() > m_maxLength ? ids.size() - m_maxLength : 0;
    if (before == 0 || cut >= before) return std::nullopt;
    EncodedRow encoded;
    encoded.lost = cut;
    encoded.ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(cut), ids.end());
    encoded.lossMask.assign(encoded.ids.size(), 1);
    std::fill_n(encoded.lossMask.begin(), before - cut, uint8_t{0});
    return encoded;
  }

  const Tokenizer& m_tokenizer;
  std::filesystem::path m_path;
  size_t m_maxLength;
};

// Numbers of choices count from 1 where no row of the sample says 0 and all say numbers.
bool countsFromOne(const std::vector<Row>& sample, size_t answer) {
  bool any = false;
  for (const Row& row : sample) {
    if (answer >= row.cells.size() || !row.cells[answer]) continue;
    const std::string_view cell = trimmed(*row.cells[answer]);
    if (cell == "0") return false;
    any |= !cell.empty() && cell.find_first_not_of("0123456789") == std::string_view::npos;
  }
  return any;
}

}  // namespace

Result<std::unique_ptr<RowTask>> makeMultipleChoiceTask(const TaskSetup& setup) {
  auto task = std::make_unique<ChoiceTask>(setup);
  Result<size_t> answer = findColumn(setup.columns, setup.roles.answer, "data.columns.answer");
  if (!answer) return answer.error();
  task->answer = *answer;
  for (const std::string& name : setup.roles.choices) {
    Result<size_t> column = findColumn(setup.columns, name, "data.choices");
    if (!column) return column.error();
    task->choices.push_back(*column);
  }
  task->fromOne = countsFromOne(setup.sample, *answer);
  Result<PromptSource> prompt = PromptSource::find(setup.roles.promptTemplate, setup.roles.prompt, setup.columns);
  if (!prompt) return prompt.error();
  task->prompt = std::move(*prompt);
  return std::unique_ptr<RowTask>(std::move(task));
}

}  // namespace rankscope
