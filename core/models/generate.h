#pragma once
// Text generation with a key/value cache: several prompts at once, greedy, sampled or by beams, adapters active. Greedy
// and beam search give what transformers gives. Sampling is a function of the seed, the prompt's number and the token's
// number, so it does not depend on what else is generated.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/models/beam.h"
#include "core/models/model.h"
#include "core/models/token_rules.h"

namespace rankscope {

struct GenerateOptions {
  int64_t maxNewTokens = 64;
  std::vector<int64_t> stopTokens;  // generation of a prompt ends after one of these
  double temperature = 0;           // 0: greedy
  int64_t topK = 0;                 // 0: all
  double topP = 1;                  // 1: all
  uint64_t seed = 0;
  int64_t minNewTokens = 0;
  int64_t noRepeatNgram = 0;
  double repetitionPenalty = 1;
  int64_t beams = 1;  // above 1, or with the paper's rule: beam search, which does not sample
  double lengthPenalty = 1;
  EarlyStopping earlyStopping = EarlyStopping::Heuristic;
  BeamRule beamRule = BeamRule::Transformers;
  // Called after each token, of a beam search once the prompt's text is chosen; returning false ends everything.
  std::function<bool(size_t prompt, int64_t token)> onToken;
  // Called ahead of each pass through the model; returning false ends everything.
  std::function<bool()> keepGoing;
};

struct Generated {
  std::vector<int64_t> tokens;  // without the prompt; a stop token is the last one when there was one
  enum class End { Length, StopToken, ContextFull, Cancelled } end = End::Length;
  double score = 0;  // of a beam search: log-probability over length^penalty
};

Result<std::vector<Generated>> generate(Model& model, const std::vector<std::vector<int64_t>>& prompts,
                                        const GenerateOptions& options);

}  // namespace rankscope
