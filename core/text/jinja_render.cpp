// Walks a parsed template. Values follow Python's rules as far as templates use them; where this code does not know what
// Python would do, rendering fails.
#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <optional>

#include "core/config/json_text.h"
#include "core/text/jinja_nodes.h"

namespace rankscope::jinja {
namespace {

using Kind = Expression::Kind;
constexpr const char* kPythonSpace = " \t\n\r\v\f";

const Value& undefined() {
  static const Value value(Value::value_t::discarded);
  return value;
}

bool isTrue(const Value& value) {
  switch (value.type()) {
    case Value::value_t::boolean: return value.get<bool>();
    case Value::value_t::number_integer:
    case Value::value_t::number_unsigned: return value.get<int64_t>() != 0;
    case Value::value_t::string: return !value.get_ref<const std::string&>().empty();
    case Value::value_t::array:
    case Value::value_t::object: return !value.empty();
    default: return false;
  }
}

std::string stripped(const std::string& text, bool left, bool right, const char* set = kPythonSpace) {
  const size_t begin = left ? text.find_first_not_of(set) : 0;
  if (begin == std::string::npos || text.empty()) return {};
  const size_t end = right ? text.find_last_not_of(set) : text.size() - 1;
  return end == std::string::npos ? std::string() : text.substr(begin, end + 1 - begin);
}

std::string mapped(std::string text, int (*change)(int)) {
  for (char& c : text) c = static_cast<char>(change(static_cast<unsigned char>(c)));
  return text;
}

std::string titled(std::string text) {
  bool inside = false;
  for (char& c : text) {
    const auto letter = static_cast<unsigned char>(c);
    c = static_cast<char>(inside ? std::tolower(letter) : std::toupper(letter));
    inside = std::isalpha(letter);
  }
  return text;
}

class Renderer {
 public:
  explicit Renderer(const Value& variables) {
    m_scopes.emplace_back();
    for (const auto& [name, value] : variables.items()) m_scopes[0][name] = value;
  }

  std::string run(const Node& root) {
    block(root);
    return std::move(m_out);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Failure{what, m_line}; }
  // Values made or copied count as expressions do, so that work is bounded whatever a single one costs.
  void work(size_t amount) {
    m_work += amount;
    if (m_work > kMaxWork) fail("the template's work has no end");
  }
  // What a copy costs: every value inside, texts by the thousand bytes. Deep nesting would be walked recursively later.
  size_t weight(const Value& value, int depth = 0) const {
    if (value.is_string()) return 1 + (value.get_ref<const std::string&>().size() >> 10);
    if (!value.is_structured()) return 1;
    if (depth >= kMaxValueDepth) fail("values are nested too deeply");
    size_t sum = 1;
    for (const Value& item : value) {
      sum += weight(item, depth + 1);
      if (sum > kMaxWork) fail("the template's work has no end");
    }
    return sum;
  }
  const std::string& bounded(const std::string& text) const {
    if (text.size() > kMaxOutputBytes) fail("a text has no end");
    return text;
  }

  void put(const std::string& text) {
    if (m_out.size() + text.size() > kMaxOutputBytes) fail("the template's output has no end");
    m_out += text;
  }

  Value* find(const std::string& name) {
    for (auto scope = m_scopes.rbegin(); scope != m_scopes.rend(); ++scope)
      if (const auto it = scope->find(name); it != scope->end()) return &it->second;
    return nullptr;
  }

  void block(const Node& node) {
    for (const Node& child : node.children) statement(child);
  }

  void statement(const Node& node) {
    m_line = node.line;
    switch (node.kind) {
      case Node::Kind::Block: return block(node);
      case Node::Kind::Text: return put(node.text);
      case Node::Kind::Output: return put(textOf(evaluate(*node.expression)));
      case Node::Kind::If:
        for (size_t i = 0; i < node.children.size(); ++i)
          if (!node.conditions[i] || isTrue(evaluate(*node.conditions[i]))) return block(node.children[i]);
        return;
      case Node::Kind::For: return loop(node);
      case Node::Kind::Set: return set(node);
    }
  }

