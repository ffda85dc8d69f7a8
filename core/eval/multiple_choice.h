#pragma once
// Multiple choice by likelihood, as EleutherAI's evaluation harness scores it (METRICS.md section 13). Free functions, any
// thread.

#include <cstdint>
#include <span>
#include <vector>

namespace rankscope {

// What was chosen of one question: the likeliest choice, and the likeliest by character. Ties: the first one.
struct Chosen {
  int32_t plain = 0, byLength = 0;
};
// `characters` (code points) of each choice's text; 0 counts as 1. Spans of equal, non-zero length.
Chosen choose(std::span<const double> logLikelihoods, std::span<const double> characters);

}  // namespace rankscope
