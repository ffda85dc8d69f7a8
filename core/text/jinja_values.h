#pragma once
// What templates do with values: operators, methods, filters and tests, by Python's rules as far as templates use them.
// Where this code does not know what Python would do, it throws jinja::Failure with the line of the expression at hand.
// Sizes are bounded; the work of copying is counted by the renderer.

#include <string>
#include <vector>

#include "core/text/jinja_nodes.h"

namespace rankscope::jinja {

const Value& undefined();
bool isTrue(const Value& value);

class Values {
 public:
  size_t line = 0;  // of the expression at hand

  [[noreturn]] void fail(const std::string& what) const { throw Failure{what, line}; }
  const std::string& asText(const Value& value) const;  // fails on anything else
  std::string textOf(const Value& value) const;         // as it is written out
  Value member(const Value& value, const std::string& name) const;
  Value indexed(const Value& value, const Value& index) const;
  Value binary(const std::string& op, const Value& a, const Value& b) const;
  Value method(const Value& self, const std::string& name, const std::vector<Value>& given) const;
  Value filter(const std::string& name, const Value& value, const std::vector<Value>& given) const;
  bool test(const std::string& name, const Value& value, const std::vector<Value>& given) const;

 private:
  const std::string& bounded(const std::string& text) const;
  static bool equal(const Value& a, const Value& b);
  bool contains(const Value& where, const Value& what) const;
  std::string replaced(std::string text, const std::string& from, const std::string& to) const;
  Value selected(const Value& list, const std::vector<Value>& given, bool wanted) const;
};

}  // namespace rankscope::jinja
