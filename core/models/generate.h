#pragma once
// Text generation with a key/value cache: several prompts at once, greedy or sampled, adapters active. Sampling is a
// function of the seed, the prompt's number and the token's number, so it does not depend on what else is generated.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/models/model.h"

namespace rankscope {

struct GenerateOptions {
  int64_t maxNewTokens = 64;
  std::vector<int64_t> stopTokens;  // generation of a prompt ends after one of these
  double temperature = 0;           // 0: greedy
  int64_t topK = 0;                 // 0: all
  double topP = 1;                  // 1: all
  uint64_t seed = 0;
  // Called after each token; returning false ends the whole generation.
  std::function<bool(size_t prompt, int64_t token)> onToken;
};

struct Generated {
  std::vector<int64_t> tokens;  // without the prompt; a stop token is the last one when there was one
  enum class End { Length, StopToken, ContextFull, Cancelled } end = End::Length;
};

Result<std::vector<Generated>> generate(Model& model, const std::vector<std::vector<int64_t>>& prompts,
                                        const GenerateOptions& options);

// The choice of one token from logits [vocab] float32; exposed for tests. `uniform` in [0, 1).
int64_t chooseToken(const float* logits, int64_t count, const GenerateOptions& options, double uniform);

}  // namespace rankscope
