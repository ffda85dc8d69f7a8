#pragma once
// Rows of a data file, read as a stream: text lines, CSV, TSV, JSONL, JSON, the names and labels of images. A reader maps the file, keeps one row in
// memory, counts rows from 1, and collects what it could not read instead of dropping it in silence. One thread each.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

enum class DataFormat { Auto, Text, Csv, Tsv, Jsonl, Json, Images };
enum class HeaderMode { Auto, Yes, No };
const char* dataFormatName(DataFormat format);  // "csv", as in data.format
Result<DataFormat> parseDataFormat(const std::string& name);
Result<HeaderMode> parseHeaderMode(const std::string& name);

struct DataProblem {
  uint64_t row = 0;   // from 1, header not counted; 0 for the file as a whole
  uint64_t line = 0;  // from 1, 0 when unknown
  std::string message;
};
// Counts every problem, keeps the first ones.
struct ProblemList {
  static constexpr size_t kKept = 200;
  std::vector<DataProblem> items;
  uint64_t total = 0;
  void add(uint64_t row, uint64_t line, std::string message);
  void append(const ProblemList& other);
};

struct Row {
  uint64_t number = 0;  // from 1, header not counted
  uint64_t line = 0;    // where it starts in the file
  // By column; nullopt = the row has no such value (a shorter line, an absent or null key).
  std::vector<std::optional<std::string>> cells;
};

// "train.csv: row 12 (line 14)", for messages.
std::string placeOf(const std::filesystem::path& path, const Row& row);

struct TableOptions {
  DataFormat format = DataFormat::Auto;
  HeaderMode header = HeaderMode::Auto;
};

class TableReader {
 public:
  virtual ~TableReader() = default;
  // Detects format and header. JSON columns are the keys of the first 100 rows; nested ones are joined by dots
  // ("instances.0.output"), but a conversation is one column.
  static Result<std::unique_ptr<TableReader>> open(const std::filesystem::path& path, const TableOptions& options = {});

  DataFormat format() const { return m_format; }
  bool hasHeader() const { return m_hasHeader; }
  char separator() const { return m_separator; }  // of CSV and TSV
  // "#1", "#2", … where the file names none.
  const std::vector<std::string>& columns() const { return m_columns; }
  const std::filesystem::path& path() const { return m_path; }

  // False at the end. Rows that cannot be read are skipped and noted in problems().
  virtual bool next(Row& row) = 0;
  virtual void rewind() = 0;
  const ProblemList& problems() const { return m_problems; }
  // 0 … 1 of the file's bytes.
  virtual double progress() const = 0;
  // SHA-256 of everything that is read.
  virtual Result<std::string> contentHash() const;
  virtual uint64_t bytes() const;  // on disk

 protected:
  std::filesystem::path m_path;
  DataFormat m_format = DataFormat::Text;
  bool m_hasHeader = false;
  char m_separator = 0;
  std::vector<std::string> m_columns;
  ProblemList m_problems;
};

// By the name's ending, else by content.
Result<DataFormat> detectFormat(const std::filesystem::path& path, std::string_view head);

}  // namespace rankscope
