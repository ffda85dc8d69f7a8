#include "core/store/filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/config/files.h"
#include "core/store/filter_fields.h"
#include "core/store/sql_functions.h"

namespace rankscope {
namespace {

constexpr size_t kLongestFilter = 64 * 1024;
constexpr int kDeepest = 24;        // brackets and nots; SQLite's parser has room for about 30
constexpr size_t kMostTerms = 500;  // SQLite bounds the depth of an expression, a chain's length, to 1000

enum class Sign { Word, Quoted, Regex, Operator, Open, Close, End };

struct Token {
  Sign sign = Sign::End;
  std::string text;  // without quotes or slashes
  size_t offset = 0, length = 0;
};

class Parser {
 public:
  Parser(const std::string& text, const FilterNames& names) : m_text(text), m_names(names) {}

  std::variant<FilterSql, FilterProblem> compile() {
    if (m_text.size() > kLongestFilter) {
      fail(0, m_text.size(), "the filter is too long", fmt::format("{} bytes", m_text.size()), "Use a shorter one.");
    } else if (advance() && m_token.sign != Sign::End) {
      std::string where = either(0);
      if (!m_problem && m_token.sign == Sign::Close)
        failHere("a ) without its (", "Remove it, or put words with brackets in \"quotes\".");
      m_sql.where = std::move(where);
    }
    if (m_problem) return *m_problem;
    if (m_sql.where.empty()) m_sql.where = "1";
    return m_sql;
  }

 private:
  // --- signs ---
  static bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  static bool ends(char c) {
    return blank(c) || c == '(' || c == ')' || c == '=' || c == '<' || c == '>' || c == '~' || c == '"';
  }
  bool operatorAt(size_t at) const { return m_text[at] == '!' && at + 1 < m_text.size() && m_text[at + 1] == '='; }

  bool advance() {
    while (m_at < m_text.size() && blank(m_text[m_at])) ++m_at;
    const size_t begin = m_at;
    m_token = {Sign::End, "", begin, 0};
    if (begin == m_text.size()) return true;
    const char c = m_text[begin];
    if (c == '(' || c == ')') {
      m_token.sign = c == '(' ? Sign::Open : Sign::Close;
      ++m_at;
    } else if (c == '=' || c == '<' || c == '>' || c == '~' || operatorAt(begin)) {
      m_token.sign = Sign::Operator;
      ++m_at;
      if (m_at < m_text.size() && m_text[m_at] == '=' && c != '~') ++m_at;
      m_token.text = m_text.substr(begin, m_at - begin);
      if (m_token.text == "==") m_token.text = "=";
    } else if (c == '"') {
      if (!quoted('"', Sign::Quoted)) return false;
    } else if (c == '/') {
      if (!regex()) return false;
    } else {
      word();
    }
    m_token.offset = begin;
    m_token.length = m_at - begin;
    return true;
  }

  void word() {
    const size_t begin = m_at;
    while (m_at < m_text.size() && !ends(m_text[m_at]) && !operatorAt(m_at)) ++m_at;
    m_token.sign = Sign::Word;
    m_token.text = m_text.substr(begin, m_at - begin);
  }

  bool quoted(char mark, Sign sign) {
    const size_t begin = m_at++;
    std::string text;
    for (; m_at < m_text.size() && m_text[m_at] != mark; ++m_at) {
      if (m_text[m_at] == '\\' && m_at + 1 < m_text.size()) {
        // In a regular expression only \/ is ours; every other \ belongs to it.
        if (sign == Sign::Regex && m_text[m_at + 1] != mark) text += m_text[m_at];
        ++m_at;
      }
      text += m_text[m_at];
    }
    if (m_at == m_text.size())
      return fail(begin, m_text.size() - begin,
                  sign == Sign::Regex ? "the regular expression is not closed" : "the quoted text is not closed", "",
                  sign == Sign::Regex ? "Close it with /; put a path in \"quotes\"." : "Close it with \".");
    ++m_at;
    m_token.sign = sign;
    m_token.text = std::move(text);
    return true;
  }

  bool regex() {
    const size_t begin = m_at;
    if (!quoted('/', Sign::Regex)) return false;
    if (m_at < m_text.size() && m_text[m_at] != ')' && !blank(m_text[m_at])) {  // a path such as /data/mrpc
      m_at = begin;
      word();
      return true;
    }
    if (Result<void> usable = checkRegex(m_token.text); !usable) {
      Error error = usable.error();
      return fail(begin, m_at - begin, error.what, error.where.empty() ? error.found : error.where, error.hint);
    }
    return true;
  }

  // --- grammar ---
  bool isWord(const char* keyword) const { return m_token.sign == Sign::Word && foldText(m_token.text) == keyword; }

  // Chains stay flat: SQLite's parser bounds how deep brackets may nest.
  static std::string chain(const std::vector<std::string>& parts, const char* word) {
    return parts.size() == 1 ? parts[0] : fmt::format("({})", fmt::join(parts, word));
  }

