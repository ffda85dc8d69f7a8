#include "core/config/edited_positions.h"

#include <algorithm>
#include <charconv>

namespace rankscope {

Result<EditedPositions> readPositions(const std::string& text) {
  EditedPositions positions;
  const auto wrong = [&] {
    return Error{
        ErrorCode::Usage,       "these positions are not understood",
        "method.positions",     text,
        "f7+l7, f3, l1 or all", "Say how many tokens at the front (f) and at the end (l) of the prompt are edited."};
  };
  if (text == "all") {
    positions.all = true;
    return positions;
  }
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('+', begin), text.size());
    int64_t count = 0;
    if (end - begin < 2) return wrong();
    const char side = text[begin];
    const auto [stop, code] = std::from_chars(text.data() + begin + 1, text.data() + end, count);
    int64_t& part = side == 'f' ? positions.first : positions.last;
    if ((side != 'f' && side != 'l') || code != std::errc() || stop != text.data() + end || count < 1 ||
        count > 1'000'000 || part != 0)
      return wrong();
    part = count;
    begin = end + 1;
  }
  return positions;
}

}  // namespace rankscope
