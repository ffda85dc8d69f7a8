#include "core/text/wordpiece_text.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf8.h>

#include <array>

namespace rankscope::detail {
namespace {

using Kind = BertCharacter::Kind;

bool isControl(UChar32 c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  return (U_GET_GC_MASK(c) & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK | U_GC_CS_MASK)) != 0;
}

bool isSpace(UChar32 c) { return u_hasBinaryProperty(c, UCHAR_WHITE_SPACE); }

bool isPunctuation(UChar32 c) {
  if (c < 0x80) return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
  return (U_GET_GC_MASK(c) & U_GC_P_MASK) != 0;
}

// The blocks of ideographs that BERT's own code names.
bool isChinese(UChar32 c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

}  // namespace

void appendUtf8(std::string& text, int32_t code) {
  std::array<uint8_t, 4> bytes;
  int32_t count = 0;
  UBool error = false;
  U8_APPEND(bytes.data(), count, 4, code, error);
  if (!error) text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(count));
}

void normaliseBertText(std::string_view text, size_t offset, const BertTextOptions& options,
                       std::vector<BertCharacter>& out) {
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* nfd = unorm2_getNFDInstance(&status);
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const size_t size = text.size();
  out.reserve(size);
  for (size_t at = 0; at < size;) {
    const size_t begin = at;
    UChar32 c = 0;
    U8_NEXT(bytes, at, size, c);
    if (c < 0) c = 0xFFFD;  // broken UTF-8
    if (options.cleanText) {
      if (c == 0 || c == 0xFFFD || isControl(c)) continue;
      if (isSpace(c)) c = ' ';
    }
    const TextSpan span{static_cast<uint32_t>(offset + begin), static_cast<uint32_t>(offset + at)};
    const auto put = [&](UChar32 code) {
      Kind kind = Kind::Letter;
      if (isSpace(code)) kind = Kind::Space;
      else if (isPunctuation(code)) kind = Kind::Alone;
      out.push_back({code, span, kind});
    };
    const auto lower = [&](UChar32 code) {
      // Per character and without context, as the reference; only U+0130 becomes two characters.
      if (!options.lowerCase) return put(code);
      if (code == 0x130) {
        put('i');
        return put(0x307);
      }
      put(u_tolower(code));
    };
    const bool chinese = options.chineseCharacters && isChinese(c);
    if (chinese) out.push_back({' ', span, Kind::Space});
    if (options.stripAccents && c >= 0x80) {
      std::array<UChar, 64> parts;
      status = U_ZERO_ERROR;
      const int32_t count = unorm2_getDecomposition(nfd, c, parts.data(), static_cast<int32_t>(parts.size()), &status);
      if (count <= 0 || U_FAILURE(status)) {
        if (u_charType(c) != U_NON_SPACING_MARK) lower(c);
      } else {
        for (int32_t i = 0; i < count;) {
          UChar32 part = 0;
          U16_NEXT(parts.data(), i, count, part);
          if (u_charType(part) != U_NON_SPACING_MARK) lower(part);
        }
      }
    } else {
      lower(c);
    }
    if (chinese) out.push_back({' ', span, Kind::Space});
  }
}

}  // namespace rankscope::detail
