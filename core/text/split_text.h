#pragma once
// How pieces of text are split at matches, in the words of the tokenizers library (SplitDelimiterBehavior). Free functions.

#include <optional>
#include <string>
#include <vector>

#include "core/text/pretokenizer.h"

namespace rankscope {

enum class Delimiter { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };
std::optional<Delimiter> delimiterNamed(const std::string& name);  // "Removed" or "removed"

// Splits at the pattern's matches; inverted, at what lies between them.
void splitAt(TextPieces& pieces, const TextPattern& pattern, Delimiter behaviour, bool inverted = false);
// Splits at each character of a class.
void splitAt(TextPieces& pieces, bool (*isDelimiter)(int32_t), Delimiter behaviour);

// Writes the pieces anew: write(range, out) puts what becomes of a piece.
template <typename Write>
void rewritePieces(TextPieces& pieces, Write&& write) {
  Rewriter out(pieces.text);
  std::vector<ByteRange> ranges;
  ranges.reserve(pieces.ranges.size());
  for (const ByteRange& range : pieces.ranges) {
    const size_t begin = out.size();
    write(range, out);
    if (out.size() > begin) ranges.push_back({begin, out.size()});
  }
  out.finish();
  pieces.ranges = std::move(ranges);
}

}  // namespace rankscope
