#include <fmt/format.h>

#include <algorithm>

#include "core/data/readers.h"
#include "core/config/json_text.h"
#include "core/data/conversation.h"

namespace rankscope {
namespace {

using Cells = std::vector<std::pair<std::string, std::optional<std::string>>>;
constexpr int kFlattenDepth = 6;
constexpr size_t kFlattenItems = 16;  // elements of an array that get columns of their own
constexpr size_t kRowsForColumns = 100;
constexpr std::string_view kSpace = " \t\r\n";

void flatten(const nlohmann::json& value, const std::string& name, int depth, Cells& out) {
  if (out.size() >= kMaxColumns) return;
  const auto inside = [&](const std::string& key) { return name.empty() ? key : name + "." + key; };
  if (value.is_object() && depth < kFlattenDepth) {
    for (const auto& [key, entry] : value.items()) flatten(entry, inside(key), depth + 1, out);
  } else if (isConversation(value)) {
    out.emplace_back(name.empty() ? "messages" : name, value.dump());
  } else if (value.is_array() && depth < kFlattenDepth) {
    for (size_t i = 0; i < std::min(value.size(), kFlattenItems); ++i)
      flatten(value[i], inside(std::to_string(i)), depth + 1, out);
  } else if (value.is_string()) {
    out.emplace_back(name.empty() ? "text" : name, value.get<std::string>());
  } else if (value.is_null()) {
    out.emplace_back(name.empty() ? "text" : name, std::nullopt);
  } else {
    out.emplace_back(name.empty() ? "text" : name, value.dump());
  }
}

}  // namespace

size_t endOfJsonValue(std::string_view text, size_t at) {
  if (at >= text.size()) return std::string_view::npos;
  int depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at)
        if (text[at] == '\\') ++at;
      if (at >= text.size()) return std::string_view::npos;
      ++at;
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at;
      continue;
    } else if (c == '}' || c == ']') {
      if (--depth < 0) return std::string_view::npos;
      ++at;
    } else if (depth > 0) {
      ++at;
      continue;
    } else {
      // A number or a word.
      const size_t end = text.find_first_of(",]} \t\r\n:", at);
      if (end == at) return std::string_view::npos;
      return end == std::string_view::npos ? text.size() : end;
    }
    if (depth == 0) return at;
  }
  return std::string_view::npos;
}

Result<std::unique_ptr<TableReader>> JsonReader::open(std::shared_ptr<MappedFile> file, DataFormat format) {
  std::unique_ptr<JsonReader> reader(new JsonReader(std::move(file)));
  reader->m_format = format;
  if (format == DataFormat::Json)
    if (Result<void> found = reader->findArray(); !found) return found.error();
  reader->rewind();
  reader->findColumns();
  if (reader->m_columns.empty() && !reader->m_problems.items.empty())
    return Error{ErrorCode::BadInput, "data file holds no readable row",
                 fmt::format("{}:{}", reader->m_path.string(), reader->m_problems.items.front().line),
                 reader->m_problems.items.front().message, "", "Check that the file is whole and of this format."};
  reader->rewind();
  return std::unique_ptr<TableReader>(std::move(reader));
}

// Points m_start at the first element of the array that holds the rows.
Result<void> JsonReader::findArray() {
  const auto bad = [&](const char* found) {
    return Error{ErrorCode::BadInput, "JSON file holds no list of rows", m_path.string(), found,
                 "a list of objects, or an object whose \"data\" is one",
                 "Check that the file is whole; for one object a line, set the format to jsonl."};
  };
  size_t at = m_bytes.find_first_not_of(kSpace);
  if (at == std::string_view::npos) return bad("an empty file");
  size_t array = std::string_view::npos;
  if (m_bytes[at] == '[') {
    array = at;
  } else if (m_bytes[at] == '{') {
    size_t other = std::string_view::npos;
    int arrays = 0;
    at = m_bytes.find_first_not_of(kSpace, at + 1);
    while (at != std::string_view::npos && m_bytes[at] == '"') {
      const size_t keyEnd = endOfJsonValue(m_bytes, at);
      if (keyEnd == std::string_view::npos) break;
      const std::string_view key = m_bytes.substr(at + 1, keyEnd - at - 2);
      size_t value = m_bytes.find_first_not_of(kSpace, keyEnd);
      if (value == std::string_view::npos || m_bytes[value] != ':') break;
      value = m_bytes.find_first_not_of(kSpace, value + 1);
      if (value == std::string_view::npos) break;
      if (m_bytes[value] == '[') {
        ++arrays;
        other = value;
        if (key == "data") {
          array = value;
          break;
        }
      }
      const size_t end = endOfJsonValue(m_bytes, value);
      if (end == std::string_view::npos) break;
      at = m_bytes.find_first_not_of(kSpace, end);
      if (at == std::string_view::npos || m_bytes[at] != ',') break;
      at = m_bytes.find_first_not_of(kSpace, at + 1);
    }
    if (array == std::string_view::npos && arrays == 1) array = other;
    if (array == std::string_view::npos) return bad(arrays > 1 ? "an object with several lists" : "an object without a list");
  } else {
    return bad("something else");
  }
  m_start = array + 1;
  m_startLine = 1 + static_cast<uint64_t>(std::count(m_bytes.begin(), m_bytes.begin() + static_cast<std::ptrdiff_t>(m_start), '\n'));
  return {};
}

