#include "core/text/text_pattern.h"

#include <fmt/format.h>
#include <unicode/uregex.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

#include "core/config/text_shown.h"
#include "core/text/unicode_text.h"

namespace rankscope {
namespace {

constexpr size_t kMaxExpressionBytes = 16384;
constexpr size_t kMaxIdle = 8;
// ICU's own units: bytes of backtracking memory, and steps of about a millisecond.
constexpr int32_t kMaxStackBytes = 32 << 20;
constexpr int32_t kMaxSteps = 5000;

// Escapes that mean something else in Oniguruma than in ICU.
std::string differing(std::string_view expression) {
  for (size_t i = 0; i + 1 < expression.size(); ++i) {
    if (expression[i] == '\\') {
      if (std::string_view("hHgKyYO").find(expression[i + 1]) != std::string_view::npos) return std::string(expression.substr(i, 2));
      ++i;
    } else if (expression.substr(i, 2) == "(?") {
      // Ruby's (?m) lets the dot match line ends; only (?i and (?x mean the same.
      for (size_t k = i + 2; k < expression.size() && std::string_view("imsxadlu-").find(expression[k]) != std::string_view::npos; ++k)
        if (std::string_view("msadlu").find(expression[k]) != std::string_view::npos) return std::string(expression.substr(i, k + 1 - i));
    }
  }
  return {};
}

std::u16string toUtf16(std::string_view text) {
  std::u16string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const int32_t c = nextCharacter(text, at);
    if (c > 0xFFFF) {
      out += static_cast<char16_t>(U16_LEAD(c));
      out += static_cast<char16_t>(U16_TRAIL(c));
    } else {
      out += static_cast<char16_t>(c);
    }
  }
  return out;
}

// Walks forward through UTF-16 and UTF-8 side by side.
struct Position {
  const std::u16string& utf16;
  size_t units = 0, bytes = 0;

  void step() {
    const char16_t unit = utf16[units];
    bytes += unit < 0x80 ? 1 : unit < 0x800 ? 2 : U16_IS_SURROGATE(unit) ? 4 : 3;
    units += U16_IS_SURROGATE(unit) ? 2 : 1;
  }
  void toUnits(size_t target) {
    while (units < target) step();
  }
  void toBytes(size_t target) {
    while (bytes < target) step();
  }
};

}  // namespace

TextPattern::~TextPattern() {
  for (void* matcher : m_idle) uregex_close(static_cast<URegularExpression*>(matcher));
  if (m_expression) uregex_close(static_cast<URegularExpression*>(m_expression));
}

std::unique_ptr<TextPattern> TextPattern::literal(std::string text) {
  std::unique_ptr<TextPattern> pattern(new TextPattern);
  pattern->m_source = std::move(text);
  return pattern;
}

Result<std::unique_ptr<TextPattern>> TextPattern::expression(const std::string& text, const std::string& where) {
  const auto bad = [&](const std::string& found, const std::string& expected) {
    return Error{ErrorCode::BadInput, "tokenizer has a regular expression that cannot be used", where, found, expected, kTokenizerHint};
  };
  if (text.size() > kMaxExpressionBytes) return bad("a very long one", fmt::format("at most {} bytes", kMaxExpressionBytes));
  if (const std::string other = differing(text); !other.empty())
    return bad(shown(other), "an expression that means the same in Oniguruma and ICU");
  const std::u16string utf16 = toUtf16(text);
  UErrorCode status = U_ZERO_ERROR;
  UParseError place{};
  // In Oniguruma's Ruby syntax ^ and $ stand at every line feed.
  URegularExpression* compiled = uregex_open(reinterpret_cast<const UChar*>(utf16.data()), static_cast<int32_t>(utf16.size()),
                                             UREGEX_MULTILINE | UREGEX_UNIX_LINES, &place, &status);
  if (U_FAILURE(status)) {
    if (compiled) uregex_close(compiled);
    return bad(fmt::format("{} ({} at character {})", shown(text, 80), u_errorName(status), place.offset), "");
  }
  std::unique_ptr<TextPattern> pattern(new TextPattern);
  pattern->m_source = text;
  pattern->m_expression = compiled;
  return pattern;
}

