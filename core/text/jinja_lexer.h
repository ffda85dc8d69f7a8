#pragma once
// A template's text cut into what is copied and what is read: text between tags with Jinja's rules about white space
// applied (trim_blocks, lstrip_blocks, the signs of a tag), and the tokens of each tag. Throws jinja::Failure.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rankscope::jinja {

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

// A statement's or an output's tokens end with one of kind End.
std::vector<Segment> segmentsOf(std::string_view text);

}  // namespace rankscope::jinja
