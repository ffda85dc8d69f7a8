#pragma once
// Beam search over one prompt, fed with the logits of its beams step by step. Two rules of the search are known: that
// of transformers, token for token, and that with which the LoRA paper scored its NLG tables. Neither knows the model.

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "core/models/token_rules.h"

namespace rankscope {

enum class BeamRule {
  Transformers,  // keeps as many finished texts as beams; scores are log-probabilities over length^penalty
  LoraPaper      // keeps the best finished text only; repeats are judged without the prompt, and searches to the end
};
// When transformers' search ends: once no open beam beats the worst finished text by its present length; as soon as
// there are as many finished texts as beams; or once none could beat it at any length.
enum class EarlyStopping { Heuristic, Yes, Never };

struct BeamOptions {
  int64_t beams = 1;
  int64_t maxNewTokens = 64;
  double lengthPenalty = 1;  // above 0 favours longer texts
  EarlyStopping earlyStopping = EarlyStopping::Heuristic;
  BeamRule rule = BeamRule::Transformers;
  TokenRules rules;
};

struct BeamResult {
  std::vector<int64_t> tokens;  // without the prompt, a stop token is the last one when there was one
  double score = 0;
};

class BeamSearch {
 public:
  virtual ~BeamSearch() = default;
  BeamSearch(const BeamSearch&) = delete;
  BeamSearch& operator=(const BeamSearch&) = delete;

  // logits [beams, vocab] float32 on the CPU, of the tokens that tokens() named last; [1, vocab] behind the prompt.
  virtual void advance(const at::Tensor& logits) = 0;
  virtual BeamResult best() const = 0;

  bool done() const { return m_done; }
  // The open beams after a step: which one each grew out of, and the token that it grew by.
  const std::vector<int64_t>& parents() const { return m_parents; }
  const std::vector<int64_t>& tokens() const { return m_tokens; }

 protected:
  BeamSearch() = default;
  std::vector<int64_t> m_parents, m_tokens;
  bool m_done = false;
};

std::unique_ptr<BeamSearch> makeBeamSearch(const std::vector<int64_t>& prompt, const BeamOptions& options);

}  // namespace rankscope
