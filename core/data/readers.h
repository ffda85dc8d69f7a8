#pragma once
// The readers behind TableReader::open, one per shape of file. Internal to core/data.

#include <deque>
#include <memory>
#include <string_view>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "core/data/table.h"
#include "core/io/mapped_file.h"

namespace rankscope {

// Bounds on what one row may hold; beyond them a file is damaged, or is not what it is taken for.
inline constexpr size_t kMaxRowBytes = 64u << 20;
inline constexpr size_t kMaxColumns = 1024;

class MappedReader : public TableReader {
 public:
  explicit MappedReader(std::shared_ptr<MappedFile> file);
  void rewind() override;
  double progress() const override;

 protected:
  // The next line without its end (\n or \r\n), and moves behind it; false at the end of the file.
  bool takeLine(std::string_view& line);
  std::shared_ptr<MappedFile> m_file;
  std::string_view m_bytes;  // without a byte-order mark
  size_t m_start = 0;        // of the first data row
  uint64_t m_startLine = 1;
  size_t m_at = 0;
  uint64_t m_line = 1;  // of m_at
  uint64_t m_row = 0;   // rows given so far
};

// Lines that hold something; one column, "text".
class LineReader : public MappedReader {
 public:
  explicit LineReader(std::shared_ptr<MappedFile> file);
  bool next(Row& row) override;
};

// CSV by RFC 4180 (quotes, doubled quotes, line ends inside quotes), TSV without any quoting, as GLUE writes it.
class SeparatedReader : public MappedReader {
 public:
  SeparatedReader(std::shared_ptr<MappedFile> file, DataFormat format, HeaderMode header);
  bool next(Row& row) override;

 private:
  enum class Taken { Row, Blank, Bad, End };
  Taken take(std::vector<std::string>& cells, bool report);
  Taken takeQuoted(std::vector<std::string>& cells, bool report);
  Taken refuse(size_t at, uint64_t line, bool report, std::string message);
};

// One JSON value a line (JSONL), or the elements of one JSON array (the document itself, or its "data"), parsed one by
// one so that a large file is never held as a tree. An article as SQuAD writes it gives a row for each of its questions.
class JsonReader : public MappedReader {
 public:
  static Result<std::unique_ptr<TableReader>> open(std::shared_ptr<MappedFile> file, DataFormat format);
  bool next(Row& row) override;
  void rewind() override;

 private:
  explicit JsonReader(std::shared_ptr<MappedFile> file) : MappedReader(std::move(file)) {}
  Result<void> findArray();
  void findColumns();
  // The next element's text; false at the end.
  bool takeElement(std::string_view& text, uint64_t& line);
  bool nextFlat(std::vector<std::pair<std::string, std::optional<std::string>>>& cells, uint64_t& line);

  // The questions of an article, each with its paragraph's text.
  bool queueQuestions(const nlohmann::json& article);

  bool m_ended = false;
  bool m_squad = false;  // some element was an article
  std::deque<std::vector<std::pair<std::string, std::optional<std::string>>>> m_queued;
  uint64_t m_queuedLine = 0;
  std::unordered_map<std::string, size_t> m_columnIndex;
};

// End of the JSON value that begins at `at` (white space skipped by the caller); npos when it has none. Looks at
// brackets and strings only.
size_t endOfJsonValue(std::string_view text, size_t at);

}  // namespace rankscope
