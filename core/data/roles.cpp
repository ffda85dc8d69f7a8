#include "core/data/roles.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <set>

#include "core/data/column_names.h"
#include "core/data/conversation.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

struct TaskName {
  DataTask task;
  const char* name;
};
constexpr std::array<TaskName, 8> kTasks = {{{DataTask::CausalLm, "causal_lm"},
                                             {DataTask::MaskedLm, "masked_lm"},
                                             {DataTask::Instruction, "instruction"},
                                             {DataTask::MultipleChoice, "multiple_choice"},
                                             {DataTask::QuestionAnswering, "question_answering"},
                                             {DataTask::Classification, "classification"},
                                             {DataTask::Regression, "regression"},
                                             {DataTask::ImageClassification, "image_classification"}}};

// Alpaca's two kinds of row (with and without an input) in one template.
constexpr const char* kInstructionTemplate =
    "### Instruction:\n{INSTRUCTION}\n\n{#INPUT}### Input:\n{INPUT}\n\n{/INPUT}### Response:\n";

std::optional<double> numberOf(const std::string& cell) {
  double value = 0;
  const auto [end, code] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (code != std::errc() || end != cell.data() + cell.size()) return std::nullopt;
  return value;
}

struct ColumnFacts {
  size_t filled = 0, numbers = 0, integers = 0, bytes = 0, longest = 0;
  std::set<std::string> distinct;  // up to 64
  double mean() const { return filled == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(filled); }
  bool labelLike(size_t rows) const {
    return filled == rows && distinct.size() >= 2 && distinct.size() <= 20 && distinct.size() * 2 <= rows && longest <= 32;
  }
};

std::vector<ColumnFacts> factsOf(size_t columns, const std::vector<Row>& sample) {
  std::vector<ColumnFacts> facts(columns);
  for (const Row& row : sample)
    for (size_t i = 0; i < std::min(columns, row.cells.size()); ++i) {
      if (!row.cells[i] || row.cells[i]->empty()) continue;
      const std::string& cell = *row.cells[i];
      ColumnFacts& fact = facts[i];
      ++fact.filled;
      fact.bytes += cell.size();
      fact.longest = std::max(fact.longest, cell.size());
      const std::optional<double> number = numberOf(cell);
      fact.numbers += number.has_value();
      fact.integers += number && cell.find_first_of(".eE") == std::string::npos;
      if (fact.distinct.size() < 64) fact.distinct.insert(cell);
    }
  return facts;
}

// The column that holds conversations, "" when there is none.
std::string conversationColumn(const std::vector<std::string>& columns, const std::vector<Row>& sample) {
  for (size_t i = 0; i < columns.size(); ++i)
    for (const Row& row : sample) {
      if (i >= row.cells.size() || !row.cells[i] || row.cells[i]->empty()) continue;
      if (looksLikeConversation(*row.cells[i])) return columns[i];
      break;
    }
  return {};
}

std::string lastPart(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? name : name.substr(dot + 1);
}

// The column whose plain name comes first in `names`; nested columns answer to their last part too.
std::string byName(const std::vector<std::string>& columns, const std::vector<std::string>& names) {
  for (const auto& plain : {+[](const std::string& name) { return plainColumnName(name); },
                            +[](const std::string& name) { return plainColumnName(lastPart(name)); }})
    for (const std::string& name : names)
      for (const std::string& column : columns)
        if (plain(column) == name) return column;
  return {};
}

// Columns that are numbered or lettered as choices are: "choices.text.0", "endings.1", "sol1", "option2", "answerA".
std::vector<std::string> choiceColumns(const std::vector<std::string>& columns) {
  for (const char* stem : {"choicestext", "choices", "endings", "ending", "options", "option", "solutions", "solution", "sol",
                           "choice", "answers", "answer", "op"})
    for (const char first : {'0', '1', 'a'}) {
      std::vector<std::string> found;
      for (size_t k = 0; k < 26 && (first == 'a' || k < 10); ++k) {
        const std::string wanted = stem + std::string(1, static_cast<char>(first + static_cast<char>(k)));
        const auto column = std::find_if(columns.begin(), columns.end(),
                                         [&](const std::string& name) { return plainColumnName(name) == wanted; });
        if (column == columns.end()) break;
        found.push_back(*column);
      }
      if (found.size() >= 2) return found;
    }
  return {};
}

}  // namespace

bool hasClasses(DataTask task) { return task == DataTask::Classification || task == DataTask::ImageClassification; }

bool readsImages(DataTask task) { return task == DataTask::ImageClassification; }

const char* dataTaskName(DataTask task) {
  for (const TaskName& entry : kTasks)
    if (entry.task == task) return entry.name;
  return "causal_lm";
}

Result<DataTask> parseDataTask(const std::string& name) {
  for (const TaskName& entry : kTasks)
    if (name == entry.name) return entry.task;
  std::string list;
  for (const TaskName& entry : kTasks) list += (list.empty() ? "" : ", ") + std::string(entry.name);
  return Error{ErrorCode::Usage, "no such task", "data.task", name, list, "Choose one of these tasks."};
}

