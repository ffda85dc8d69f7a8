#pragma once
// Runs cases and says what became of each.

#include <string>
#include <vector>

#include "tests/golden/case.h"

namespace rankscope::golden {

struct Outcome {
  enum class Kind { Passed, Failed, NotBuilt } kind = Kind::Failed;
  std::string line;  // without a newline
};

// Never throws: a case that cannot be read or run has failed, with the reason.
Outcome runCase(const CaseEntry& entry);

}  // namespace rankscope::golden
