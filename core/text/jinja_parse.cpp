// Tokens to tree: recursive descent with Jinja's precedences.
#include <algorithm>
#include <charconv>

#include "core/text/jinja_lexer.h"
#include "core/text/jinja_nodes.h"

namespace rankscope::jinja {
namespace {

using std::make_unique;
using Pointer = std::unique_ptr<Expression>;

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
  const std::vector<Segment> segments = segmentsOf(text);
  return BlockParser(segments).block({});
}

}  // namespace rankscope::jinja
