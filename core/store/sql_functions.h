#pragma once
// What the store's SQL can call besides SQLite's own: rs_fold(text) for comparisons without regard to case in any
// script, rs_regex(pattern, text), and the collation RS_NATURAL (run-2 before run-10). All bounded in time and memory.

#include <string>
#include <string_view>

#include "core/config/result.h"

struct sqlite3;

namespace rankscope {

void registerSqlFunctions(sqlite3* handle);

std::string foldText(std::string_view text);
// Whether the pattern can be used; the error says at which character it goes wrong.
Result<void> checkRegex(const std::string& pattern);
int compareNatural(std::string_view a, std::string_view b);

}  // namespace rankscope
