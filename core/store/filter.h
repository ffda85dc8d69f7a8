#pragma once
// The language of the filter box, parsed into SQL with bound parameters (no text of the user ever enters the SQL).
//
//   words            every word must occur (any case) in name, method, model, data, task, tags, note or status
//   "two words"      as one piece;  /expr/ a regular expression over the same texts (^ and $ at each)
//   field op value   op is = != < <= > >= ~ (contains, any case; or ~ /expr/); value a word, number or "quoted text"
//   and or not ( )   words side by side mean `and`;  a number may end in k, M or G, a time in s, min, h or d
//
// A field is a column (fields() lists them), a metric ("eval/loss", or "accuracy" for eval/accuracy; with .best .min
// .max .first for other than its last value), or a config key ("optim.learning_rate").

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

using SqlValue = std::variant<double, int64_t, std::string>;

struct FilterSql {
  std::string where;  // over runs r; "1" when the filter is empty
  std::vector<SqlValue> parameters;
};

// What the parser may ask about the store: which metrics and config keys any run has.
struct FilterNames {
  std::vector<std::string> metrics;
  std::vector<std::string> configKeys;
};

struct FilterProblem {
  size_t offset = 0, length = 0;  // bytes of the text where it goes wrong, for marking it in the box
  Error error;                    // its `where` says "character N" (counted from 1)
};

struct FilterField {
  std::string name, help;
  bool numeric = false;
};
const std::vector<FilterField>& filterFields();

// Either the SQL or the first problem.
std::variant<FilterSql, FilterProblem> compileFilter(const std::string& text, const FilterNames& names);

// SQL expression (no parameters of the user inside) for a column, metric or config key; text columns come back as text.
struct FieldSql {
  std::string expression;
  std::vector<SqlValue> parameters;
  bool numeric = false;
};
Result<FieldSql> fieldExpression(const std::string& field, const FilterNames& names);

}  // namespace rankscope
