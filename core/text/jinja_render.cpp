// Walks a parsed template: scopes, loops, the text put out, and the work that it may cost.
#include <algorithm>
#include <map>
#include <optional>

#include "core/text/jinja_values.h"

namespace rankscope::jinja {
namespace {

using Kind = Expression::Kind;

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
  [[noreturn]] void fail(const std::string& what) const { m_values.fail(what); }
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
    m_values.line = node.line;
    switch (node.kind) {
      case Node::Kind::Block: return block(node);
      case Node::Kind::Text: return put(node.text);
      case Node::Kind::Output: return put(m_values.textOf(evaluate(*node.expression)));
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

  Value evaluate(const Expression& e) {
    m_values.line = e.line;
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
        for (size_t i = 0; i < e.parts.size(); i += 2) dict[m_values.asText(evaluate(*e.parts[i]))] = evaluate(*e.parts[i + 1]);
        work(weight(dict));
        return dict;
      }
      case Kind::Attribute: return m_values.member(evaluate(*e.parts[0]), e.name);
      case Kind::Index: return m_values.indexed(evaluate(*e.parts[0]), evaluate(*e.parts[1]));
      case Kind::Slice: return sliced(e);
      case Kind::Call: return called(e);
      case Kind::Filter: {
        const Value value = evaluate(*e.parts[0]);
        if (!e.named.empty()) fail(fmt::format("keyword arguments of \"{}\"", e.name));
        return m_values.filter(e.name, value, operands(e));
      }
      case Kind::Test: {
        const Value value = evaluate(*e.parts[0]);
        return m_values.test(e.name, value, operands(e));
      }
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
      case Kind::Binary: {
        const Value left = evaluate(*e.parts[0]), right = evaluate(*e.parts[1]);
        work(weight(left) + weight(right));
        return m_values.binary(e.name, left, right);
      }
    }
    fail("an unknown expression");
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
      return m_values.method(evaluate(*target.parts[0]), target.name, given);
    }
    if (target.kind != Kind::Name || find(target.name)) fail("a call of something that is no function");
    if (target.name == "raise_exception") throw Refusal{given.empty() ? std::string() : m_values.textOf(given[0])};
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

  std::vector<std::map<std::string, Value>> m_scopes;
  std::string m_out;
  Values m_values;
  size_t m_work = 0;
};

}  // namespace

std::string renderTemplate(const Node& root, const Value& variables) { return Renderer(variables).run(root); }

}  // namespace rankscope::jinja
