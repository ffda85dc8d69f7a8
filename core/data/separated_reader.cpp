#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "core/data/column_names.h"
#include "core/data/readers.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

bool numeric(const std::string& cell) {
  double value = 0;
  const auto [end, code] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  return code == std::errc() && end == cell.data() + cell.size();
}

// A first row is a header when a cell of it is a name that data sets use for a column, or else when its cells could be
// names (short, all different, none a number) while some column below it holds numbers only.
bool looksLikeHeader(const std::vector<std::string>& first, const std::vector<std::vector<std::string>>& below) {
  std::set<std::string> seen;
  bool nameLike = true, known = false;
  for (const std::string& cell : first) {
    known = known || isKnownColumnName(cell);
    nameLike = nameLike && !cell.empty() && cell.size() <= 48 && !numeric(cell) && seen.insert(cell).second;
  }
  if (!nameLike) return false;
  if (known) return true;
  for (size_t column = 0; column < first.size(); ++column) {
    bool numbers = !below.empty();
    for (const std::vector<std::string>& row : below) numbers = numbers && column < row.size() && numeric(row[column]);
    if (numbers) return true;
  }
  return false;
}

}  // namespace

SeparatedReader::SeparatedReader(std::shared_ptr<MappedFile> file, DataFormat format, HeaderMode header)
    : MappedReader(std::move(file)) {
  m_format = format;
  m_separator = '\t';
  if (format == DataFormat::Csv) {
    const std::string_view line = m_bytes.substr(0, m_bytes.find('\n'));
    // Spreadsheets of countries with a decimal comma write semicolons.
    m_separator = line.find(',') == std::string_view::npos && line.find(';') != std::string_view::npos ? ';' : ',';
  }
  std::vector<std::string> first, cells;
  Taken taken;
  do {
    m_start = m_at;
    m_startLine = m_line;
    taken = take(first, false);
  } while (taken == Taken::Blank);
  if (taken != Taken::Row) return;
  const size_t afterFirst = m_at;
  const uint64_t lineAfterFirst = m_line;
  std::vector<std::vector<std::string>> below;
  for (int i = 0; i < 20 && take(cells, false) == Taken::Row; ++i) below.push_back(cells);
  m_hasHeader = header == HeaderMode::Yes || (header == HeaderMode::Auto && looksLikeHeader(first, below));
  for (size_t i = 0; i < first.size(); ++i)
    m_columns.push_back(m_hasHeader && !first[i].empty() ? first[i] : fmt::format("#{}", i + 1));
  if (m_hasHeader) {
    m_start = afterFirst;
    m_startLine = lineAfterFirst;
  }
  rewind();
}

bool SeparatedReader::next(Row& row) {
  std::vector<std::string> cells;
  for (;;) {
    const uint64_t line = m_line;
    switch (take(cells, true)) {
      case Taken::End: return false;
      case Taken::Blank: continue;
      case Taken::Bad: continue;
      case Taken::Row: break;
    }
    ++m_row;
    if (cells.size() != m_columns.size()) {
      m_problems.add(m_row, line, fmt::format("row has {} cells, expected {}; it was left out", cells.size(), m_columns.size()));
      continue;
    }
    row.number = m_row;
    row.line = line;
    row.cells.assign(std::make_move_iterator(cells.begin()), std::make_move_iterator(cells.end()));
    return true;
  }
}

SeparatedReader::Taken SeparatedReader::refuse(size_t at, uint64_t line, bool report, std::string message) {
  if (report) m_problems.add(++m_row, line, std::move(message));
  // Go on behind the line the trouble began in, so that one stray quote costs one line and not the rest of the file.
  const size_t end = m_bytes.find('\n', at);
  m_at = end == std::string_view::npos ? m_bytes.size() : end + 1;
  m_line = line + 1;
  return Taken::Bad;
}

SeparatedReader::Taken SeparatedReader::take(std::vector<std::string>& cells, bool report) {
  cells.clear();
  if (m_at >= m_bytes.size()) return Taken::End;
  if (m_format == DataFormat::Csv) return takeQuoted(cells, report);
  const size_t at = m_at;
  const uint64_t startLine = m_line;
  std::string_view line;
  takeLine(line);
  if (line.empty()) return Taken::Blank;
  if (line.size() > kMaxRowBytes) return refuse(at, startLine, report, fmt::format("line is longer than {} bytes", kMaxRowBytes));
  for (;;) {
    const size_t tab = line.find(m_separator);
    cells.emplace_back(line.substr(0, tab));
    if (tab == std::string_view::npos) break;
    line.remove_prefix(tab + 1);
    if (cells.size() >= kMaxColumns) return refuse(at, startLine, report, fmt::format("row has more than {} cells", kMaxColumns));
  }
  return Taken::Row;
}

SeparatedReader::Taken SeparatedReader::takeQuoted(std::vector<std::string>& cells, bool report) {
  const size_t begin = m_at;
  const uint64_t line = m_line;
  std::string cell;
  bool blank = true;
  enum class State { CellStart, Plain, Quoted, QuoteInQuoted } state = State::CellStart;
  for (size_t at = m_at;; ++at) {
    const bool end = at >= m_bytes.size();
    const char c = end ? '\n' : m_bytes[at];
    if (at - begin > kMaxRowBytes) return refuse(begin, line, report, fmt::format("row is longer than {} bytes", kMaxRowBytes));
    if (state == State::Quoted) {
      if (end) return refuse(begin, line, report, "a quote that opens in this row is never closed; the line was left out");
      if (c == '"') {
        state = State::QuoteInQuoted;
      } else {
        if (c == '\n') ++m_line;
        cell += c;
      }
      continue;
    }
    if (c == '\r' && !end && (at + 1 >= m_bytes.size() || m_bytes[at + 1] == '\n')) continue;
    if (c == m_separator || c == '\n') {
      blank = blank && c == '\n' && state == State::CellStart;
      cells.push_back(std::move(cell));
      cell.clear();
      state = State::CellStart;
      if (c == '\n') {
        if (!end) ++m_line;
        m_at = end ? m_bytes.size() : at + 1;
        return blank ? Taken::Blank : Taken::Row;
      }
      if (cells.size() >= kMaxColumns) return refuse(begin, line, report, fmt::format("row has more than {} cells", kMaxColumns));
      continue;
    }
    if (state == State::CellStart && c == '"') {
      state = State::Quoted;
      blank = false;
      continue;
    }
    // "" inside quotes is one quote; any other character behind a closing quote is kept as it stands.
    if (state == State::QuoteInQuoted && c == '"') {
      cell += '"';
      state = State::Quoted;
      continue;
    }
    cell += c;
    if (state == State::QuoteInQuoted && report)
      m_problems.add(m_row + 1, m_line, fmt::format("text follows a closing quote: {}", shown(cell.substr(cell.size() > 30 ? cell.size() - 30 : 0))));
    state = State::Plain;
  }
}

}  // namespace rankscope
