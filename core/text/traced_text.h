#pragma once
// Text on its way from what the caller gave to what a model sees: each byte knows the bytes of the original it came from,
// so that tokens can be shown in the original. Unchanged text costs nothing; a change is written with a Rewriter. Values,
// one thread.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rankscope {

// Bytes [begin, end) of the text given to encode(); begin == end for tokens that stand for no text.
struct TextSpan {
  uint32_t begin = 0, end = 0;
  friend bool operator==(const TextSpan&, const TextSpan&) = default;
};

class TracedText {
 public:
  // `original` lies at byte `offset` of the caller's text and must outlive this object. Broken UTF-8 becomes U+FFFD, as
  // Python's decoding with errors="replace" does it.
  TracedText(std::string_view original, size_t offset);

  std::string_view text() const { return m_changed ? std::string_view(m_text) : m_original; }
  // What the bytes [begin, end) of text() came from.
  TextSpan source(size_t begin, size_t end) const;
  TracedText slice(size_t begin, size_t end) const;

 private:
  friend class Rewriter;
  TracedText() = default;
  std::string_view m_original;
  size_t m_offset = 0;
  bool m_changed = false;
  std::string m_text;
  std::vector<TextSpan> m_sources;  // of each byte of m_text
};

// Builds the next state of a TracedText; without finish() nothing changes.
class Rewriter {
 public:
  explicit Rewriter(TracedText& text);
  void keep(size_t begin, size_t end);                  // bytes of the present text, each with its source
  void put(std::string_view bytes, TextSpan source);    // new bytes
  void put(int32_t codePoint, TextSpan source);
  size_t size() const { return m_text.size(); }
  std::string_view text() const { return m_text; }
  void finish();

 private:
  TracedText& m_from;
  std::string m_text;
  std::vector<TextSpan> m_sources;
};

// Byte spans widened to whole characters and counted in characters (code points) of `text`.
std::vector<TextSpan> characterSpans(std::string_view text, const std::vector<TextSpan>& spans);

}  // namespace rankscope