  std::string either(int depth) {
    std::vector<std::string> parts = {all(depth)};
    while (!m_problem && isWord("or")) {
      if (!advance()) return {};
      parts.push_back(all(depth));
    }
    return chain(parts, " OR ");
  }

  std::string all(int depth) {
    std::vector<std::string> parts = {term(depth)};
    while (!m_problem) {
      if (isWord("and")) {
        if (!advance()) return {};
      } else if (m_token.sign == Sign::End || m_token.sign == Sign::Close || isWord("or")) {
        break;
      }
      parts.push_back(term(depth));
    }
    return chain(parts, " AND ");
  }

  std::string term(int depth) {
    if (m_problem) return {};
    if (depth > kDeepest || ++m_terms > kMostTerms) {
      failHere("the filter is too complicated", "Use fewer terms and brackets.");
      return {};
    }
    const Token token = m_token;
    if (isWord("not")) {
      if (!advance()) return {};
      return "(NOT " + term(depth + 1) + ")";
    }
    switch (token.sign) {
      case Sign::Open: {
        if (!advance()) return {};
        std::string inner = either(depth + 1);
        if (m_problem) return {};
        if (m_token.sign != Sign::Close) {
          fail(token.offset, token.length, "a ( is not closed", "", "Add a ).");
          return {};
        }
        if (!advance()) return {};
        return inner;
      }
      case Sign::Regex:
        if (!advance()) return {};
        m_sql.parameters.emplace_back(token.text);
        return kSearch + std::string("rs_regex(?, s.folded))");
      case Sign::Word:
      case Sign::Quoted: {
        if (isWord("and") || isWord("or")) break;
        if (!advance()) return {};
        if (m_token.sign == Sign::Operator) return comparison(token);
        m_sql.parameters.emplace_back(foldText(token.text));
        return kSearch + std::string("instr(s.folded, ?) > 0)");
      }
      default: break;
    }
    if (token.sign == Sign::End)
      fail(m_lastEnd(), 0, "something is missing at the end", "", "Add a word or a comparison such as rank >= 16.");
    else
      failHere("a word or a comparison is expected here", "For example: rank >= 16 and method = reflora.");
    return {};
  }

  std::string comparison(const Token& name) {
    const Token sign = m_token;
    if (!advance()) return {};
    const Token value = m_token;
    if (value.sign != Sign::Word && value.sign != Sign::Quoted && value.sign != Sign::Regex) {
      if (value.sign == Sign::End)
        fail(sign.offset, sign.length, "a value is missing after " + sign.text, "", "Add what to compare with.");
      else
        failHere("a value is expected here", "Put texts with special signs in \"quotes\".");
      return {};
    }
    Result<ResolvedField> field = resolveField(name.text, m_names);
    if (!field) {
      const Error& error = field.error();
      fail(name.offset, name.length, error.what, error.found, error.hint, error.expected);
      return {};
    }
    if (!advance()) return {};
    if (value.sign == Sign::Regex) return regexComparison(*field, sign, value);
    const bool unset = value.sign == Sign::Word && foldText(value.text) == "none";
    if (unset && (sign.text == "=" || sign.text == "!=")) {
      take(*field);
      return fmt::format("({} IS {}NULL)", field->expression, sign.text == "=" ? "" : "NOT ");
    }
    switch (field->kind) {
      case FieldKind::Number:
      case FieldKind::Duration: {
        const auto number = parseFilterNumber(value.text, field->kind);
        if (!number) return valueProblem(value, "a number", "Write for example 16, 1.5k, 3e-4 or none.");
        return numberComparison(*field, sign, *number);
      }
      case FieldKind::Time: {
        const auto span = parseFilterTime(value.text);
        if (!span) return valueProblem(value, "a date", "Write for example 2025-03-01 or 2025-03-01T14:30.");
        return timeComparison(*field, sign, *span);
      }
      case FieldKind::Flag: {
        const auto flag = parseFilterFlag(value.text);
        if (!flag) return valueProblem(value, "yes or no", "Write yes or no.");
        return numberComparison(*field, sign, *flag ? 1 : 0);
      }
      case FieldKind::Config: {
        const auto number = value.sign == Sign::Word ? parseFilterNumber(value.text, field->kind) : std::nullopt;
        const bool asNumber = number && sign.text != "~";
        field->expression = asNumber ? field->numberExpression : field->textExpression;
        if (asNumber) return numberComparison(*field, sign, *number);
        return textComparison(*field, sign, value);
      }
      case FieldKind::Tags: return tagComparison(sign, value);
      case FieldKind::Text: return textComparison(*field, sign, value);
    }
    return {};
  }

  void take(const ResolvedField& field) {
    m_sql.parameters.insert(m_sql.parameters.end(), field.parameters.begin(), field.parameters.end());
  }

