#include "core/text/split_text.h"

#include <algorithm>

#include "core/text/unicode_text.h"

namespace rankscope {
namespace {

// Gathers the parts of one piece, then joins and drops them as the behaviour says.
class Splitter {
 public:
  Splitter(Delimiter behaviour, bool inverted, std::vector<ByteRange>& out) : m_behaviour(behaviour), m_inverted(inverted), m_out(out) {}

  void begin(ByteRange piece) {
    m_piece = piece;
    m_at = piece.begin;
  }
  void match(ByteRange range) {
    if (range.begin > m_at) part({m_at, range.begin}, m_inverted);
    part(range, !m_inverted);
    m_at = range.end;
  }
  void end() {
    if (m_at < m_piece.end) part({m_at, m_piece.end}, m_inverted);
    if (m_behaviour == Delimiter::MergedWithNext) joinBackwards();
    m_parts.clear();
    m_previous = false;
    m_any = false;
  }

 private:
  struct Part {
    ByteRange range;
    bool delimiter;
  };

  void emit(ByteRange range, bool joined) {
    // An empty part is no piece, but what follows may still be joined to it.
    if (joined && m_any) {
      if (m_kept) m_out.back().end = range.end;
      else if (range.end > range.begin) m_out.push_back(range), m_kept = true;
      return;
    }
    m_kept = range.end > range.begin;
    m_any = true;
    if (m_kept) m_out.push_back(range);
  }

  void part(ByteRange range, bool delimiter) {
    switch (m_behaviour) {
      case Delimiter::Removed:
        if (!delimiter) emit(range, false);
        break;
      case Delimiter::Isolated: emit(range, false); break;
      case Delimiter::Contiguous: emit(range, delimiter == m_previous); break;
      case Delimiter::MergedWithPrevious: emit(range, delimiter && !m_previous); break;
      case Delimiter::MergedWithNext: m_parts.push_back({range, delimiter}); break;
    }
    m_previous = delimiter;
  }

  // Seen from the end: a delimiter joins what follows it, unless that is a delimiter as well.
  void joinBackwards() {
    std::vector<ByteRange> joined;
    bool previous = false;
    for (size_t i = m_parts.size(); i-- > 0;) {
      if (m_parts[i].delimiter && !previous && !joined.empty()) joined.back().begin = m_parts[i].range.begin;
      else joined.push_back(m_parts[i].range);
      previous = m_parts[i].delimiter;
    }
    for (size_t i = joined.size(); i-- > 0;)
      if (joined[i].end > joined[i].begin) m_out.push_back(joined[i]);
  }

  Delimiter m_behaviour;
  bool m_inverted;
  std::vector<ByteRange>& m_out;
  ByteRange m_piece;
  size_t m_at = 0;
  bool m_previous = false, m_any = false, m_kept = false;
  std::vector<Part> m_parts;
};

}  // namespace

std::optional<Delimiter> delimiterNamed(const std::string& name) {
  static constexpr struct {
    const char* name;
    const char* small;
    Delimiter behaviour;
  } kNames[] = {{"Removed", "removed", Delimiter::Removed},
                {"Isolated", "isolated", Delimiter::Isolated},
                {"MergedWithPrevious", "merged_with_previous", Delimiter::MergedWithPrevious},
                {"MergedWithNext", "merged_with_next", Delimiter::MergedWithNext},
                {"Contiguous", "contiguous", Delimiter::Contiguous}};
  for (const auto& entry : kNames)
    if (name == entry.name || name == entry.small) return entry.behaviour;
  return std::nullopt;
}

void splitAt(TextPieces& pieces, const TextPattern& pattern, Delimiter behaviour, bool inverted) {
  std::vector<ByteRange> out;
  out.reserve(pieces.ranges.size());
  Splitter splitter(behaviour, inverted, out);
  size_t current = SIZE_MAX;
  const auto reach = [&](size_t piece) {
    while (current == SIZE_MAX || current < piece) {
      if (current != SIZE_MAX) splitter.end();
      current = current == SIZE_MAX ? 0 : current + 1;
      if (current < pieces.ranges.size()) splitter.begin(pieces.ranges[current]);
    }
  };
  pattern.search(pieces.text.text(), pieces.ranges, [&](size_t piece, ByteRange match) {
    reach(piece);
    splitter.match(match);
  });
  if (!pieces.ranges.empty()) reach(pieces.ranges.size());
  pieces.ranges = std::move(out);
}

void splitAt(TextPieces& pieces, bool (*isDelimiter)(int32_t), Delimiter behaviour) {
  const std::string_view text = pieces.text.text();
  std::vector<ByteRange> out;
  out.reserve(pieces.ranges.size());
  Splitter splitter(behaviour, false, out);
  for (const ByteRange& range : pieces.ranges) {
    splitter.begin(range);
    for (size_t at = range.begin; at < range.end;) {
      const size_t begin = at;
      if (isDelimiter(nextCharacter(text, at))) splitter.match({begin, at});
    }
    splitter.end();
  }
  pieces.ranges = std::move(out);
}

}  // namespace rankscope
