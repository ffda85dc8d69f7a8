#pragma once
// BERT's treatment of text before word pieces: characters, each with the bytes of the original it came from, gathered
// into words. Free functions, any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/text/tokenizer.h"

namespace rankscope {

struct BertTextOptions {
  bool cleanText = true;
  bool chineseCharacters = true;
  bool stripAccents = true;
  bool lowerCase = true;
};

struct BertWord {
  std::string text;             // UTF-8
  std::vector<uint32_t> starts; // byte position of each character in `text`
  std::vector<TextSpan> spans;  // of each character, in the original
};

// Calls word(const BertWord&) for each word in order.
template <typename Visitor>
void forEachBertWord(std::string_view text, size_t offset, const BertTextOptions& options, Visitor&& word);

namespace detail {
// Splits into normalised characters; see wordpiece_text.cpp.
struct BertCharacter {
  int32_t code = 0;
  TextSpan span;
  enum class Kind : uint8_t { Letter, Space, Alone } kind = Kind::Letter;  // Alone: a word of its own (punctuation, CJK)
};
void normaliseBertText(std::string_view text, size_t offset, const BertTextOptions& options,
                       std::vector<BertCharacter>& out);
void appendUtf8(std::string& text, int32_t code);
}  // namespace detail

template <typename Visitor>
void forEachBertWord(std::string_view text, size_t offset, const BertTextOptions& options, Visitor&& word) {
  std::vector<detail::BertCharacter> characters;
  detail::normaliseBertText(text, offset, options, characters);
  BertWord current;
  const auto flush = [&] {
    if (!current.starts.empty()) word(static_cast<const BertWord&>(current));
    current.text.clear();
    current.starts.clear();
    current.spans.clear();
  };
  for (const detail::BertCharacter& character : characters) {
    if (character.kind != detail::BertCharacter::Kind::Letter) flush();
    if (character.kind == detail::BertCharacter::Kind::Space) continue;
    current.starts.push_back(static_cast<uint32_t>(current.text.size()));
    current.spans.push_back(character.span);
    detail::appendUtf8(current.text, character.code);
    if (character.kind == detail::BertCharacter::Kind::Alone) flush();
  }
  flush();
}

}  // namespace rankscope