  void set(const Node& node) {
    Value value;
    if (node.expression) {
      value = evaluate(*node.expression);
    } else {
      std::string outer;
      std::swap(outer, m_out);
      block(node.children.front());
      std::swap(outer, m_out);
      value = std::move(outer);
    }
    if (node.names.size() == 1) {
      m_scopes.back()[node.names[0]] = std::move(value);
      return;
    }
    Value* space = find(node.names[0]);
    if (!space || !space->is_object()) fail(fmt::format("\"{}\" is no namespace", node.names[0]));
    (*space)[node.names[1]] = std::move(value);
    work(weight(*space));
  }

  void loop(const Node& node) {
    const Value over = evaluate(*node.expression);
    work(4 * weight(over));
    if (over.is_discarded() || over.is_null()) fail("something undefined is walked over");
    std::vector<Value> items;
    if (over.is_array()) items.assign(over.begin(), over.end());
    else if (over.is_object())
      for (const auto& [key, value] : over.items()) items.push_back(key);
    else fail("a text or number is walked over");
    const auto enter = [&](const Value& item) {
      auto& scope = m_scopes.emplace_back();
      if (node.names.size() == 1) {
        scope[node.names[0]] = item;
        return;
      }
      if (!item.is_array() || item.size() != node.names.size()) fail("a loop's values do not match its names");
      for (size_t i = 0; i < node.names.size(); ++i) scope[node.names[i]] = item[i];
    };
    if (node.filter)
      std::erase_if(items, [&](const Value& item) {
        enter(item);
        const bool kept = isTrue(evaluate(*node.filter));
        m_scopes.pop_back();
        return !kept;
      });
    for (size_t i = 0; i < items.size(); ++i) {
      work(1);
      enter(items[i]);
      Value& state = m_scopes.back()["loop"];
      state = {{"index", i + 1}, {"index0", i}, {"first", i == 0}, {"last", i + 1 == items.size()},
               {"length", items.size()}, {"revindex", items.size() - i}, {"revindex0", items.size() - i - 1}};
      if (i > 0) state["previtem"] = items[i - 1];
      if (i + 1 < items.size()) state["nextitem"] = items[i + 1];
      block(node.children.front());
      m_scopes.pop_back();
    }
    if (items.empty() && node.otherwise) block(*node.otherwise);
  }

  std::string textOf(const Value& value) const {
    switch (value.type()) {
      case Value::value_t::discarded: return {};
      case Value::value_t::null: return "None";
      case Value::value_t::boolean: return value.get<bool>() ? "True" : "False";
      case Value::value_t::string: return value.get<std::string>();
      case Value::value_t::number_integer:
      case Value::value_t::number_unsigned: return std::to_string(value.get<int64_t>());
      default: fail("a list or an object is written out");
    }
  }
  const std::string& asText(const Value& value) const {
    if (!value.is_string()) fail("a text is expected here");
    return value.get_ref<const std::string&>();
  }

  Value evaluate(const Expression& e) {
    m_line = e.line;
    work(1);
    switch (e.kind) {
      case Kind::Literal: return e.value;
      case Kind::Name: {
        const Value* found = find(e.name);
        if (!found) return undefined();
        work(weight(*found));
        return *found;
      }
      case Kind::List: {
        Value list = Value::array();
        for (const auto& part : e.parts) list.push_back(evaluate(*part));
        work(weight(list));
        return list;
      }
      case Kind::Dict: {
        Value dict = Value::object();
        for (size_t i = 0; i < e.parts.size(); i += 2) dict[asText(evaluate(*e.parts[i]))] = evaluate(*e.parts[i + 1]);
        work(weight(dict));
        return dict;
      }
      case Kind::Attribute: return member(evaluate(*e.parts[0]), e.name);
      case Kind::Index: return indexed(evaluate(*e.parts[0]), evaluate(*e.parts[1]));
      case Kind::Slice: return sliced(e);
      case Kind::Call: return called(e);
      case Kind::Filter: return filtered(e);
      case Kind::Test: return tested(e);
      case Kind::Not: return !isTrue(evaluate(*e.parts[0]));
      case Kind::Negate: {
        const Value value = evaluate(*e.parts[0]);
        if (!value.is_number_integer()) fail("the negative of something that is no number");
        return -value.get<int64_t>();
      }
      case Kind::And: {
        Value left = evaluate(*e.parts[0]);
        return isTrue(left) ? evaluate(*e.parts[1]) : left;
      }
      case Kind::Or: {
        Value left = evaluate(*e.parts[0]);
        return isTrue(left) ? left : evaluate(*e.parts[1]);
      }
      case Kind::Choice: return evaluate(isTrue(evaluate(*e.parts[1])) ? *e.parts[0] : *e.parts[2]);
      case Kind::Binary: return binary(e.name, evaluate(*e.parts[0]), evaluate(*e.parts[1]));
    }
    fail("an unknown expression");
  }