std::string plainColumnName(std::string_view name) {
  std::string plain;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c))) plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return plain;
}

const KnownColumnNames& knownColumnNames() {
  static const KnownColumnNames names = {
      {{"sentence1", "sentence2"}, {"question1", "question2"}, {"premise", "hypothesis"}, {"1string", "2string"},
       {"question", "sentence"}, {"question", "passage"}, {"text1", "text2"}, {"texta", "textb"}, {"query", "passage"},
       {"query", "document"}},
      {"text", "sentence", "content", "review", "comment", "body", "document", "story", "article", "tweet", "message",
       "sentence1", "question", "title", "input"},
      {"label", "goldlabel", "labels", "class", "category", "quality", "isduplicate", "sentiment", "intent", "target",
       "topic", "score", "rating", "stars"},
      {"score", "similarity", "rating", "target", "label", "value", "stars"},
      {"instruction", "prompt", "question", "mr", "query", "source", "input", "context"},
      {"output", "response", "answer", "completion", "ref", "target", "reference", "reply", "chosen"},
      {"question", "query"},
      {"context", "passage", "paragraph", "document"},
      {"answers0text", "answerstext0", "answertext", "answer", "answers0", "answers"},
      {"answers0answerstart", "answersanswerstart0", "answerstart", "answerstart0", "answeroffset"},
      {"answerkey", "correctanswer", "correct", "label", "gold", "goldlabel", "answer", "answeridx", "target", "output"},
      {"instruction", "question", "goal", "ctx", "questionstem", "sentence", "prompt", "query", "context", "text", "input"}};
  return names;
}

bool isKnownColumnName(std::string_view name) {
  const std::string plain = plainColumnName(name);
  if (plain.empty()) return false;
  const KnownColumnNames& names = knownColumnNames();
  for (const auto* list : {&names.text, &names.label, &names.target, &names.prompt, &names.answer})
    if (std::find(list->begin(), list->end(), plain) != list->end()) return true;
  for (const auto& [first, second] : names.pairs)
    if (plain == first || plain == second) return true;
  return plain == "idx" || plain == "index" || plain == "id";
}

ColumnRoles guessRoles(DataTask task, const std::vector<std::string>& columns, const std::vector<Row>& sample,
                       const ColumnRoles& given, const std::optional<std::string>& inputJoint) {
  ColumnRoles roles = given;
  const KnownColumnNames& names = knownColumnNames();
  const std::vector<ColumnFacts> facts = factsOf(columns.size(), sample);
  const auto longestText = [&](const std::vector<std::string>& taken) -> std::string {
    size_t best = columns.size();
    for (size_t i = 0; i < columns.size(); ++i)
      if (facts[i].filled > facts[i].numbers && std::find(taken.begin(), taken.end(), columns[i]) == taken.end() &&
          (best == columns.size() || facts[i].mean() > facts[best].mean()))
        best = i;
    return best == columns.size() ? std::string() : columns[best];
  };

  if (task == DataTask::ImageClassification) return {.text = "image", .label = "label"};
  if (task == DataTask::CausalLm || task == DataTask::MaskedLm) {
    if (roles.text.empty()) roles.text = byName(columns, names.text);
    if (roles.text.empty()) roles.text = longestText({});
    return roles;
  }
  if (task == DataTask::QuestionAnswering) {
    if (roles.question.empty()) roles.question = byName(columns, names.question);
    if (roles.context.empty()) roles.context = byName(columns, names.context);
    if (roles.context.empty()) roles.context = longestText({roles.question});
    if (roles.answer.empty()) roles.answer = byName(columns, names.span);
    if (roles.answerStart.empty()) roles.answerStart = byName(columns, names.spanStart);
    return roles;
  }
  if (task == DataTask::MultipleChoice) {
    if (roles.choices.empty()) roles.choices = choiceColumns(columns);
    std::vector<std::string> others;
    for (const std::string& column : columns)
      if (std::find(roles.choices.begin(), roles.choices.end(), column) == roles.choices.end()) others.push_back(column);
    if (roles.answer.empty()) roles.answer = byName(others, names.rightChoice);
    std::erase(others, roles.answer);
    if (roles.prompt.empty() && roles.promptTemplate.empty()) roles.prompt = byName(others, names.asked);
    if (roles.prompt.empty() && roles.promptTemplate.empty()) roles.prompt = longestText({roles.answer});
    return roles;
  }
  if (task == DataTask::Instruction) {
    // A conversation holds its own prompts and answers.
    if (roles.messages.empty() && roles.prompt.empty() && roles.promptTemplate.empty() &&
        (byName(columns, names.prompt).empty() || byName(columns, names.answer).empty()))
      roles.messages = conversationColumn(columns, sample);
    if (!roles.messages.empty()) return roles;
    if (roles.answer.empty()) roles.answer = byName(columns, names.answer);
    if (roles.prompt.empty() && roles.promptTemplate.empty()) {
      const std::string instruction = byName(columns, {"instruction"}), input = byName(columns, {"input"});
      if (!instruction.empty() && !input.empty() && input != roles.answer) {
        std::string text = inputJoint ? "{INSTRUCTION}{#INPUT}" + *inputJoint + "{INPUT}{/INPUT}" : kInstructionTemplate;
        for (const auto& [mark, column] : {std::pair<std::string, std::string>{"INSTRUCTION", instruction},
                                           std::pair<std::string, std::string>{"INPUT", input}})
          for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + column.size()))
            text.replace(at, mark.size(), column);
        roles.promptTemplate = text;
      }
    }
    if (roles.prompt.empty() && roles.promptTemplate.empty()) {
      std::vector<std::string> others;
      for (const std::string& column : columns)
        if (column != roles.answer) others.push_back(column);
      roles.prompt = byName(others, names.prompt);
      if (roles.prompt.empty()) roles.prompt = byName(others, names.text);
      if (roles.prompt.empty()) roles.prompt = longestText({roles.answer});
    }
    if (roles.answer.empty()) roles.answer = longestText({roles.prompt});
    return roles;
  }

  if (roles.label.empty()) roles.label = byName(columns, task == DataTask::Regression ? names.target : names.label);
  if (roles.label.empty()) {
    size_t best = columns.size();
    for (size_t i = 0; i < columns.size(); ++i) {
      const bool fits = task == DataTask::Regression ? facts[i].filled > 0 && facts[i].numbers == facts[i].filled
                                                     : facts[i].labelLike(sample.size());
      if (!fits || columns[i] == roles.text || columns[i] == roles.textPair) continue;
      // Whole numbers are likelier classes than words (a source's name, a mark).
      if (best == columns.size() || facts[i].integers > facts[best].integers) best = i;
    }
    if (best != columns.size()) roles.label = columns[best];
  }
  if (roles.text.empty() && roles.textPair.empty())
    for (const auto& [first, second] : names.pairs) {
      const std::string a = byName(columns, {first}), b = byName(columns, {second});
      if (a.empty() || b.empty() || a == roles.label || b == roles.label) continue;
      roles.text = a;
      roles.textPair = b;
      break;
    }
  if (roles.text.empty()) {
    std::vector<std::string> others;
    for (const std::string& column : columns)
      if (column != roles.label && column != roles.textPair) others.push_back(column);
    roles.text = byName(others, names.text);
    if (roles.text.empty()) roles.text = longestText({roles.label, roles.textPair});
  }
  return roles;
}

