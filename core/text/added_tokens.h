#pragma once
// Tokens that are found in the text before the vocabulary is asked: special ones (<s>, [MASK]) and those added later.
// Filled while loading, then immutable, any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/text/byte_trie.h"

namespace rankscope {

struct AddedToken {
  std::string content;
  int32_t id = -1;
  bool special = true;
  bool lstrip = false, rstrip = false;  // takes the white space before, after it
  bool singleWord = false;              // only where no letter touches it
  bool normalized = false;              // looked for in the normalised text
};

class AddedTokens {
 public:
  // Replaces one with the same content. Contents that are empty and ids below 0 are left out.
  void add(AddedToken token);
  const std::vector<AddedToken>& all() const { return m_tokens; }
  const AddedToken* byId(int32_t id) const;
  const AddedToken* byContent(std::string_view content) const;

 private:
  std::vector<AddedToken> m_tokens;
  std::unordered_map<int32_t, size_t> m_byId;
  std::unordered_map<std::string, size_t> m_byContent;
};

// Looks for the contents of some added tokens, the first and of those the longest.
class AddedTokenFinder {
 public:
  struct Match {
    size_t begin = 0, end = 0;  // with the white space that lstrip and rstrip take
    size_t contentBegin = 0, contentEnd = 0;
    const AddedToken* token = nullptr;
  };
  AddedTokenFinder() = default;
  // `contents[i]` stands for tokens[i]; the tokens must outlive the finder.
  AddedTokenFinder(std::vector<const AddedToken*> tokens, const std::vector<std::string>& contents);
  bool empty() const { return m_tokens.empty(); }
  // The first in [from, end) of the text; token is null when there is none.
  Match find(std::string_view text, size_t from, size_t end) const;
  // White space inside a content: a text may not be cut before white space then.
  bool spansSpace() const { return m_spansSpace; }
  // Some content ends right before `at`.
  bool endsAt(std::string_view text, size_t at) const;

 private:
  std::vector<const AddedToken*> m_tokens;
  ByteTrie m_trie, m_reversed;
  bool m_spansSpace = false;
};

}  // namespace rankscope
