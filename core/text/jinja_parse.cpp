// Template text to tree: the lexer's rules about white space, then recursive descent with Jinja's precedences.
#include <algorithm>
#include <cctype>
#include <charconv>

#include "core/config/text_shown.h"
#include "core/text/jinja.h"
#include "core/text/jinja_nodes.h"
#include "core/text/unicode_text.h"

namespace rankscope {
namespace jinja {
namespace {

using std::make_unique;
using Pointer = std::unique_ptr<Expression>;

struct Token {
  enum class Kind { Name, Text, Number, Operator, End } kind = Kind::End;
  std::string text;
  size_t line = 0;
};

struct Segment {
  enum class Kind { Text, Output, Statement } kind = Kind::Text;
  std::string text;
  std::vector<Token> tokens;
  size_t line = 0;
};

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

// Expressions of one tag.
class ExpressionParser {
 public:
  explicit ExpressionParser(const std::vector<Token>& tokens) : m_tokens(tokens) {}

  bool atEnd() const { return peek().kind == Token::Kind::End; }
  const Token& peek() const { return m_tokens[m_at]; }
  bool isOperator(std::string_view text) const { return peek().kind == Token::Kind::Operator && peek().text == text; }
  bool isName(std::string_view text) const { return peek().kind == Token::Kind::Name && peek().text == text; }
  bool take(std::string_view text) {
    if (!isOperator(text) && !isName(text)) return false;
    ++m_at;
    return true;
  }
  void expect(std::string_view text) {
    if (!take(text)) fail(fmt::format("{} is expected", text));
  }
  std::string takeName() {
    if (peek().kind != Token::Kind::Name) fail("a name is expected");
    return m_tokens[m_at++].text;
  }
  void expectEnd() {
    if (!atEnd()) fail("the tag goes on");
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw Failure{what + (atEnd() ? " at the tag's end" : fmt::format(" at \"{}\"", peek().text)), peek().line};
  }

  Pointer choice() {
    if (++m_depth > kMaxDepth) fail("expressions are nested too deeply");
    Pointer value = either();
    while (take("if")) {
      Pointer condition = either();
      Pointer other = take("else") ? choice() : literal(Value(Value::value_t::discarded));
      value = make(Expression::Kind::Choice, "", std::move(value), std::move(condition), std::move(other));
    }
    --m_depth;
    return value;
  }
  // Without "… if … else …": what a for walks over.
  Pointer either() {
    Pointer left = both();
    while (take("or")) left = make(Expression::Kind::Or, "", std::move(left), both());
    return left;
  }

 private:
  template <typename... Parts>
  Pointer make(Expression::Kind kind, std::string name, Parts... parts) {
    Pointer result = make_unique<Expression>();
    result->kind = kind;
    result->name = std::move(name);
    result->line = peek().line;
    (result->parts.push_back(std::move(parts)), ...);
    return result;
  }
  Pointer literal(Value value) {
    Pointer result = make(Expression::Kind::Literal, "");
    result->value = std::move(value);
    return result;
  }

  Pointer both() {
    Pointer left = negation();
    while (take("and")) left = make(Expression::Kind::And, "", std::move(left), negation());
    return left;
  }
  Pointer negation() {
    if (!take("not")) return comparison();
    if (++m_depth > kMaxDepth) fail("expressions are nested too deeply");
    Pointer inside = negation();
    --m_depth;
    return make(Expression::Kind::Not, "", std::move(inside));
  }
  Pointer comparison() {
    Pointer left = sum();
    bool compared = false;
    while (true) {
      std::string op;
      for (const char* each : {"==", "!=", "<=", ">=", "<", ">"})
        if (op.empty() && take(each)) op = each;
      if (op.empty() && take("in")) op = "in";
      if (op.empty() && isName("not") && m_tokens[m_at + 1].kind == Token::Kind::Name && m_tokens[m_at + 1].text == "in") {
        m_at += 2;
        op = "not in";
      }
      if (op.empty()) return left;
      if (compared) fail("a chain of comparisons");  // a < b < c means something else than it says here
      compared = true;
      left = make(Expression::Kind::Binary, op, std::move(left), sum());
    }
  }
  Pointer sum() { return leftToRight({"+", "-", "~"}, [this] { return product(); }); }
  Pointer product() { return leftToRight({"*", "//", "%", "/"}, [this] { return unary(); }); }
  template <typename Inner>
  Pointer leftToRight(std::initializer_list<const char*> operators, Inner inner) {
    Pointer left = inner();
    while (true) {
      std::string op;
      for (const char* each : operators)
        if (op.empty() && take(each)) op = each;
      if (op.empty()) return left;
      left = make(Expression::Kind::Binary, op, std::move(left), inner());
    }
  }
  Pointer unary() {
    if (++m_depth > kMaxDepth) fail("expressions are nested too deeply");
    Pointer result;
    if (take("-")) result = make(Expression::Kind::Negate, "", unary());
    else result = filtered(postfix(primary()));
    --m_depth;
    return result;
  }