DataTask guessTask(const std::vector<std::string>& columns, const std::vector<Row>& sample, DataFormat format) {
  if (format == DataFormat::Text) return DataTask::CausalLm;
  if (format == DataFormat::Images) return DataTask::ImageClassification;
  if (!conversationColumn(columns, sample).empty()) return DataTask::Instruction;
  const KnownColumnNames& names = knownColumnNames();
  if (!byName(columns, {"question"}).empty() && !byName(columns, {"context"}).empty() &&
      !byName(columns, {"answers0answerstart", "answersanswerstart0", "answerstart"}).empty())
    return DataTask::QuestionAnswering;
  if (choiceColumns(columns).size() >= 2 && !byName(columns, names.rightChoice).empty()) return DataTask::MultipleChoice;
  const std::string answer = byName(columns, names.answer);
  if (!answer.empty() && !byName(columns, names.prompt).empty() && byName(columns, names.prompt) != answer)
    return DataTask::Instruction;
  const ColumnRoles roles = guessRoles(DataTask::Classification, columns, sample);
  if (!roles.label.empty() && !roles.text.empty()) {
    const auto place = static_cast<size_t>(std::find(columns.begin(), columns.end(), roles.label) - columns.begin());
    const ColumnFacts facts = factsOf(columns.size(), sample)[place];
    const bool fractions = facts.numbers == facts.filled && facts.integers < facts.numbers;
    return fractions ? DataTask::Regression : DataTask::Classification;
  }
  return DataTask::CausalLm;
}

Result<size_t> findColumn(const std::vector<std::string>& columns, const std::string& name, const std::string& role) {
  for (size_t i = 0; i < columns.size(); ++i)
    if (columns[i] == name) return i;
  size_t number = 0;
  if (name.size() > 1 && name[0] == '#') {
    const auto [end, code] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
    if (code == std::errc() && end == name.data() + name.size() && number >= 1 && number <= columns.size()) return number - 1;
  }
  for (size_t i = 0; i < columns.size(); ++i)
    if (!plainColumnName(name).empty() && plainColumnName(columns[i]) == plainColumnName(name)) return i;
  std::string list;
  for (size_t i = 0; i < std::min<size_t>(columns.size(), 20); ++i) list += (list.empty() ? "" : ", ") + columns[i];
  if (columns.size() > 20) list += ", …";
  return Error{ErrorCode::BadInput, name.empty() ? "no column could be told to play this part" : "no such column in the data",
               role, name.empty() ? "" : shown(name, 200), list,
               fmt::format("Set {} to one of these columns, or to #1 … #{} by place.", role, columns.size())};
}

}  // namespace rankscope