  // A run without the value fits no comparison but !=.
  std::string numberComparison(const ResolvedField& field, const Token& sign, double number) {
    if (sign.text == "~") return operatorProblem(sign, "numbers compare with = != < <= > >=");
    if (sign.text == "=" || sign.text == "!=") {
      // The distance allowed is far below any digit that is shown: 0.1 typed finds 0.1 stored in single precision.
      take(field);
      m_sql.parameters.emplace_back(number);
      const double slack = std::max(std::abs(number) * 1e-7, 1e-300);
      m_sql.parameters.emplace_back(slack);
      const std::string close = fmt::format("COALESCE(abs({} - ?) <= ?, 0)", field.expression);
      return sign.text == "=" ? close : "(NOT " + close + ")";
    }
    take(field);
    m_sql.parameters.emplace_back(number);
    return fmt::format("COALESCE({} {} ?, 0)", field.expression, sign.text);
  }

  std::string timeComparison(const ResolvedField& field, const Token& sign, const TimeSpan& span) {
    if (sign.text == "~") return operatorProblem(sign, "dates compare with = != < <= > >=");
    take(field);
    if (sign.text == "=" || sign.text == "!=") {
      m_sql.parameters.emplace_back(span.from);
      take(field);
      m_sql.parameters.emplace_back(span.until);
      const std::string within = fmt::format("COALESCE({0} >= ? AND {0} < ?, 0)", field.expression);
      return sign.text == "=" ? within : "(NOT " + within + ")";
    }
    // After a day means after its end, up to a day includes it.
    const bool end = sign.text == ">" || sign.text == "<=";
    m_sql.parameters.emplace_back(end ? span.until : span.from);
    return fmt::format("COALESCE({} {} ?, 0)", field.expression,
                       sign.text == ">"    ? ">="
                       : sign.text == "<=" ? "<"
                                           : sign.text);
  }

  std::string textComparison(const ResolvedField& field, const Token& sign, const Token& value) {
    if (sign.text == "<" || sign.text == ">" || sign.text == "<=" || sign.text == ">=")
      return operatorProblem(sign, "texts compare with = != and ~ (contains)");
    take(field);
    m_sql.parameters.emplace_back(foldText(value.text));
    if (sign.text == "~") return fmt::format("COALESCE(instr(rs_fold({}), ?) > 0, 0)", field.expression);
    const std::string equal = fmt::format("COALESCE(rs_fold({}) = ?, 0)", field.expression);
    return sign.text == "=" ? equal : "(NOT " + equal + ")";
  }

  std::string tagComparison(const Token& sign, const Token& value) {
    if (sign.text == "<" || sign.text == ">" || sign.text == "<=" || sign.text == ">=")
      return operatorProblem(sign, "tags compare with = != and ~ (contains)");
    m_sql.parameters.emplace_back(foldText(value.text));
    const std::string any = fmt::format("EXISTS (SELECT 1 FROM tags t WHERE t.uuid = r.uuid AND {})",
                                        sign.text == "~" ? "instr(rs_fold(t.tag), ?) > 0" : "rs_fold(t.tag) = ?");
    return sign.text == "!=" ? "(NOT " + any + ")" : any;
  }

  std::string regexComparison(const ResolvedField& field, const Token& sign, const Token& value) {
    if (sign.text != "~" && sign.text != "=" && sign.text != "!=")
      return operatorProblem(sign, "a regular expression follows ~");
    m_sql.parameters.emplace_back(value.text);
    take(field);
    const std::string& expression = field.textExpression.empty() ? field.expression : field.textExpression;
    const std::string found = fmt::format("rs_regex(?, {})", expression);
    return sign.text == "!=" ? "(NOT " + found + ")" : found;
  }

  // --- problems ---
  size_t m_lastEnd() const {
    size_t end = m_text.size();
    while (end > 0 && blank(m_text[end - 1])) --end;
    return end;
  }
  std::string valueProblem(const Token& value, const char* expected, const char* hint) {
    fail(value.offset, value.length, "the value does not fit the field", value.text, hint, expected);
    return {};
  }
  std::string operatorProblem(const Token& sign, const char* expected) {
    fail(sign.offset, sign.length, "this comparison does not fit the field", sign.text,
         "Use another sign: " + std::string(expected) + ".", "");
    return {};
  }
  void failHere(const char* what, const char* hint) {
    fail(m_token.offset, m_token.length, what, m_text.substr(m_token.offset, m_token.length), hint);
  }
  bool fail(size_t offset, size_t length, const std::string& what, const std::string& found, const std::string& hint,
            const std::string& expected = {}) {
    if (m_problem) return false;
    const auto characters = std::count_if(m_text.begin(), m_text.begin() + static_cast<std::ptrdiff_t>(offset),
                                          [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
    m_problem = FilterProblem{
        offset,
        length,
        {ErrorCode::Usage, what, fmt::format("character {}", characters + 1), cleanUtf8(found, 200), expected, hint}};
    return false;
  }

  static constexpr const char* kSearch = "EXISTS (SELECT 1 FROM run_search s WHERE s.rid = r.rid AND ";
  const std::string& m_text;
  const FilterNames& m_names;
  size_t m_at = 0, m_terms = 0;
  Token m_token;
  FilterSql m_sql;
  std::optional<FilterProblem> m_problem;
};

}  // namespace

std::variant<FilterSql, FilterProblem> compileFilter(const std::string& text, const FilterNames& names) {
  return Parser(text, names).compile();
}

}  // namespace rankscope
