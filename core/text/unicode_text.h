#pragma once
// Classes of characters as the tokenizers library sees them, and walking through UTF-8. Free functions, any thread.

#include <unicode/utf8.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/text/traced_text.h"

namespace rankscope {

// The character at `at` of well-formed text; `at` moves behind it.
inline int32_t nextCharacter(std::string_view text, size_t& at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) {
    ++at;
    return first;
  }
  UChar32 c = 0;
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  U8_NEXT_OR_FFFD(bytes, at, text.size(), c);
  return c;
}

bool isWhite(int32_t c);                // White_Space
bool isWordCharacter(int32_t c);        // \w of regular expressions
bool isPunctuationCharacter(int32_t c); // ASCII punctuation and the categories P*
bool isNumericCharacter(int32_t c);     // the categories N*
bool isControlCharacter(int32_t c);     // Cc, Cf, Co, Cs; tab, line feed and carriage return are none
bool isMark(int32_t c);                 // the categories M*
bool isNonSpacingMark(int32_t c);       // Mn
bool isIdeograph(int32_t c);            // the blocks that BERT's own code names
bool isInert(int32_t c);                // joins and changes with nothing under NFKC
void appendCharacter(std::string& text, int32_t c);

enum class NormalForm { Nfc, Nfd, Nfkc, Nfkd };
void normaliseTo(NormalForm form, TracedText& text);

}  // namespace rankscope
