#include "core/store/sql_functions.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <unicode/regex.h>
#include <unicode/unistr.h>

#include <memory>

namespace rankscope {
namespace {

constexpr size_t kRegexTextBytes = 64 * 1024;  // longer texts are matched by their beginning
constexpr int32_t kRegexTimeLimit = 200;       // ICU's unit, about a millisecond each
constexpr int32_t kRegexStackLimit = 1 << 20;

struct CompiledRegex {
  std::unique_ptr<icu::RegexMatcher> matcher;
};

std::unique_ptr<CompiledRegex> compileRegex(const std::string& pattern, UParseError& where, UErrorCode& status) {
  auto compiled = std::make_unique<CompiledRegex>();
  where = {};
  where.offset = -1;
  std::unique_ptr<icu::RegexPattern> checked(icu::RegexPattern::compile(
      icu::UnicodeString::fromUTF8(pattern), UREGEX_CASE_INSENSITIVE | UREGEX_MULTILINE, where, status));
  if (U_FAILURE(status)) return compiled;
  compiled->matcher = std::make_unique<icu::RegexMatcher>(icu::UnicodeString::fromUTF8(pattern),
                                                          UREGEX_CASE_INSENSITIVE | UREGEX_MULTILINE, status);
  if (U_SUCCESS(status)) compiled->matcher->setTimeLimit(kRegexTimeLimit, status);
  if (U_SUCCESS(status)) compiled->matcher->setStackLimit(kRegexStackLimit, status);
  return compiled;
}

std::string_view textOf(sqlite3_value* value) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return text ? std::string_view(text, static_cast<size_t>(sqlite3_value_bytes(value))) : std::string_view();
}

void sqlFold(sqlite3_context* context, int, sqlite3_value** arguments) {
  if (sqlite3_value_type(arguments[0]) == SQLITE_NULL) return sqlite3_result_null(context);
  const std::string folded = foldText(textOf(arguments[0]));
  sqlite3_result_text64(context, folded.data(), folded.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void sqlRegex(sqlite3_context* context, int, sqlite3_value** arguments) {
  if (sqlite3_value_type(arguments[1]) == SQLITE_NULL) return sqlite3_result_int(context, 0);
  auto* compiled = static_cast<CompiledRegex*>(sqlite3_get_auxdata(context, 0));
  UErrorCode status = U_ZERO_ERROR;
  std::unique_ptr<CompiledRegex> made;
  if (!compiled) {
    UParseError where;
    made = compileRegex(std::string(textOf(arguments[0])), where, status);
    if (U_FAILURE(status)) return sqlite3_result_error(context, "the regular expression cannot be used", -1);
    compiled = made.get();
  }
  const icu::UnicodeString text = icu::UnicodeString::fromUTF8(icu::StringPiece(
      textOf(arguments[1]).data(), static_cast<int32_t>(std::min(textOf(arguments[1]).size(), kRegexTextBytes))));
  compiled->matcher->reset(text);
  const bool found = compiled->matcher->find(status);
  if (made) sqlite3_set_auxdata(context, 0, made.release(), [](void* old) { delete static_cast<CompiledRegex*>(old); });
  if (U_FAILURE(status)) return sqlite3_result_error(context, "the regular expression takes too long on this text", -1);
  sqlite3_result_int(context, found ? 1 : 0);
}

int sqlNatural(void*, int sizeA, const void* a, int sizeB, const void* b) {
  return compareNatural({static_cast<const char*>(a), static_cast<size_t>(sizeA)},
                        {static_cast<const char*>(b), static_cast<size_t>(sizeB)});
}

}  // namespace

std::string foldText(std::string_view text) {
  std::string folded(text);
  bool ascii = true;
  for (char& c : folded) {
    if (static_cast<unsigned char>(c) >= 0x80) ascii = false;
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (ascii) return folded;
  std::string out;
  icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())))
      .foldCase()
      .toUTF8String(out);
  return out;
}

Result<void> checkRegex(const std::string& pattern) {
  UParseError where;
  UErrorCode status = U_ZERO_ERROR;
  if (pattern.size() > 4096)
    return Error{ErrorCode::Usage,
                 "the regular expression is too long",
                 "",
                 fmt::format("{} bytes", pattern.size()),
                 "at most 4096",
                 "Shorten it."};
  (void)compileRegex(pattern, where, status);
  if (U_SUCCESS(status)) return {};
  return Error{ErrorCode::Usage,
               "the regular expression cannot be used",
               where.offset >= 0 ? fmt::format("character {} of it", where.offset + 1) : std::string(),
               pattern,
               "",
               "Close every bracket, and put \\ before a sign that is meant literally."};
}

// Digits compare as numbers, everything else by folded ASCII case; ties are broken by the bytes, so the order is total.
int compareNatural(std::string_view a, std::string_view b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (digit(a[i]) && digit(b[j])) {
      while (i < a.size() && a[i] == '0') ++i;
      while (j < b.size() && b[j] == '0') ++j;
      size_t endA = i, endB = j;
      while (endA < a.size() && digit(a[endA])) ++endA;
      while (endB < b.size() && digit(b[endB])) ++endB;
      if (endA - i != endB - j) return endA - i < endB - j ? -1 : 1;
      const int order = a.substr(i, endA - i).compare(b.substr(j, endB - j));
      if (order != 0) return order < 0 ? -1 : 1;
      i = endA;
      j = endB;
      continue;
    }
    const auto left = static_cast<unsigned char>(lower(a[i])), right = static_cast<unsigned char>(lower(b[j]));
    if (left != right) return left < right ? -1 : 1;
    ++i;
    ++j;
  }
  if (i < a.size() || j < b.size()) return i < a.size() ? 1 : -1;
  const int order = a.compare(b);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

void registerSqlFunctions(sqlite3* handle) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  sqlite3_create_function_v2(handle, "rs_fold", 1, kFlags, nullptr, sqlFold, nullptr, nullptr, nullptr);
  sqlite3_create_function_v2(handle, "rs_regex", 2, kFlags, nullptr, sqlRegex, nullptr, nullptr, nullptr);
  sqlite3_create_collation_v2(handle, "RS_NATURAL", SQLITE_UTF8, nullptr, sqlNatural, nullptr);
}

}  // namespace rankscope
