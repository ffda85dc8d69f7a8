#pragma once
// What every tokenizer that a parser lets through must hold, on given and on hard texts: ids inside the vocabulary, spans
// inside the text, lengths kept, decoding without a crash.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/text/tokenizer.h"

inline void fuzzTokenizer(const rankscope::Result<std::unique_ptr<rankscope::Tokenizer>>& tokenizer, std::string_view given) {
  using namespace rankscope;
  if (!tokenizer) {
    if (tokenizer.error().hint.empty()) std::abort();
    return;
  }
  static constexpr char kHard[] = "  The 12 foxes'll\tÀe\xCC\x81 你 <s></s> [MASK]\xff\xfe\xe2\x82\x00z\n\n\xF0\x9F\x99\x82";
  for (const std::string& text : {std::string(given), std::string(kHard, sizeof(kHard) - 1), std::string(300, 'a')})
    for (const size_t limit : {size_t{0}, size_t{5}}) {
      const Encoding encoding = (*tokenizer)->encodePair(text, std::string_view(text).substr(0, text.size() / 2), {.maxTokens = limit});
      if (encoding.spans.size() != encoding.size() || (!encoding.typeIds.empty() && encoding.typeIds.size() != encoding.size())) std::abort();
      for (size_t i = 0; i < encoding.size(); ++i)
        if (encoding.ids[i] < 0 || encoding.ids[i] >= (*tokenizer)->vocabSize() || encoding.spans[i].begin > encoding.spans[i].end ||
            encoding.spans[i].end > text.size())
          std::abort();
      characterSpans(text, encoding.spans);
      (*tokenizer)->decode(encoding.ids, limit > 0);
    }
}