  Pointer filtered(Pointer value) {
    while (true) {
      if (take("|")) {
        Pointer filter = make(Expression::Kind::Filter, takeName(), std::move(value));
        if (take("(")) arguments(*filter);
        value = postfix(std::move(filter));
      } else if (take("is")) {
        const bool negated = take("not");
        Pointer test = make(Expression::Kind::Test, takeName(), std::move(value));
        if (take("(")) arguments(*test);
        else if (!atEnd() && (peek().kind == Token::Kind::Text || peek().kind == Token::Kind::Number))
          test->parts.push_back(primary());
        value = negated ? make(Expression::Kind::Not, "", std::move(test)) : std::move(test);
      } else {
        return value;
      }
    }
  }

  Pointer postfix(Pointer value) {
    while (true) {
      if (take(".")) {
        value = make(Expression::Kind::Attribute, takeName(), std::move(value));
      } else if (take("[")) {
        value = subscript(std::move(value));
      } else if (take("(")) {
        value = make(Expression::Kind::Call, "", std::move(value));
        arguments(*value);
      } else {
        return value;
      }
    }
  }

  Pointer subscript(Pointer value) {
    Pointer bounds[3];
    bool slice = false;
    for (int i = 0; i < 3; ++i) {
      if (!isOperator(":") && !isOperator("]")) bounds[i] = choice();
      if (!take(":")) break;
      slice = true;
    }
    expect("]");
    if (slice) return make(Expression::Kind::Slice, "", std::move(value), std::move(bounds[0]), std::move(bounds[1]), std::move(bounds[2]));
    if (!bounds[0]) fail("an index is expected");
    return make(Expression::Kind::Index, "", std::move(value), std::move(bounds[0]));
  }

  void arguments(Expression& call) {
    while (!take(")")) {
      if (peek().kind == Token::Kind::Name && m_tokens[m_at + 1].kind == Token::Kind::Operator && m_tokens[m_at + 1].text == "=") {
        std::string name = takeName();
        expect("=");
        call.named.emplace_back(std::move(name), choice());
      } else {
        call.parts.push_back(choice());
      }
      if (!take(",") && !isOperator(")")) fail("a comma or ) is expected");
    }
  }

  Pointer primary() {
    const Token token = peek();
    if (token.kind == Token::Kind::Text) {
      ++m_at;
      std::string text = token.text;
      while (peek().kind == Token::Kind::Text) text += m_tokens[m_at++].text;  // neighbours join
      return literal(std::move(text));
    }
    if (token.kind == Token::Kind::Number) {
      ++m_at;
      int64_t number = 0;
      const auto [end, code] = std::from_chars(token.text.data(), token.text.data() + token.text.size(), number);
      if (code != std::errc() || isOperator(".")) fail("a number is not whole");
      return literal(number);
    }
    if (token.kind == Token::Kind::Name) {
      ++m_at;
      if (token.text == "true" || token.text == "True") return literal(true);
      if (token.text == "false" || token.text == "False") return literal(false);
      if (token.text == "none" || token.text == "None") return literal(nullptr);
      return make(Expression::Kind::Name, token.text);
    }
    if (take("(")) {
      Pointer inside = choice();
      if (isOperator(",")) fail("a tuple");
      expect(")");
      return inside;
    }
    if (take("[")) {
      Pointer list = make(Expression::Kind::List, "");
      while (!take("]")) {
        list->parts.push_back(choice());
        if (!take(",") && !isOperator("]")) fail("a comma or ] is expected");
      }
      return list;
    }
    if (take("{")) {
      Pointer dict = make(Expression::Kind::Dict, "");
      while (!take("}")) {
        dict->parts.push_back(choice());
        expect(":");
        dict->parts.push_back(choice());
        if (!take(",") && !isOperator("}")) fail("a comma or } is expected");
      }
      return dict;
    }
    fail("a value is expected");
  }

  const std::vector<Token>& m_tokens;
  size_t m_at = 0;
  int m_depth = 0;
};

class BlockParser {
 public:
  explicit BlockParser(const std::vector<Segment>& segments) : m_segments(segments) {}

