#include "core/text/unicode_text.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include <algorithm>
#include <array>
#include <vector>

namespace rankscope {
namespace {

bool isAsciiLetterOrDigit(int32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

const UNormalizer2* instance(NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  switch (form) {
    case NormalForm::Nfc: return unorm2_getNFCInstance(&status);
    case NormalForm::Nfd: return unorm2_getNFDInstance(&status);
    case NormalForm::Nfkc: return unorm2_getNFKCInstance(&status);
    case NormalForm::Nfkd: return unorm2_getNFKDInstance(&status);
  }
  return nullptr;
}

struct Traced {
  UChar32 code;
  uint8_t combining;
  TextSpan source;
};

// One stretch that cannot interact with its neighbours: decompose, order by combining class, compose.
class StretchNormaliser {
 public:
  explicit StretchNormaliser(NormalForm form)
      : m_composes(form == NormalForm::Nfc || form == NormalForm::Nfkc),
        m_decomposing(instance(form == NormalForm::Nfc ? NormalForm::Nfd : form == NormalForm::Nfkc ? NormalForm::Nfkd : form)),
        m_composing(instance(NormalForm::Nfc)) {}

  void add(UChar32 c, TextSpan source) {
    std::array<UChar, 64> parts;
    UErrorCode status = U_ZERO_ERROR;
    const int32_t count = unorm2_getDecomposition(m_decomposing, c, parts.data(), static_cast<int32_t>(parts.size()), &status);
    if (count < 0 || U_FAILURE(status)) return push(c, source);
    for (int32_t i = 0; i < count;) {
      UChar32 part = 0;
      U16_NEXT(parts.data(), i, count, part);
      push(part, source);
    }
  }

  void flush(Rewriter& out) {
    // Sources keep their order, so that spans never run backwards.
    m_sources.clear();
    for (const Traced& character : m_characters) m_sources.push_back(character.source);
    for (size_t begin = 0; begin < m_characters.size();) {
      size_t end = begin + 1;
      if (m_characters[begin].combining != 0)
        while (end < m_characters.size() && m_characters[end].combining != 0) ++end;
      std::stable_sort(m_characters.begin() + static_cast<std::ptrdiff_t>(begin),
                       m_characters.begin() + static_cast<std::ptrdiff_t>(end),
                       [](const Traced& a, const Traced& b) { return a.combining < b.combining; });
      begin = end;
    }
    for (size_t i = 0; i < m_characters.size(); ++i) m_characters[i].source = m_sources[i];
    if (m_composes) compose();
    for (const Traced& character : m_characters) out.put(character.code, character.source);
    m_characters.clear();
  }

 private:
  void push(UChar32 c, TextSpan source) { m_characters.push_back({c, u_getCombiningClass(c), source}); }

  // Canonical composition (Unicode, section 3.11, D117): a character joins the last starter unless one of the same or a
  // higher combining class stands between.
  void compose() {
    constexpr size_t kNone = SIZE_MAX;
    size_t starter = kNone, kept = 0;
    int lastClass = -1;  // of the last one kept behind the starter; -1 when the starter is the last
    for (size_t i = 0; i < m_characters.size(); ++i) {
      const Traced character = m_characters[i];
      if (starter != kNone && (lastClass < character.combining || lastClass == -1)) {
        const UChar32 joined = unorm2_composePair(m_composing, m_characters[starter].code, character.code);
        if (joined >= 0) {
          m_characters[starter].code = joined;
          continue;
        }
      }
      if (character.combining == 0) {
        starter = kept;
        lastClass = -1;
      } else {
        lastClass = character.combining;
      }
      m_characters[kept++] = character;
    }
    m_characters.resize(kept);
  }

  bool m_composes;
  const UNormalizer2* m_decomposing;
  const UNormalizer2* m_composing;
  std::vector<Traced> m_characters;
  std::vector<TextSpan> m_sources;
};

// The tokenizers library's tables of punctuation, control characters and BERT's accents are those of Unicode 8, its
// table of marks that of Unicode 9; later characters are not in them.
bool isUpToUnicode(int major, int32_t c) {
  UVersionInfo age;
  u_charAge(c, age);
  return age[0] <= major && age[0] > 0;
}

}  // namespace

bool isWhite(int32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return u_hasBinaryProperty(c, UCHAR_WHITE_SPACE);
}

bool isWordCharacter(int32_t c) {
  if (c < 0x80) return isAsciiLetterOrDigit(c) || c == '_';
  return u_hasBinaryProperty(c, UCHAR_ALPHABETIC) || (U_GET_GC_MASK(c) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
         u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL);
}

bool isPunctuationCharacter(int32_t c) {
  if (c < 0x80) return c > ' ' && c < 0x7F && !isAsciiLetterOrDigit(c);
  return (U_GET_GC_MASK(c) & U_GC_P_MASK) != 0 && isUpToUnicode(8, c);
}

bool isNumericCharacter(int32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return (U_GET_GC_MASK(c) & U_GC_N_MASK) != 0;
}

bool isControlCharacter(int32_t c) {
  if (c < 0x80) return (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
  return (U_GET_GC_MASK(c) & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK | U_GC_CS_MASK)) != 0 && isUpToUnicode(8, c);
}

bool isMark(int32_t c) { return c >= 0x300 && (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0 && isUpToUnicode(9, c); }

bool isNonSpacingMark(int32_t c) { return c >= 0x300 && u_charType(c) == U_NON_SPACING_MARK && isUpToUnicode(8, c); }

bool isIdeograph(int32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

bool isInert(int32_t c) { return unorm2_isInert(instance(NormalForm::Nfkc), c); }

void appendCharacter(std::string& text, int32_t c) {
  std::array<uint8_t, 4> bytes;
  int32_t count = 0;
  UBool error = false;
  U8_APPEND(bytes.data(), count, 4, c, error);
  if (!error) text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(count));
}

void normaliseTo(NormalForm form, TracedText& traced) {
  const UNormalizer2* whole = instance(form);
  const std::string_view text = traced.text();
  StretchNormaliser normaliser(form);
  Rewriter out(traced);
  std::vector<std::pair<int32_t, TextSpan>> characters;
  std::vector<UChar> utf16;
  const auto isAscii = [&](size_t at) { return static_cast<unsigned char>(text[at]) < 0x80; };
  size_t kept = 0;  // what lies before is written
  bool changed = false;
  for (size_t at = 0; at < text.size();) {
    if (isAscii(at) && (at + 1 == text.size() || isAscii(at + 1))) {
      ++at;
      continue;
    }
    // A stretch: up to the next character that begins anew in this form.
    const size_t begin = at;
    characters.clear();
    utf16.clear();
    do {
      size_t next = at;
      const int32_t c = nextCharacter(text, next);
      if (at > begin && unorm2_hasBoundaryBefore(whole, c)) break;
      characters.emplace_back(c, traced.source(at, next));
      if (c > 0xFFFF) utf16.push_back(U16_LEAD(c));
      utf16.push_back(c > 0xFFFF ? U16_TRAIL(c) : static_cast<UChar>(c));
      at = next;
    } while (at < text.size());
    UErrorCode status = U_ZERO_ERROR;
    if (unorm2_isNormalized(whole, utf16.data(), static_cast<int32_t>(utf16.size()), &status)) continue;
    out.keep(kept, begin);
    for (const auto& [code, source] : characters) normaliser.add(code, source);
    normaliser.flush(out);
    kept = at;
    changed = true;
  }
  if (!changed) return;
  out.keep(kept, text.size());
  out.finish();
}

}  // namespace rankscope
