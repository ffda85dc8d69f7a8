// The "Precompiled" normalizer: sentencepiece's table, applied as the tokenizers library applies it — a grapheme cluster
// of less than six bytes is replaced as a whole by its shortest key's text, others character by character.

#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/config/text_shown.h"
#include "core/text/chars_map.h"
#include "core/text/component_settings.h"
#include "core/text/normalizer.h"
#include "core/text/unicode_text.h"

namespace rankscope {
namespace {

// Ends of the grapheme clusters of a well-formed text.
class Graphemes {
 public:
  explicit Graphemes(std::string_view text) : m_text(text) {}
  ~Graphemes() {
    if (m_breaks) ubrk_close(m_breaks);
    utext_close(&m_utext);
  }
  Graphemes(const Graphemes&) = delete;
  Graphemes& operator=(const Graphemes&) = delete;

  size_t endOf(size_t begin) {
    const auto plain = [&](size_t at) { return at >= m_text.size() || static_cast<unsigned char>(m_text[at]) < 0x80; };
    if (plain(begin) && plain(begin + 1)) {
      const bool lineEnd = m_text[begin] == '\r' && begin + 1 < m_text.size() && m_text[begin + 1] == '\n';
      return begin + (lineEnd ? 2 : 1);
    }
    if (!open()) {
      nextCharacter(m_text, begin);
      return begin;
    }
    const int32_t end = ubrk_following(m_breaks, static_cast<int32_t>(begin));
    return end == UBRK_DONE || end <= static_cast<int32_t>(begin) ? m_text.size() : static_cast<size_t>(end);
  }

 private:
  bool open() {
    if (m_breaks) return true;
    if (m_text.size() > INT32_MAX) return false;
    UErrorCode status = U_ZERO_ERROR;
    utext_openUTF8(&m_utext, m_text.data(), static_cast<int64_t>(m_text.size()), &status);
    m_breaks = ubrk_open(UBRK_CHARACTER, "", nullptr, 0, &status);
    if (m_breaks) ubrk_setUText(m_breaks, &m_utext, &status);
    return U_SUCCESS(status);
  }
  std::string_view m_text;
  UText m_utext = UTEXT_INITIALIZER;
  UBreakIterator* m_breaks = nullptr;
};

class PrecompiledNormalizer : public Normalizer {
 public:
  explicit PrecompiledNormalizer(std::string table) : m_map(std::move(table)) {}

  void apply(TracedText& traced, Before) const override {
    const std::string_view text = traced.text();
    Graphemes graphemes(text);
    Rewriter out(traced);
    size_t kept = 0;
    const auto replaced = [&](size_t begin, size_t end) {
      const std::optional<std::string_view> by = m_map.shortest(text.substr(begin, end - begin));
      if (!by || !isValidUtf8(*by)) return false;
      out.keep(kept, begin);
      // New characters take the places of the old ones in turn, further ones the last place.
      size_t from = begin, to = begin;
      for (size_t at = 0; at < by->size();) {
        const size_t first = at;
        nextCharacter(*by, at);
        if (to < end) {
          from = to;
          nextCharacter(text, to);
        }
        out.put(by->substr(first, at - first), traced.source(from, to));
      }
      kept = end;
      return true;
    };
    for (size_t at = 0; at < text.size();) {
      const size_t end = graphemes.endOf(at);
      if (end - at >= 6 || !replaced(at, end))
        for (size_t begin = at, next = at; begin < end; begin = next) {
          nextCharacter(text, next);
          replaced(begin, next);
        }
      at = end;
    }
    if (kept == 0) return;
    out.keep(kept, text.size());
    out.finish();
  }

 private:
  CharsMap m_map;
};

}  // namespace

Result<std::unique_ptr<Normalizer>> makePrecompiledNormalizer(std::string table, const std::string& where) {
  if (const std::optional<const char*> problem = problemOfCharsMap(table))
    return Error{ErrorCode::BadInput, "normalization table of the tokenizer cannot be used", where, *problem, "", kTokenizerHint};
  return std::unique_ptr<Normalizer>(std::make_unique<PrecompiledNormalizer>(std::move(table)));
}

}  // namespace rankscope
