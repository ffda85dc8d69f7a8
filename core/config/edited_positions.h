#pragma once
// method.positions: which tokens of a prompt are edited, in the words of ReFT's authors. No torch.

#include <cstdint>
#include <string>

#include "core/config/result.h"

namespace rankscope {

// "f7+l7": the first 7 and the last 7 tokens of a prompt, each at most half of it; "all": every token.
struct EditedPositions {
  int64_t first = 0, last = 0;
  bool all = false;
};
Result<EditedPositions> readPositions(const std::string& text);

}  // namespace rankscope
