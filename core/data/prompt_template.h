#pragma once
// A prompt made of columns: "{instruction}" inserts a cell, "{#input}…{/input}" keeps its inside only where the cell is
// not empty, "{{" and "}}" are braces. Parsed once, rendered per row; a value, const use from any thread.

#include <optional>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/data/table.h"

namespace rankscope {

class PromptTemplate {
 public:
  // Names are columns (or "#3"); the error points at the place in the template.
  static Result<PromptTemplate> parse(const std::string& text, const std::vector<std::string>& columns);
  std::string render(const Row& row) const;
  // Column indices used, sorted.
  const std::vector<size_t>& columns() const { return m_columns; }

 private:
  struct Part {
    enum class Kind { Literal, Cell, Open, Close } kind = Kind::Literal;
    std::string text;   // of a literal
    size_t column = 0;  // of a cell or section
  };
  std::vector<Part> m_parts;
  std::vector<size_t> m_columns;
};

// Where a row's prompt comes from: a template, or one column as it stands.
struct PromptSource {
  // An empty template: the column of that role.
  static Result<PromptSource> find(const std::string& promptTemplate, const std::string& column,
                                   const std::vector<std::string>& columns);
  std::string text(const Row& row) const;

  std::optional<PromptTemplate> composed;
  size_t column = 0;  // without a template
};

}  // namespace rankscope
