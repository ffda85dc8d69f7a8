#include "core/data/prompt_template.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/data/roles.h"
#include "core/config/text_shown.h"

namespace rankscope {
namespace {

constexpr size_t kMaxParts = 4096;

}  // namespace

Result<PromptTemplate> PromptTemplate::parse(const std::string& text, const std::vector<std::string>& columns) {
  PromptTemplate result;
  std::vector<size_t> open;  // columns of open sections
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) result.m_parts.push_back({Part::Kind::Literal, literal, 0});
    literal.clear();
  };
  const auto bad = [&](size_t at, std::string what, std::string hint) {
    return Error{ErrorCode::Usage, std::move(what), "data.template", shown(text.substr(at), 40), "{column}, {#column}…{/column}, {{ or }}",
                 std::move(hint)};
  };
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if ((c == '{' || c == '}') && at + 1 < text.size() && text[at + 1] == c) {
      literal += c;
      at += 2;
      continue;
    }
    if (c == '}') return bad(at, "a } of the template has no {", "Write }} for the character itself.");
    if (c != '{') {
      literal += c;
      ++at;
      continue;
    }
    const size_t close = text.find('}', at);
    if (close == std::string::npos) return bad(at, "a { of the template is not closed", "Write {{ for the character itself.");
    std::string name = text.substr(at + 1, close - at - 1);
    Part::Kind kind = Part::Kind::Cell;
    // "#3" alone is a column by number; "#name" opens a section.
    const bool number = name.size() > 1 && name[0] == '#' && name.find_first_not_of("0123456789", 1) == std::string::npos;
    if (!number && (name.starts_with('#') || name.starts_with('/'))) {
      kind = name[0] == '#' ? Part::Kind::Open : Part::Kind::Close;
      name.erase(0, 1);
    }
    Result<size_t> column = findColumn(columns, name, "data.template");
    if (!column) return column.error();
    flush();
    if (kind == Part::Kind::Open) open.push_back(*column);
    if (kind == Part::Kind::Close) {
      if (open.empty() || open.back() != *column)
        return bad(at, "a section of the template is closed that is not open", "Close sections in the reverse order of opening.");
      open.pop_back();
    }
    result.m_parts.push_back({kind, {}, *column});
    if (result.m_parts.size() > kMaxParts) return bad(at, "the template has too many parts", "Shorten the template.");
    result.m_columns.push_back(*column);
    at = close + 1;
  }
  if (!open.empty())
    return bad(0, fmt::format("the template's section {{#{}}} is not closed", columns[open.back()]), "Add its {/…}.");
  flush();
  std::sort(result.m_columns.begin(), result.m_columns.end());
  result.m_columns.erase(std::unique(result.m_columns.begin(), result.m_columns.end()), result.m_columns.end());
  return result;
}

std::string PromptTemplate::render(const Row& row) const {
  std::string text;
  int hidden = 0;  // depth inside sections that are left out
  const auto cell = [&](size_t column) -> const std::string& {
    static const std::string none;
    return column < row.cells.size() && row.cells[column] ? *row.cells[column] : none;
  };
  for (const Part& part : m_parts) switch (part.kind) {
      case Part::Kind::Literal:
        if (hidden == 0) text += part.text;
        break;
      case Part::Kind::Cell:
        if (hidden == 0) text += cell(part.column);
        break;
      case Part::Kind::Open:
        if (hidden > 0 || cell(part.column).empty()) ++hidden;
        break;
      case Part::Kind::Close:
        if (hidden > 0) --hidden;
        break;
    }
  return text;
}

Result<PromptSource> PromptSource::find(const std::string& promptTemplate, const std::string& column,
                                        const std::vector<std::string>& columns) {
  PromptSource source;
  if (promptTemplate.empty()) {
    Result<size_t> found = findColumn(columns, column, "data.columns.prompt");
    if (!found) return found.error();
    source.column = *found;
  } else {
    Result<PromptTemplate> parsed = PromptTemplate::parse(promptTemplate, columns);
    if (!parsed) return parsed.error();
    source.composed = std::move(*parsed);
  }
  return source;
}

std::string PromptSource::text(const Row& row) const {
  return composed ? composed->render(row) : row.cells[column].value_or("");
}

}  // namespace rankscope
