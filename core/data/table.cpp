#include "core/data/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "core/data/image_table.h"
#include "core/data/readers.h"
#include "core/io/sha256.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;

struct FormatName {
  DataFormat format;
  const char* name;
};
constexpr std::array<FormatName, 7> kFormats = {{{DataFormat::Auto, "auto"},
                                                 {DataFormat::Text, "txt"},
                                                 {DataFormat::Csv, "csv"},
                                                 {DataFormat::Tsv, "tsv"},
                                                 {DataFormat::Jsonl, "jsonl"},
                                                 {DataFormat::Json, "json"},
                                                 {DataFormat::Images, "images"}}};

std::string_view firstLine(std::string_view text) { return text.substr(0, text.find('\n')); }

}  // namespace

const char* dataFormatName(DataFormat format) {
  for (const FormatName& entry : kFormats)
    if (entry.format == format) return entry.name;
  return "auto";
}

Result<DataFormat> parseDataFormat(const std::string& name) {
  for (const FormatName& entry : kFormats)
    if (name == entry.name) return entry.format;
  return Error{ErrorCode::Usage, "no such data format", "data.format", name, "auto, txt, csv, tsv, jsonl, json, images",
               "Choose one of these, or auto."};
}

Result<HeaderMode> parseHeaderMode(const std::string& name) {
  if (name == "auto") return HeaderMode::Auto;
  if (name == "yes") return HeaderMode::Yes;
  if (name == "no") return HeaderMode::No;
  return Error{ErrorCode::Usage, "no such header setting", "data.header", name, "auto, yes, no", "Choose one of these."};
}

std::string placeOf(const fs::path& path, const Row& row) {
  return fmt::format("{}: row {} (line {})", path.string(), row.number, row.line);
}

void ProblemList::add(uint64_t row, uint64_t line, std::string message) {
  ++total;
  if (items.size() < kKept) items.push_back({row, line, std::move(message)});
}

void ProblemList::append(const ProblemList& other) {
  for (const DataProblem& problem : other.items)
    if (items.size() < kKept) items.push_back(problem);
  total += other.total;
}

Result<DataFormat> detectFormat(const fs::path& path, std::string_view head) {
  const auto unsupported = [&](const char* what, const char* hint) {
    return Error{ErrorCode::BadInput, "data file is of a kind that cannot be read", path.string(), what,
                 "txt, csv, tsv, jsonl or json", hint};
  };
  if (head.starts_with("\x1F\x8B")) return unsupported("gzip", "Unpack it first (gunzip).");
  if (head.starts_with("PK\x03\x04")) return unsupported("zip", "Unpack it first (unzip).");
  if (head.starts_with("\x28\xB5\x2F\xFD")) return unsupported("zstd", "Unpack it first (unzstd).");
  if (head.starts_with("PAR1")) return unsupported("Parquet", "Convert it to JSONL or CSV.");
  if (head.starts_with("\xFF\xFE") || head.starts_with("\xFE\xFF"))
    return unsupported("UTF-16 text", "Save it as UTF-8.");
  if (head.substr(0, 4096).find('\0') != std::string_view::npos)
    return unsupported("binary data", "Check that this is the right file.");
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  if (head.starts_with("\xEF\xBB\xBF")) head.remove_prefix(3);
  const size_t content = head.find_first_not_of(" \t\r\n");
  const char first = content == std::string_view::npos ? '\0' : head[content];
  if (ending == ".csv") return DataFormat::Csv;
  if (ending == ".tsv" || ending == ".tab") return DataFormat::Tsv;
  if (ending == ".jsonl" || ending == ".ndjson") return DataFormat::Jsonl;
  if (ending == ".txt" || ending == ".text" || ending == ".md") return DataFormat::Text;
  if (ending == ".json" || first == '{' || first == '[') {
    // Lines of objects under the name .json are as common as real documents.
    if (first == '{') {
      const size_t end = endOfJsonValue(head, content);
      const size_t after = end == std::string_view::npos ? end : head.find_first_not_of(" \t\r\n", end);
      if (after != std::string_view::npos && head[after] == '{') return DataFormat::Jsonl;
    }
    return DataFormat::Json;
  }
  const std::string_view line = firstLine(head);
  if (std::count(line.begin(), line.end(), '\t') >= 1) return DataFormat::Tsv;
  return DataFormat::Text;
}

Result<std::unique_ptr<TableReader>> TableReader::open(const fs::path& path, const TableOptions& options) {
  if (options.format == DataFormat::Images || (options.format == DataFormat::Auto && ImageSource::recognises(path)))
    return ImageTable::open(path);
  Result<std::shared_ptr<MappedFile>> file = MappedFile::open(path, MappedFile::Access::Sequential);
  if (!file) return file.error();
  const std::string_view head = (*file)->bytes().substr(0, 1 << 20);
  Result<DataFormat> detected = detectFormat(path, head);
  if (!detected) return detected.error();
  const DataFormat format = options.format == DataFormat::Auto ? *detected : options.format;
  std::unique_ptr<TableReader> reader;
  switch (format) {
    case DataFormat::Auto:
    case DataFormat::Images:
    case DataFormat::Text: reader = std::make_unique<LineReader>(std::move(*file)); break;
    case DataFormat::Csv:
    case DataFormat::Tsv: reader = std::make_unique<SeparatedReader>(std::move(*file), format, options.header); break;
    case DataFormat::Jsonl:
    case DataFormat::Json: {
      Result<std::unique_ptr<TableReader>> opened = JsonReader::open(std::move(*file), format);
      if (!opened) return opened.error();
      reader = std::move(*opened);
      break;
    }
  }
  if (reader->columns().empty())
    return Error{ErrorCode::BadInput, "data file holds no rows", path.string(), "", "at least one row",
                 "Check that this is the right file and that its download is complete."};
  return reader;
}

Result<std::string> TableReader::contentHash() const { return sha256File(m_path); }

uint64_t TableReader::bytes() const {
  std::error_code code;
  const auto size = fs::file_size(m_path, code);
  return code ? 0 : size;
}

MappedReader::MappedReader(std::shared_ptr<MappedFile> file) : m_file(std::move(file)), m_bytes(m_file->bytes()) {
  m_path = m_file->path();
  if (m_bytes.starts_with("\xEF\xBB\xBF")) m_bytes.remove_prefix(3);
}

void MappedReader::rewind() {
  m_at = m_start;
  m_line = m_startLine;
  m_row = 0;
  m_problems = {};
}

double MappedReader::progress() const {
  return m_bytes.empty() ? 1.0 : static_cast<double>(m_at) / static_cast<double>(m_bytes.size());
}

bool MappedReader::takeLine(std::string_view& line) {
  if (m_at >= m_bytes.size()) return false;
  const size_t end = m_bytes.find('\n', m_at);
  line = m_bytes.substr(m_at, end == std::string_view::npos ? end : end - m_at);
  m_at = end == std::string_view::npos ? m_bytes.size() : end + 1;
  ++m_line;
  if (line.ends_with('\r')) line.remove_suffix(1);
  return true;
}

LineReader::LineReader(std::shared_ptr<MappedFile> file) : MappedReader(std::move(file)) {
  m_format = DataFormat::Text;
  if (m_bytes.find_first_not_of(" \t\r\n") != std::string_view::npos) m_columns = {"text"};
}

bool LineReader::next(Row& row) {
  std::string_view line;
  while (takeLine(line)) {
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    row.number = ++m_row;
    row.line = m_line - 1;
    row.cells.assign(1, std::string(line));
    return true;
  }
  return false;
}

}  // namespace rankscope