  Value member(const Value& value, const std::string& name) const {
    if (value.is_discarded()) fail(fmt::format("\"{}\" of something undefined", name));
    if (!value.is_object()) return undefined();
    const auto found = value.find(name);
    return found == value.end() ? undefined() : *found;
  }

  Value indexed(const Value& value, const Value& index) const {
    if (index.is_string()) return member(value, index.get<std::string>());
    if (!index.is_number_integer()) fail("an index is neither number nor text");
    if (value.is_discarded()) fail("an element of something undefined");
    int64_t at = index.get<int64_t>();
    if (value.is_array()) {
      const auto size = static_cast<int64_t>(value.size());
      if (at < 0) at += size;
      return at < 0 || at >= size ? undefined() : value[static_cast<size_t>(at)];
    }
    if (value.is_string()) fail("a single character of a text");
    return undefined();
  }

  Value sliced(const Expression& e) {
    const Value value = evaluate(*e.parts[0]);
    if (!value.is_array()) fail("a part of something that is no list");
    const auto size = static_cast<int64_t>(value.size());
    const auto bound = [&](size_t part) -> std::optional<int64_t> {
      if (!e.parts[part]) return std::nullopt;
      const Value given = evaluate(*e.parts[part]);
      if (given.is_null()) return std::nullopt;
      if (!given.is_number_integer()) fail("a bound is no number");
      return given.get<int64_t>();
    };
    const int64_t step = bound(3).value_or(1);
    if (step == 0) fail("a step of 0");
    const auto place = [&](std::optional<int64_t> at, int64_t otherwise) {
      if (!at) return otherwise;
      if (*at < 0) *at += size;
      return step > 0 ? std::clamp<int64_t>(*at, 0, size) : std::clamp<int64_t>(*at, -1, size - 1);
    };
    const int64_t begin = place(bound(1), step > 0 ? 0 : size - 1), end = place(bound(2), step > 0 ? size : -1);
    Value list = Value::array();
    for (int64_t at = begin; step > 0 ? at < end : at > end; at += step) list.push_back(value[static_cast<size_t>(at)]);
    return list;
  }

  Value binary(const std::string& op, const Value& a, const Value& b) {
    work(weight(a) + weight(b));
    if (op == "==") return equal(a, b);
    if (op == "!=") return !equal(a, b);
    if (op == "in") return contains(b, a);
    if (op == "not in") return !contains(b, a);
    if (op == "~") return bounded(textOf(a) + textOf(b));
    if (op == "+" && a.is_string() && b.is_string()) return bounded(a.get<std::string>() + b.get<std::string>());
    if (op == "+" && a.is_array() && b.is_array()) {
      if (a.size() + b.size() > kMaxWork) fail("a list has no end");
      Value list = a;
      list.insert(list.end(), b.begin(), b.end());
      return list;
    }
    if (!a.is_number_integer() || !b.is_number_integer()) fail(fmt::format("{} of two values that it is not for", op));
    const int64_t x = a.get<int64_t>(), y = b.get<int64_t>();
    if (op == "<") return x < y;
    if (op == ">") return x > y;
    if (op == "<=") return x <= y;
    if (op == ">=") return x >= y;
    // Kept small, so that nothing overflows: templates count messages.
    constexpr int64_t kLarge = int64_t{1} << 30;
    if (std::max({x, -x, y, -y}) > kLarge) fail("a number is too large");
    if (op == "+") return x + y;
    if (op == "-") return x - y;
    if (op == "*") return x * y;
    if ((op == "%" || op == "//") && y == 0) fail("a division by 0");
    const int64_t rest = op == "%" || op == "//" ? ((x % y) + y) % y : 0;  // Python's: of the divisor's sign
    if (op == "%") return rest;
    if (op == "//") return (x - rest) / y;
    fail(fmt::format("the operator {}", op));
  }
  static bool equal(const Value& a, const Value& b) {
    if (a.is_discarded() || b.is_discarded()) return a.is_discarded() && b.is_discarded();
    return a == b;
  }
  bool contains(const Value& where, const Value& what) const {
    if (where.is_string()) return where.get_ref<const std::string&>().find(asText(what)) != std::string::npos;
    if (where.is_object()) return what.is_string() && where.contains(what.get_ref<const std::string&>());
    if (!where.is_array()) fail("\"in\" of something that holds nothing");
    return std::any_of(where.begin(), where.end(), [&](const Value& each) { return equal(each, what); });
  }