Result<std::unique_ptr<TextPattern>> TextPattern::read(ComponentSettings& settings, const char* key) {
  const nlohmann::json* value = settings.find(key);
  if (value && value->is_string()) return literal(value->get<std::string>());
  if (value && value->is_object() && value->size() == 1) {
    const std::string kind = value->begin().key();
    const nlohmann::json& content = value->begin().value();
    if (content.is_string() && kind == "String") return literal(content.get<std::string>());
    if (content.is_string() && kind == "Regex") return expression(content.get<std::string>(), settings.where());
  }
  return Error{ErrorCode::BadInput, "tokenizer has a pattern that cannot be read", settings.where(), value ? value->type_name() : "nothing",
               "String or Regex", kTokenizerHint};
}

void* TextPattern::borrow() const {
  {
    const std::lock_guard lock(m_mutex);
    if (!m_idle.empty()) {
      void* matcher = m_idle.back();
      m_idle.pop_back();
      return matcher;
    }
  }
  UErrorCode status = U_ZERO_ERROR;
  URegularExpression* matcher = uregex_clone(static_cast<URegularExpression*>(m_expression), &status);
  uregex_setStackLimit(matcher, kMaxStackBytes, &status);
  uregex_setTimeLimit(matcher, kMaxSteps, &status);
  return matcher;
}

void TextPattern::giveBack(void* matcher) const {
  // Lets go of the text, which ends before the matcher does.
  static constexpr UChar kNothing[] = {0};
  UErrorCode status = U_ZERO_ERROR;
  uregex_setText(static_cast<URegularExpression*>(matcher), kNothing, 0, &status);
  const std::lock_guard lock(m_mutex);
  if (m_idle.size() < kMaxIdle) m_idle.push_back(matcher);
  else uregex_close(static_cast<URegularExpression*>(matcher));
}

void TextPattern::search(std::string_view text, const std::vector<ByteRange>& pieces,
                         const std::function<void(size_t, ByteRange)>& visit) const {
  if (!m_expression) {
    if (m_source.empty()) return;
    for (size_t i = 0; i < pieces.size(); ++i) {
      const std::string_view piece = text.substr(0, pieces[i].end);
      for (size_t at = piece.find(m_source, pieces[i].begin); at != std::string_view::npos; at = piece.find(m_source, at + m_source.size()))
        visit(i, {at, at + m_source.size()});
    }
    return;
  }
  if (text.size() > INT32_MAX) return;
  const std::u16string utf16 = toUtf16(text);
  auto* matcher = static_cast<URegularExpression*>(borrow());
  UErrorCode status = U_ZERO_ERROR;
  uregex_setText(matcher, reinterpret_cast<const UChar*>(utf16.data()), static_cast<int32_t>(utf16.size()), &status);
  Position position{utf16};
  for (size_t i = 0; i < pieces.size() && U_SUCCESS(status); ++i) {
    position.toBytes(pieces[i].begin);
    if (pieces.size() > 1 || pieces[i].begin > 0 || pieces[i].end < text.size()) {
      Position end = position;
      end.toBytes(pieces[i].end);
      uregex_setRegion(matcher, static_cast<int32_t>(position.units), static_cast<int32_t>(end.units), &status);
    }
    while (uregex_findNext(matcher, &status) && U_SUCCESS(status)) {
      position.toUnits(static_cast<size_t>(uregex_start(matcher, 0, &status)));
      const size_t begin = position.bytes;
      position.toUnits(static_cast<size_t>(uregex_end(matcher, 0, &status)));
      visit(i, {begin, position.bytes});
    }
  }
  giveBack(matcher);
}

}  // namespace rankscope
