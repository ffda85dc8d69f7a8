#include "core/text/traced_text.h"

#include <unicode/utf8.h>

#include <array>

#include "core/config/text_shown.h"

namespace rankscope {

TracedText::TracedText(std::string_view original, size_t offset) : m_original(original), m_offset(offset) {
  if (isValidUtf8(original)) return;
  Rewriter rewriter(*this);
  const auto* bytes = reinterpret_cast<const uint8_t*>(original.data());
  size_t kept = 0;
  for (size_t at = 0; at < original.size();) {
    const size_t begin = at;
    UChar32 c = 0;
    U8_NEXT(bytes, at, original.size(), c);
    if (c >= 0) continue;
    rewriter.keep(kept, begin);
    rewriter.put(0xFFFD, source(begin, at));
    kept = at;
  }
  rewriter.keep(kept, original.size());
  rewriter.finish();
}

TextSpan TracedText::source(size_t begin, size_t end) const {
  if (!m_changed) return {static_cast<uint32_t>(m_offset + begin), static_cast<uint32_t>(m_offset + end)};
  if (begin < end) return {m_sources[begin].begin, m_sources[end - 1].end};
  const uint32_t place = begin < m_sources.size() ? m_sources[begin].begin : static_cast<uint32_t>(m_offset + m_original.size());
  return {place, place};
}

TracedText TracedText::slice(size_t begin, size_t end) const {
  TracedText part;
  part.m_changed = m_changed;
  if (m_changed) {
    part.m_text = m_text.substr(begin, end - begin);
    part.m_sources.assign(m_sources.begin() + static_cast<std::ptrdiff_t>(begin), m_sources.begin() + static_cast<std::ptrdiff_t>(end));
    part.m_offset = source(end, end).begin;
  } else {
    part.m_original = m_original.substr(begin, end - begin);
    part.m_offset = m_offset + begin;
  }
  return part;
}

Rewriter::Rewriter(TracedText& text) : m_from(text) {
  m_text.reserve(text.text().size() + text.text().size() / 4 + 16);
  m_sources.reserve(m_text.capacity());
}

void Rewriter::keep(size_t begin, size_t end) {
  m_text.append(m_from.text().substr(begin, end - begin));
  if (m_from.m_changed) {
    m_sources.insert(m_sources.end(), m_from.m_sources.begin() + static_cast<std::ptrdiff_t>(begin),
                     m_from.m_sources.begin() + static_cast<std::ptrdiff_t>(end));
  } else {
    for (size_t i = begin; i < end; ++i) m_sources.push_back(m_from.source(i, i + 1));
  }
}

void Rewriter::put(std::string_view bytes, TextSpan source) {
  m_text.append(bytes);
  m_sources.insert(m_sources.end(), bytes.size(), source);
}

void Rewriter::put(int32_t codePoint, TextSpan source) {
  std::array<uint8_t, 4> bytes;
  int32_t count = 0;
  UBool error = false;
  U8_APPEND(bytes.data(), count, 4, codePoint, error);
  if (!error) put(std::string_view(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(count)), source);
}

void Rewriter::finish() {
  m_from.m_text = std::move(m_text);
  m_from.m_sources = std::move(m_sources);
  m_from.m_changed = true;
}

std::vector<TextSpan> characterSpans(std::string_view text, const std::vector<TextSpan>& spans) {
  // The number of characters before each byte; broken bytes count as they are decoded.
  std::vector<uint32_t> before(text.size() + 1);
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  uint32_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) {
    size_t next = at;
    UChar32 c = 0;
    U8_NEXT(bytes, next, text.size(), c);
    for (; at < next; ++at) before[at] = count;
  }
  before[text.size()] = count;
  std::vector<TextSpan> out;
  out.reserve(spans.size());
  for (const TextSpan& span : spans)
    out.push_back({before[span.begin], span.end > span.begin ? before[span.end - 1] + 1 : before[span.end]});
  return out;
}

}  // namespace rankscope