  // Up to one of the names (which is left for the caller), or to the end when there are none.
  Node block(std::initializer_list<std::string_view> until) {
    if (++m_depth > kMaxDepth) throw Failure{"blocks are nested too deeply", line()};
    Node result;
    while (m_at < m_segments.size()) {
      const Segment& segment = m_segments[m_at];
      if (segment.kind == Segment::Kind::Statement) {
        const std::string& word = segment.tokens.front().text;
        if (std::find(until.begin(), until.end(), word) != until.end()) {
          --m_depth;
          return result;
        }
        result.children.push_back(statement(word));
        continue;
      }
      ++m_at;
      Node node;
      node.line = segment.line;
      if (segment.kind == Segment::Kind::Text) {
        node.kind = Node::Kind::Text;
        node.text = segment.text;
      } else {
        ExpressionParser parser(segment.tokens);
        node.kind = Node::Kind::Output;
        node.expression = parser.choice();
        parser.expectEnd();
      }
      result.children.push_back(std::move(node));
    }
    if (until.size() > 0) throw Failure{fmt::format("{{% {} %}} is missing", *(until.end() - 1)), line()};
    --m_depth;
    return result;
  }

 private:
  size_t line() const { return m_segments.empty() ? 1 : m_segments[std::min(m_at, m_segments.size() - 1)].line; }
  ExpressionParser tag(std::string_view word) {
    ExpressionParser parser(m_segments[m_at++].tokens);
    parser.expect(word);
    return parser;
  }
  void end(std::string_view word) { tag(word).expectEnd(); }

  Node statement(const std::string& word) {
    Node node;
    node.line = line();
    if (word == "if") {
      node.kind = Node::Kind::If;
      std::string_view branch = "if";
      while (true) {
        ExpressionParser parser = tag(branch);
        node.conditions.push_back(branch == "else" ? nullptr : parser.choice());
        parser.expectEnd();
        node.children.push_back(branch == "else" ? block({"endif"}) : block({"elif", "else", "endif"}));
        const std::string& next = m_segments[m_at].tokens.front().text;
        if (next == "endif") break;
        branch = next == "elif" ? "elif" : "else";
      }
      end("endif");
    } else if (word == "for") {
      node.kind = Node::Kind::For;
      ExpressionParser parser = tag("for");
      do node.names.push_back(parser.takeName());
      while (parser.take(","));
      parser.expect("in");
      node.expression = parser.either();
      if (parser.take("if")) node.filter = parser.choice();
      parser.expectEnd();
      node.children.push_back(block({"else", "endfor"}));
      if (m_segments[m_at].tokens.front().text == "else") {
        end("else");
        node.otherwise = make_unique<Node>(block({"endfor"}));
      }
      end("endfor");
    } else if (word == "set") {
      node.kind = Node::Kind::Set;
      ExpressionParser parser = tag("set");
      node.names.push_back(parser.takeName());
      if (parser.take(".")) node.names.push_back(parser.takeName());
      if (parser.take("=")) {
        node.expression = parser.choice();
        parser.expectEnd();
      } else {
        parser.expectEnd();
        node.children.push_back(block({"endset"}));
        end("endset");
      }
    } else if (word == "generation") {  // transformers' mark of what an assistant says
      end("generation");
      node = block({"endgeneration"});
      end("endgeneration");
    } else {
      throw Failure{fmt::format("the tag \"{}\" is not known", word), line()};
    }
    return node;
  }

  const std::vector<Segment>& m_segments;
  size_t m_at = 0;
  int m_depth = 0;
};

}  // namespace

Node parseTemplate(std::string_view text) {
  const std::vector<Segment> segments = Lexer(text).run();
  return BlockParser(segments).block({});
}

}  // namespace jinja

namespace {
Error failed(const jinja::Failure& failure) {
  return {ErrorCode::BadInput,
          "a chat template is written in a way that is not known here",
          failure.line > 0 ? fmt::format("chat template, line {}", failure.line) : "chat template",
          failure.what,
          "",
          "Name the template with data.chat_template, or set it to none."};
}
}  // namespace

Result<JinjaTemplate> JinjaTemplate::parse(std::string_view text) {
  try {
    if (text.size() > jinja::kMaxTemplateBytes) throw jinja::Failure{fmt::format("{} bytes", text.size()), 0};
    if (!isValidUtf8(text)) throw jinja::Failure{"text that is not UTF-8", 0};
    JinjaTemplate result;
    result.m_root = std::make_shared<jinja::Node>(jinja::parseTemplate(text));
    return result;
  } catch (const jinja::Failure& failure) {
    return failed(failure);
  }
}

Result<JinjaOutput> JinjaTemplate::render(const nlohmann::json& variables) const {
  try {
    return JinjaOutput{jinja::renderTemplate(*m_root, variables), false};
  } catch (const jinja::Refusal& refusal) {
    return JinjaOutput{refusal.message, true};
  } catch (const jinja::Failure& failure) {
    return failed(failure);
  }
}

}  // namespace rankscope
