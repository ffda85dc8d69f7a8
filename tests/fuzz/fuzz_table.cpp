// Any bytes as a data file of every format (first byte: format and header): refused with a hint, or rows as wide as the
// columns, numbered upwards, the same on a second reading.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/data/roles.h"
#include "core/data/table.h"
#include "fuzz_file.h"

using namespace rankscope;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  TableOptions options;
  options.format = static_cast<DataFormat>(data[0] % 6);
  options.header = static_cast<HeaderMode>(data[0] / 6 % 3);
  const std::filesystem::path path = fuzzFile("table", {reinterpret_cast<const char*>(data) + 1, size - 1});
  Result<std::unique_ptr<TableReader>> reader = TableReader::open(path, options);
  if (!reader) {
    if (reader.error().hint.empty()) std::abort();
    return 0;
  }
  std::vector<Row> sample;
  Row row;
  uint64_t last = 0, rows = 0;
  while ((*reader)->next(row)) {
    if (row.cells.size() != (*reader)->columns().size() || row.number <= last || row.line == 0) std::abort();
    last = row.number;
    ++rows;
    if (sample.size() < 50) sample.push_back(row);
  }
  const uint64_t problems = (*reader)->problems().total;
  (*reader)->rewind();
  uint64_t again = 0;
  while ((*reader)->next(row)) ++again;
  if (again != rows || (*reader)->problems().total != problems) std::abort();
  for (const DataTask task : {DataTask::CausalLm, DataTask::MaskedLm, DataTask::Instruction, DataTask::MultipleChoice,
                              DataTask::QuestionAnswering, DataTask::Classification, DataTask::Regression})
    guessRoles(task, (*reader)->columns(), sample);
  if (!inspectTable(path, options)) std::abort();
  return 0;
}
