#pragma once
// The tree of a parsed template and what the two halves of core/text/jinja.h share. Internal to core/text.

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/config/result.h"

namespace rankscope::jinja {

inline constexpr size_t kMaxTemplateBytes = 256u << 10;
inline constexpr int kMaxDepth = 100;              // of expressions and blocks
inline constexpr int kMaxValueDepth = 32;           // lists in lists
inline constexpr size_t kMaxWork = 400'000;        // expressions evaluated and values copied in one rendering
inline constexpr size_t kMaxOutputBytes = 4u << 20;  // also of any one value

// Unwinds parser and renderer; turned into an Error by JinjaTemplate.
struct Failure {
  std::string what;
  size_t line = 0;
};
struct Refusal {  // raise_exception
  std::string message;
};

using Value = nlohmann::json;  // discarded = undefined

struct Expression {
  enum class Kind {
    Literal, Name, List, Dict, Attribute, Index, Slice, Call, Filter, Test, Not, Negate, Binary, And, Or, Choice
  } kind = Kind::Literal;
  std::string name;  // of a variable, attribute, filter, test or operator
  Value value;       // of a literal
  // Operands; an absent bound of a slice is null. Choice: value, condition, alternative.
  std::vector<std::unique_ptr<Expression>> parts;
  std::vector<std::pair<std::string, std::unique_ptr<Expression>>> named;  // keyword arguments
  size_t line = 0;
};

struct Node {
  enum class Kind { Block, Text, Output, If, For, Set } kind = Kind::Block;
  std::string text;                // Text
  std::vector<std::string> names;  // For: loop variables; Set: variable, and attribute of a namespace
  std::unique_ptr<Expression> expression, filter;  // If: none; For: what is walked over, and its "if"
  std::vector<Node> children;      // of If: one Block per branch
  std::vector<std::unique_ptr<Expression>> conditions;  // If: per branch, null for "else"
  std::unique_ptr<Node> otherwise;                      // For: when nothing was walked over
  size_t line = 0;
};

Node parseTemplate(std::string_view text);
std::string renderTemplate(const Node& root, const Value& variables);

}  // namespace rankscope::jinja