void JsonReader::rewind() {
  MappedReader::rewind();
  m_ended = false;
  m_queued.clear();
}

bool JsonReader::takeElement(std::string_view& text, uint64_t& line) {
  if (m_format == DataFormat::Jsonl) {
    while (takeLine(text)) {
      line = m_line - 1;
      if (text.find_first_not_of(kSpace) != std::string_view::npos) return true;
    }
    return false;
  }
  if (m_ended) return false;
  const auto move = [&](size_t to) {
    m_line += static_cast<uint64_t>(std::count(m_bytes.begin() + static_cast<std::ptrdiff_t>(m_at),
                                               m_bytes.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    m_at = to;
  };
  const auto cutOff = [&](const char* message) {
    m_problems.add(m_row + 1, m_line, message);
    m_ended = true;
    return false;
  };
  const size_t begin = m_bytes.find_first_not_of(kSpace, m_at);
  if (begin == std::string_view::npos) return cutOff("the list is not closed: the file is cut off");
  move(begin);
  if (m_bytes[begin] == ']') {
    m_ended = true;
    return false;
  }
  const size_t end = endOfJsonValue(m_bytes, begin);
  if (end == std::string_view::npos) return cutOff("the element is not complete: the file is cut off or damaged here");
  text = m_bytes.substr(begin, end - begin);
  line = m_line;
  move(end);
  const size_t after = m_bytes.find_first_not_of(kSpace, end);
  if (after != std::string_view::npos && m_bytes[after] == ',') {
    move(after + 1);
  } else if (after == std::string_view::npos || m_bytes[after] != ']') {
    cutOff("a comma or ] is missing behind the element");
  }
  return true;
}

bool JsonReader::nextFlat(Cells& cells, uint64_t& line) {
  JsonLimits limits;
  limits.maxBytes = kMaxRowBytes;
  limits.maxValues = 1'000'000;
  std::string_view text;
  const auto takeQueued = [&] {
    cells = std::move(m_queued.front());
    m_queued.pop_front();
    line = m_queuedLine;
    ++m_row;
    return true;
  };
  if (!m_queued.empty()) return takeQueued();
  while (takeElement(text, line)) {
    ++m_row;
    Result<nlohmann::json> document = parseJson(text, fmt::format("line {}", line), limits);
    if (!document) {
      m_problems.add(m_row, line, fmt::format("{}: {}; the row was left out", document.error().what, document.error().found));
      continue;
    }
    cells.clear();
    if (queueQuestions(*document)) {
      --m_row;  // the article itself is none
      m_queuedLine = line;
      if (!m_queued.empty()) return takeQueued();
      continue;
    }
    flatten(*document, "", 0, cells);
    if (!cells.empty()) return true;
    m_problems.add(m_row, line, "the row holds no values; it was left out");
  }
  return false;
}

bool JsonReader::queueQuestions(const nlohmann::json& article) {
  const auto paragraphs = article.is_object() ? article.find("paragraphs") : article.end();
  if (!article.is_object() || paragraphs == article.end() || !paragraphs->is_array()) return false;
  for (const nlohmann::json& paragraph : *paragraphs) {
    const auto questions = paragraph.is_object() ? paragraph.find("qas") : paragraph.end();
    if (!paragraph.is_object() || questions == paragraph.end() || !questions->is_array()) continue;
    for (const nlohmann::json& asked : *questions) {
      if (!asked.is_object()) continue;
      nlohmann::json row = asked;
      row.erase("plausible_answers");  // of questions without an answer: not to be learned
      for (const char* key : {"title", "context"}) {
        const nlohmann::json& from = std::string_view(key) == "title" ? article : paragraph;
        if (const auto found = from.find(key); found != from.end()) row[key] = *found;
      }
      m_queued.emplace_back();
      flatten(row, "", 0, m_queued.back());
    }
  }
  m_squad = true;
  return true;
}

void JsonReader::findColumns() {
  Cells cells;
  uint64_t line = 0;
  // How many answers a question has differs within a file: there all rows are asked for their columns.
  for (size_t i = 0; (i < kRowsForColumns || m_squad) && nextFlat(cells, line); ++i)
    for (const auto& [name, value] : cells)
      if (m_columns.size() < kMaxColumns && m_columnIndex.emplace(name, m_columns.size()).second) m_columns.push_back(name);
}

bool JsonReader::next(Row& row) {
  Cells cells;
  if (!nextFlat(cells, row.line)) return false;
  row.number = m_row;
  row.cells.assign(m_columns.size(), std::nullopt);
  for (auto& [name, value] : cells)
    if (const auto found = m_columnIndex.find(name); found != m_columnIndex.end()) row.cells[found->second] = std::move(value);
  return true;
}

}  // namespace rankscope
