#pragma once
// What a name in the filter box can mean, and how it reads in SQL. Shared by the parser, sorting and grouping.

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/store/filter.h"

namespace rankscope {

enum class FieldKind { Text, Number, Flag, Time, Duration, Tags, Config };

struct ResolvedField {
  FieldKind kind = FieldKind::Text;
  // One value per run r; for Config a number where the value is one, else its text.
  std::string expression;
  std::vector<SqlValue> parameters;
  std::string numberExpression, textExpression;  // Config only: one or the other (same parameters)
};
Result<ResolvedField> resolveField(std::string_view name, const FilterNames& names);

// "16", "1.5k", "2M", "3e-4", "4GB"; for Duration also "90s", "5min", "2h", "1d".
std::optional<double> parseFilterNumber(std::string_view text, FieldKind kind);
// "2025-03-01", "2025-03-01T14:30", local time; the end of what it names (the day, the minute) in `until`.
struct TimeSpan {
  double from = 0, until = 0;
};
std::optional<TimeSpan> parseFilterTime(std::string_view text);
std::optional<bool> parseFilterFlag(std::string_view text);

}  // namespace rankscope
