#include <algorithm>

#include "core/config/files.h"
#include "core/data/roles.h"

namespace rankscope {
namespace {

constexpr size_t kRowsForGuess = 200;
constexpr size_t kExampleBytes = 200;

std::string kindOf(const std::vector<Row>& sample, size_t column) {
  size_t filled = 0, numbers = 0, integers = 0;
  std::vector<std::string> distinct;
  for (const Row& row : sample) {
    if (column >= row.cells.size() || !row.cells[column] || row.cells[column]->empty()) continue;
    const std::string& cell = *row.cells[column];
    ++filled;
    const size_t digits = cell.find_first_not_of("0123456789-+.eE");
    const bool number = digits == std::string::npos && cell.find_first_of("0123456789") != std::string::npos;
    numbers += number;
    integers += number && cell.find_first_of(".eE") == std::string::npos;
    if (distinct.size() <= 20 && std::find(distinct.begin(), distinct.end(), cell) == distinct.end()) distinct.push_back(cell);
  }
  if (filled == 0) return "empty";
  if (distinct.size() >= 2 && distinct.size() <= 20 && distinct.size() * 2 <= filled) return "label";
  if (integers == filled) return "integer";
  return numbers == filled ? "number" : "text";
}

}  // namespace

Result<TableInspection> inspectTable(const std::filesystem::path& path, const TableOptions& options, size_t sampleRows) {
  Result<std::unique_ptr<TableReader>> reader = TableReader::open(path, options);
  if (!reader) return reader.error();
  TableInspection result;
  result.format = (*reader)->format();
  result.header = (*reader)->hasHeader();
  result.bytes = (*reader)->bytes();
  std::vector<Row> sample;
  Row row;
  while ((*reader)->next(row)) {
    ++result.rows;
    if (sample.size() < std::max(sampleRows, kRowsForGuess)) sample.push_back(row);
  }
  result.problems = (*reader)->problems();
  const std::vector<std::string>& columns = (*reader)->columns();
  result.guessedTask = guessTask(columns, sample, result.format);
  result.guessed = guessRoles(result.guessedTask, columns, sample);
  for (size_t i = 0; i < columns.size(); ++i) {
    ColumnSummary summary;
    summary.name = columns[i];
    summary.kind = kindOf(sample, i);
    for (const Row& each : sample)
      if (i < each.cells.size() && each.cells[i] && !each.cells[i]->empty()) {
        summary.example = cleanUtf8(*each.cells[i], kExampleBytes);
        break;
      }
    const ColumnRoles& roles = result.guessed;
    const bool choice = std::find(roles.choices.begin(), roles.choices.end(), columns[i]) != roles.choices.end();
    const bool labelled = hasClasses(result.guessedTask) || result.guessedTask == DataTask::Regression;
    if (labelled && columns[i] == roles.label) summary.guessedRole = "label";
    else if (choice) summary.guessedRole = "choice";
    else if (columns[i] == roles.question) summary.guessedRole = "question";
    else if (columns[i] == roles.context) summary.guessedRole = "context";
    else if (columns[i] == roles.answerStart) summary.guessedRole = "answer_start";
    else if (columns[i] == roles.text) summary.guessedRole = "text";
    else if (columns[i] == roles.textPair) summary.guessedRole = "text_pair";
    else if (columns[i] == roles.prompt || roles.promptTemplate.find("{" + columns[i] + "}") != std::string::npos)
      summary.guessedRole = "prompt";
    else if (columns[i] == roles.answer) summary.guessedRole = "answer";
    else if (columns[i] == roles.messages) summary.guessedRole = "messages";
    result.columns.push_back(std::move(summary));
  }
  sample.resize(std::min(sample.size(), sampleRows));
  result.sample = std::move(sample);
  return result;
}

}  // namespace rankscope
