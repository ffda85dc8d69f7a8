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
  std::string label;                       // classification: the cell's text
  float target = 0;
  size_t lost = 0;                         // tokens cut off
};

// Left out with a reason that is shown, or a mistake that ends the preparation.
struct SkippedRow {
  std::string reason;
};
using RowOutcome = std::variant<EncodedRow, SkippedRow, Error>;

class RowTask {
 public:
  virtual ~RowTask() = default;
  virtual RowOutcome encode(const Row& row) const = 0;
};

struct TaskSetup {
  const DataSettings& settings;
  const Tokenizer& tokenizer;
  const std::filesystem::path& path;
  const std::vector<std::string>& columns;
  const ColumnRoles& roles;  // with the guesses
};

struct DataTaskEntry {
  DataTask task;
  std::string name;   // the value of data.task
  std::string title;
  std::string help;
  bool documents;     // rows are documents, joined and cut into blocks
  Result<std::unique_ptr<RowTask>> (*make)(const TaskSetup& setup);
};
const std::vector<DataTaskEntry>& dataTaskEntries();
const DataTaskEntry& dataTaskEntry(DataTask task);

Result<std::unique_ptr<RowTask>> makeDocumentTask(const TaskSetup& setup);
Result<std::unique_ptr<RowTask>> makeInstructionTask(const TaskSetup& setup);
Result<std::unique_ptr<RowTask>> makeClassificationTask(const TaskSetup& setup);
Result<std::unique_ptr<RowTask>> makeRegressionTask(const TaskSetup& setup);

// Joins documents end to end and cuts the stream into blocks of maxLength tokens. Every block opens with the tokens that
// the tokenizer puts before a text (<s>), as does every document within it; every document ends with </s> where the
// vocabulary has it. Opening tokens carry no loss.
class BlockBuilder {
 public:
  BlockBuilder(const Tokenizer& tokenizer, size_t maxLength);
  void add(std::span<const int32_t> document);
  TokenizedSet finish();

 private:
  void put(int32_t id, bool scored);
  void close();
  std::vector<int32_t> m_opening;
  int32_t m_closing = -1;
  size_t m_maxLength;
  std::vector<int32_t> m_ids;
  std::vector<uint8_t> m_mask;
  TokenizedSet m_set;
};

}  // namespace rankscope
