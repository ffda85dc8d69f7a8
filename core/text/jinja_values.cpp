#include "core/text/jinja_values.h"

#include <algorithm>
#include <cctype>

#include "core/config/json_text.h"

namespace rankscope::jinja {
namespace {

constexpr const char* kPythonSpace = " \t\n\r\v\f";

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

}  // namespace

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

const std::string& Values::bounded(const std::string& text) const {
  if (text.size() > kMaxOutputBytes) fail("a text has no end");
  return text;
}

std::string Values::textOf(const Value& value) const {
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
const std::string& Values::asText(const Value& value) const {
  if (!value.is_string()) fail("a text is expected here");
  return value.get_ref<const std::string&>();
}

Value Values::member(const Value& value, const std::string& name) const {
  if (value.is_discarded()) fail(fmt::format("\"{}\" of something undefined", name));
  if (!value.is_object()) return undefined();
  const auto found = value.find(name);
  return found == value.end() ? undefined() : *found;
}

Value Values::indexed(const Value& value, const Value& index) const {
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

bool Values::equal(const Value& a, const Value& b) {
  if (a.is_discarded() || b.is_discarded()) return a.is_discarded() && b.is_discarded();
  return a == b;
}
bool Values::contains(const Value& where, const Value& what) const {
  if (where.is_string()) return where.get_ref<const std::string&>().find(asText(what)) != std::string::npos;
  if (where.is_object()) return what.is_string() && where.contains(what.get_ref<const std::string&>());
  if (!where.is_array()) fail("\"in\" of something that holds nothing");
  return std::any_of(where.begin(), where.end(), [&](const Value& each) { return equal(each, what); });
}

Value Values::binary(const std::string& op, const Value& a, const Value& b) const {
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

Value Values::method(const Value& self, const std::string& name, const std::vector<Value>& given) const {
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

std::string Values::replaced(std::string text, const std::string& from, const std::string& to) const {
  if (from.empty()) fail("a replacement of nothing");
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
    bounded(text);
  }
  return text;
}

Value Values::filter(const std::string& name, const Value& value, const std::vector<Value>& given) const {
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

Value Values::selected(const Value& list, const std::vector<Value>& given, bool wanted) const {
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

bool Values::test(const std::string& name, const Value& value, const std::vector<Value>& given) const {
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

}  // namespace rankscope::jinja
