#pragma once
// sentencepiece's table of replacements: a double-array trie (Darts-clone: Yata 2008) followed by NUL-ended texts. Comes
// from files, so it is checked as a whole before it is walked through. Immutable, any thread.

#include <optional>
#include <string>
#include <string_view>

namespace rankscope {

// What is wrong with a table's bytes; nullopt when every path stays inside.
std::optional<const char*> problemOfCharsMap(std::string_view map);

class CharsMap {
 public:
  explicit CharsMap(std::string checked);
  CharsMap(const CharsMap&) = delete;
  CharsMap& operator=(const CharsMap&) = delete;
  // The replacement of the shortest key that `text` begins with; nullopt when there is none.
  std::optional<std::string_view> shortest(std::string_view text) const;

 private:
  std::string m_map;
  std::string_view m_texts;
  size_t m_units = 0;
};

}  // namespace rankscope