  std::vector<Value> operands(const Expression& e) {
    std::vector<Value> values;
    for (size_t i = 1; i < e.parts.size(); ++i) values.push_back(evaluate(*e.parts[i]));
    return values;
  }

  Value called(const Expression& e) {
    const Expression& target = *e.parts[0];
    const std::vector<Value> given = operands(e);
    if (target.kind == Kind::Attribute) {
      if (!e.named.empty()) fail(fmt::format("keyword arguments of \"{}\"", target.name));
      return method(evaluate(*target.parts[0]), target.name, given);
    }
    if (target.kind != Kind::Name || find(target.name)) fail("a call of something that is no function");
    if (target.name == "raise_exception") throw Refusal{given.empty() ? std::string() : textOf(given[0])};
    if (target.name == "namespace") {
      if (!given.empty()) fail("arguments of \"namespace\"");
      Value space = Value::object();
      for (const auto& [name, value] : e.named) space[name] = evaluate(*value);
      return space;
    }
    if (target.name == "range" && e.named.empty() && !given.empty() && given.size() <= 2 &&
        std::all_of(given.begin(), given.end(), [](const Value& v) { return v.is_number_integer(); })) {
      const int64_t begin = given.size() == 2 ? given[0].get<int64_t>() : 0, end = given.back().get<int64_t>();
      if (end > begin && end - begin > 10'000) fail("a range is too long");
      work(static_cast<size_t>(std::max<int64_t>(0, end - begin)));
      Value list = Value::array();
      for (int64_t i = begin; i < end; ++i) list.push_back(i);
      return list;
    }
    fail(fmt::format("the function \"{}\" is not known", target.name));
  }

  Value method(const Value& self, const std::string& name, const std::vector<Value>& given) const {
    if (self.is_object()) {
      if (name == "get" && (given.size() == 1 || given.size() == 2)) {
        Value found = member(self, asText(given[0]));
        return !found.is_discarded() ? found : given.size() == 2 ? given[1] : Value(nullptr);
      }
      if (name == "items" && given.empty()) {
        Value list = Value::array();
        for (const auto& [key, value] : self.items()) list.push_back({key, value});
        return list;
      }
      if (name == "keys" && given.empty()) {
        Value list = Value::array();
        for (const auto& [key, value] : self.items()) list.push_back(key);
        return list;
      }
    }
    if (!self.is_string()) fail(fmt::format("the method \"{}\" of something that is no text", name));
    const std::string& text = self.get_ref<const std::string&>();
    const bool left = name != "rstrip", right = name != "lstrip";
    if ((name == "strip" || name == "lstrip" || name == "rstrip") && given.size() <= 1)
      return stripped(text, left, right, given.empty() ? kPythonSpace : asText(given[0]).c_str());
    if (name == "startswith" && given.size() == 1) return text.starts_with(asText(given[0]));
    if (name == "endswith" && given.size() == 1) return text.ends_with(asText(given[0]));
    if (given.empty() && name == "upper") return mapped(text, std::toupper);
    if (given.empty() && name == "lower") return mapped(text, std::tolower);
    if (given.empty() && name == "title") return titled(text);
    if (name == "split" && given.size() == 1 && !asText(given[0]).empty()) {
      Value list = Value::array();
      size_t at = 0;
      for (size_t next; (next = text.find(asText(given[0]), at)) != std::string::npos; at = next + asText(given[0]).size())
        list.push_back(text.substr(at, next - at));
      list.push_back(text.substr(at));
      return list;
    }
    if (name == "replace" && given.size() == 2) return replaced(text, asText(given[0]), asText(given[1]));
    fail(fmt::format("the method \"{}\" is not known", name));
  }

  std::string replaced(std::string text, const std::string& from, const std::string& to) const {
    if (from.empty()) fail("a replacement of nothing");
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
      bounded(text);
    }
    return text;
  }

