#pragma once
// Which column plays which part. Guesses from names (and, without a header, from content) fill what the user left open.
// Free functions, any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/data/table.h"

namespace rankscope {

enum class DataTask {
  CausalLm, MaskedLm, Instruction, MultipleChoice, QuestionAnswering, Classification, Regression, ImageClassification
};
// An example belongs to one of the classes that data.labels names.
bool hasClasses(DataTask task);
// Its examples are images; every other task reads text, by a tokenizer.
bool readsImages(DataTask task);
const char* dataTaskName(DataTask task);  // "causal_lm", as in data.task
Result<DataTask> parseDataTask(const std::string& name);

// Column names ("" = none), or "#3" for a column by number from 1.
struct ColumnRoles {
  std::string text, textPair, label, prompt, answer;
  std::string messages;        // whole conversations; see core/data/conversation.h
  std::string promptTemplate;  // guessed for tables with instruction and input; see core/data/prompt_template.h
  std::string question, context, answerStart;
  std::vector<std::string> choices;  // one column a choice; none: the choices are written in the prompt
};

// `given` wins wherever it is set; sample rows help where names do not.
// `inputJoint`: a guessed prompt template is no more than instruction and input with this between (for a chat template,
// which brings all else); without it Alpaca's.
ColumnRoles guessRoles(DataTask task, const std::vector<std::string>& columns, const std::vector<Row>& sample,
                       const ColumnRoles& given = {}, const std::optional<std::string>& inputJoint = {});
// The task that the columns suggest: for the data view and new-run form.
DataTask guessTask(const std::vector<std::string>& columns, const std::vector<Row>& sample, DataFormat format);
// Index of a named column; the error lists the columns there are. `role` is the config key ("data.columns.label").
Result<size_t> findColumn(const std::vector<std::string>& columns, const std::string& name, const std::string& role);

struct ColumnSummary {
  std::string name;
  std::string kind;     // "text", "number", "integer", "label", "empty"
  std::string example;  // first non-empty cell, cut to 200 bytes
  std::string guessedRole;  // "text", "label", … or ""
};
struct TableInspection {
  DataFormat format = DataFormat::Text;
  bool header = false;
  uint64_t rows = 0;
  uint64_t bytes = 0;
  std::vector<ColumnSummary> columns;
  ProblemList problems;
  DataTask guessedTask = DataTask::CausalLm;
  ColumnRoles guessed;
  std::vector<Row> sample;  // the first rows
};
// Reads the whole file once (counting) and keeps `sampleRows` rows.
Result<TableInspection> inspectTable(const std::filesystem::path& path, const TableOptions& options = {},
                                     size_t sampleRows = 20);

}  // namespace rankscope
