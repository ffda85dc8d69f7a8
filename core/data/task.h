#pragma once
// What a task makes of one row. A RowTask is made once per file, then used by several threads at once. Tasks are named
// in registry.cpp.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/config/result.h"
#include "core/data/prepare.h"
#include "core/data/roles.h"
#include "core/data/table.h"
#include "core/text/tokenizer.h"

namespace rankscope {

struct EncodedRow {
  std::vector<int32_t> ids;
  std::vector<uint8_t> typeIds, lossMask;  // empty or as long as ids
  std::vector<uint8_t> pixels;             // images: [channels, height, width], in place of ids
  std::string label;                       // classification: the cell's text
  int32_t classLabel = -1;                 // multiple choice: the right choice, on each of the row's choices
  float target = 0;
  size_t lost = 0;                         // tokens cut off
  std::array<int32_t, 2> answer{-1, -1};   // answer spans; see ExampleView
  std::vector<TextSpan> offsets;
};
// One row as several examples: windows of a long context, or the choices.
struct EncodedRows {
  std::vector<EncodedRow> examples;
  std::optional<QuestionText> question;
};

// Left out with a reason that is shown, or a mistake that ends the preparation.
struct SkippedRow {
  std::string reason;
};
using RowOutcome = std::variant<EncodedRow, EncodedRows, SkippedRow, Error>;

class RowTask {
 public:
  virtual ~RowTask() = default;
  virtual RowOutcome encode(const Row& row) const = 0;
  // What is to be told about the whole file.
  virtual std::vector<std::string> notes() const { return {}; }
};

struct TaskSetup {
  const DataSettings& settings;
  const Tokenizer* tokenizer;  // null for a task that reads images
  const TableReader& reader;
  const std::filesystem::path& path;
  const std::vector<std::string>& columns;
  const ColumnRoles& roles;  // with the guesses
  const std::vector<Row>& sample;  // the first rows
};

struct DataTaskEntry {
  DataTask task;
  std::string name;   // the value of data.task
  std::string title;
  std::string help;
  bool documents;     // rows are documents, joined and cut into blocks; plain text will do
  Result<std::unique_ptr<RowTask>> (*make)(const TaskSetup& setup);
};
const std::vector<DataTaskEntry>& dataTaskEntries();
const DataTaskEntry& dataTaskEntry(DataTask task);

Result<std::unique_ptr<RowTask>> makeDocumentTask(const TaskSetup& setup);
Result<std::unique_ptr<RowTask>> makeInstructionTask(const TaskSetup& setup);
Result<std::unique_ptr<RowTask>> makeChatTask(const TaskSetup& setup);  // instruction with a chat template
Result<std::unique_ptr<RowTask>> makeMultipleChoiceTask(const TaskSetup& setup);
Result<std::unique_ptr<RowTask>> makeQuestionAnsweringTask(const TaskSetup& setup);
Result<std::unique_ptr<RowTask>> makeClassificationTask(const TaskSetup& setup);
Result<std::unique_ptr<RowTask>> makeRegressionTask(const TaskSetup& setup);
Result<std::unique_ptr<RowTask>> makeImageTask(const TaskSetup& setup);

// Cuts a prompt with its answer to maxLength tokens: the prompt (from token `opening` to the answer's first) loses its
// beginning before the answer loses its end; what was cut is added to `lost`.
void cutToLength(EncodedRow& row, size_t opening, size_t answer, size_t maxLength);

// Joins documents end to end and cuts the stream into blocks of maxLength tokens. Every block opens with the tokens that
// the tokenizer puts before a text (<s>), as does every document within it; every document ends with </s> where the
// vocabulary has it. Opening tokens carry no loss. For a masked language model every block also ends with what the
// tokenizer puts behind a text, and no special token carries a loss.
class BlockBuilder {
 public:
  BlockBuilder(const Tokenizer& tokenizer, size_t maxLength, bool masked = false);
  void add(std::span<const int32_t> document);
  TokenizedSet finish();

 private:
  void put(int32_t id, bool scored);
  void close();
  const Tokenizer& m_tokenizer;
  bool m_masked;
  std::vector<int32_t> m_opening;
  int32_t m_closing = -1;
  size_t m_maxLength;
  std::vector<int32_t> m_ids;
  std::vector<uint8_t> m_mask;
  TokenizedSet m_set;
};

}  // namespace rankscope
