#include "core/text/jinja_lexer.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

#include "core/text/jinja_nodes.h"
#include "core/text/unicode_text.h"

namespace rankscope::jinja {
namespace {

bool isNameStart(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool isNamePart(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
constexpr std::string_view kSpace = " \t\r\n\v\f";

class Lexer {
 public:
  explicit Lexer(std::string_view text) {
    m_text.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\r') {
        if (i + 1 < text.size() && text[i + 1] == '\n') continue;
        m_text += '\n';
      } else {
        m_text += text[i];
      }
    }
    if (m_text.ends_with('\n')) m_text.pop_back();  // keep_trailing_newline is off
  }

  std::vector<Segment> run() {
    bool lineStart = true, stripNext = false;
    while (m_at < m_text.size()) {
      size_t open = m_text.find('{', m_at);
      while (open != std::string::npos && (open + 1 >= m_text.size() || !strchr("{%#", m_text[open + 1])))
        open = m_text.find('{', open + 1);
      std::string before = m_text.substr(m_at, open == std::string::npos ? open : open - m_at);
      if (stripNext) before.erase(0, std::min(before.find_first_not_of(kSpace), before.size()));
      stripNext = false;
      if (open == std::string::npos) {
        add(std::move(before));
        break;
      }
      const char kind = m_text[open + 1], sign = open + 2 < m_text.size() ? m_text[open + 2] : '\0';
      if (sign == '-') {
        before.erase(before.find_last_not_of(kSpace) + 1);
      } else if (kind != '{' && sign != '+') {
        // lstrip_blocks: nothing but blanks before a tag on its line.
        const size_t newline = before.rfind('\n');
        const size_t from = newline == std::string::npos ? 0 : newline + 1;
        if ((newline != std::string::npos || lineStart) && before.find_first_not_of(" \t\v\f", from) == std::string::npos)
          before.erase(from);
      }
      add(std::move(before));
      countLines(open);
      m_at = open + 2 + (sign == '-' || sign == '+' ? 1 : 0);
      bool trim = false, keep = false;
      if (kind == '#') {
        const size_t close = m_text.find("#}", m_at);
        if (close == std::string::npos) throw Failure{"a comment is not closed", m_line};
        trim = m_text[close - 1] == '-' && close > m_at;
        keep = m_text[close - 1] == '+' && close > m_at;
        m_at = close + 2;
      } else {
        Segment segment;
        segment.kind = kind == '{' ? Segment::Kind::Output : Segment::Kind::Statement;
        segment.line = m_line;
        segment.tokens = tokens(kind == '{' ? "}}" : "%}", trim, keep);
        m_segments.push_back(std::move(segment));
      }
      countLines(m_at);
      lineStart = false;
      if (trim) {
        stripNext = true;
      } else if (kind != '{' && !keep && m_at < m_text.size() && m_text[m_at] == '\n') {
        ++m_at;  // trim_blocks
        lineStart = true;
      }
    }
    return std::move(m_segments);
  }

 private:
  void add(std::string text) {
    if (!text.empty()) m_segments.push_back({Segment::Kind::Text, std::move(text), {}, m_line});
  }
  void countLines(size_t to) {
    for (; m_counted < to; ++m_counted) m_line += m_text[m_counted] == '\n';
  }

  std::vector<Token> tokens(std::string_view close, bool& trim, bool& keep) {
    std::vector<Token> result;
    int open = 0;  // brackets; a dictionary may end in "}}"
    while (true) {
      m_at = std::min(m_text.find_first_not_of(kSpace, m_at), m_text.size());
      if (m_at >= m_text.size()) throw Failure{"a tag is not closed", m_line};
      const std::string_view rest = std::string_view(m_text).substr(m_at);
      const size_t sign = rest[0] == '-' || rest[0] == '+' ? 1 : 0;
      if (open == 0 && rest.substr(sign).starts_with(close)) {
        trim = rest[0] == '-';
        keep = rest[0] == '+';
        m_at += sign + close.size();
        result.push_back({Token::Kind::End, "", m_line});
        return result;
      }
      result.push_back(next(rest, open));
    }
  }

  Token next(std::string_view rest, int& open) {
    if (rest[0] == '\'' || rest[0] == '"') return literal(rest);
    size_t end = 0;
    if (isNameStart(rest[0])) {
      while (end < rest.size() && isNamePart(rest[end])) ++end;
      m_at += end;
      return {Token::Kind::Name, std::string(rest.substr(0, end)), m_line};
    }
    if (std::isdigit(static_cast<unsigned char>(rest[0]))) {
      while (end < rest.size() && std::isdigit(static_cast<unsigned char>(rest[end]))) ++end;
      m_at += end;
      return {Token::Kind::Number, std::string(rest.substr(0, end)), m_line};
    }
    for (const std::string_view op : {"==", "!=", "<=", ">=", "//", "**"})
      if (rest.starts_with(op)) {
        m_at += op.size();
        return {Token::Kind::Operator, std::string(op), m_line};
      }
    if (!strchr("+-*/%~<>=.,:|()[]{}", rest[0])) throw Failure{fmt::format("the character {} is not expected", rest.substr(0, 1)), m_line};
    open += strchr("([{", rest[0]) ? 1 : strchr(")]}", rest[0]) ? -1 : 0;
    ++m_at;
    return {Token::Kind::Operator, std::string(rest.substr(0, 1)), m_line};
  }

  Token literal(std::string_view rest) {
    std::string text;
    size_t i = 1;
    for (; i < rest.size() && rest[i] != rest[0]; ++i) {
      if (rest[i] != '\\' || i + 1 >= rest.size()) {
        text += rest[i];
        continue;
      }
      const char c = rest[++i];
      switch (c) {
        case 'n': text += '\n'; break;
        case 't': text += '\t'; break;
        case 'r': text += '\r'; break;
        case '\n': break;
        case '\\': case '\'': case '"': text += c; break;
        case 'u': {
          uint32_t code = 0;
          const std::string_view digits = rest.substr(i + 1, 4);
          if (digits.size() < 4 || std::from_chars(digits.data(), digits.data() + 4, code, 16).ptr != digits.data() + 4)
            throw Failure{"a \\u of a text has no four digits", m_line};
          appendCharacter(text, static_cast<int32_t>(code));
          i += 4;
          break;
        }
        default: text += '\\'; text += c;  // Python leaves what it does not know
      }
    }
    if (i >= rest.size()) throw Failure{"a text is not closed", m_line};
    m_at += i + 1;
    return {Token::Kind::Text, std::move(text), m_line};
  }

  std::string m_text;
  size_t m_at = 0, m_counted = 0, m_line = 1;
  std::vector<Segment> m_segments;
};

}  // namespace

std::vector<Segment> segmentsOf(std::string_view text) { return Lexer(text).run(); }

}  // namespace rankscope::jinja