  Value filtered(const Expression& e) {
    const Value value = evaluate(*e.parts[0]);
    const std::vector<Value> given = operands(e);
    const std::string& name = e.name;
    if (!e.named.empty()) fail(fmt::format("keyword arguments of \"{}\"", name));
    if (name == "trim" && given.empty()) return stripped(textOf(value), true, true);
    if (name == "string" && given.empty()) return textOf(value);
    if (name == "upper" && given.empty()) return mapped(textOf(value), std::toupper);
    if (name == "lower" && given.empty()) return mapped(textOf(value), std::tolower);
    if (name == "title" && given.empty()) return titled(textOf(value));
    if (name == "capitalize" && given.empty()) {
      std::string text = mapped(textOf(value), std::tolower);
      if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
      return text;
    }
    if ((name == "length" || name == "count") && given.empty()) {
      if (value.is_string()) {  // characters
        const std::string& text = value.get_ref<const std::string&>();
        return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
      }
      if (!value.is_array() && !value.is_object()) fail("the length of something that has none");
      return value.size();
    }
    if ((name == "first" || name == "last") && given.empty() && value.is_array())
      return value.empty() ? undefined() : name == "first" ? value.front() : value.back();
    if (name == "list" && given.empty() && value.is_array()) return value;
    if (name == "default" || name == "d") {
      if (given.empty() || given.size() > 2) fail("arguments of \"default\"");
      const bool falsy = given.size() == 2 && isTrue(given[1]) && !isTrue(value);
      return value.is_discarded() || falsy ? given[0] : value;
    }
    if (name == "replace" && given.size() == 2) return replaced(textOf(value), asText(given[0]), asText(given[1]));
    if (name == "join" && given.size() <= 1 && value.is_array()) {
      std::string text;
      for (size_t i = 0; i < value.size(); ++i) {
        text += (i > 0 && !given.empty() ? textOf(given[0]) : "") + textOf(value[i]);
        bounded(text);
      }
      return text;
    }
    if (name == "tojson" && given.empty() && value.is_primitive() && !value.is_discarded()) return jsonText(value);
    if ((name == "selectattr" || name == "rejectattr") && value.is_array() && !given.empty()) return selected(value, given, name[0] == 's');
    fail(fmt::format("the filter \"{}\" is not known for this", name));
  }

  Value selected(const Value& list, const std::vector<Value>& given, bool wanted) const {
    const std::string& key = asText(given[0]);
    const std::string test = given.size() > 1 ? asText(given[1]) : "";
    Value result = Value::array();
    for (const Value& item : list) {
      const Value found = member(item, key);
      bool holds = false;
      if (test.empty()) holds = isTrue(found);
      else if ((test == "equalto" || test == "==" || test == "eq") && given.size() == 3) holds = equal(found, given[2]);
      else if (test == "defined") holds = !found.is_discarded();
      else fail(fmt::format("the test \"{}\" of a selection", test));
      if (holds == wanted) result.push_back(item);
    }
    return result;
  }

  Value tested(const Expression& e) {
    const Value value = evaluate(*e.parts[0]);
    const std::vector<Value> given = operands(e);
    const std::string& name = e.name;
    if (given.size() == 1 && (name == "equalto" || name == "eq" || name == "sameas")) return equal(value, given[0]);
    if (given.size() == 1 && name == "in") return contains(given[0], value);
    if (!given.empty()) fail(fmt::format("arguments of the test \"{}\"", name));
    if (name == "defined") return !value.is_discarded();
    if (name == "undefined") return value.is_discarded();
    if (name == "none") return value.is_null();
    if (name == "string") return value.is_string();
    if (name == "mapping") return value.is_object();
    if (name == "iterable" || name == "sequence") return value.is_array() || value.is_string() || value.is_object();
    if (name == "number") return value.is_number();
    if (name == "integer") return value.is_number_integer();
    if (name == "boolean") return value.is_boolean();
    if (name == "true") return value.is_boolean() && value.get<bool>();
    if (name == "false") return value.is_boolean() && !value.get<bool>();
    if (value.is_number_integer() && (name == "odd" || name == "even")) return (value.get<int64_t>() % 2 != 0) == (name == "odd");
    fail(fmt::format("the test \"{}\" is not known", name));
  }

  std::vector<std::map<std::string, Value>> m_scopes;
  std::string m_out;
  size_t m_work = 0, m_line = 0;
};

}  // namespace

std::string renderTemplate(const Node& root, const Value& variables) { return Renderer(variables).run(root); }

}  // namespace rankscope::jinja
