#pragma once
// Evaluation of tasks in which several examples answer one row: windows of a question's text, and choices. For
// evaluation.cpp. One thread.

#include <ATen/core/Tensor.h>

#include <vector>

#include "core/config/result.h"
#include "core/data/example.h"
#include "core/eval/registry.h"
#include "core/eval/span_decoding.h"
#include "core/models/model.h"

namespace rankscope {

// Collects the windows of each question as they come and decodes its answer when the last one is there. A question may go
// unanswered where the set holds one without an answer. Borrows the set.
class AnswerScorer {
 public:
  AnswerScorer(const TokenizedSet& set, size_t longestAnswer);
  // logits [T, 2] of these examples; their loss is added too.
  void add(const at::Tensor& logits, const PackedBatch& batch, const std::vector<uint32_t>& examples, Predictions& predictions);
  void finish(Predictions& predictions);

 private:
  const TokenizedSet& m_set;
  SpanRules m_rules;
  uint64_t m_row = 0;
  std::vector<SpanWindow> m_windows;
};

// All examples in order, in groups of about `tokens` tokens that keep the choices of a row together.
std::vector<std::vector<uint32_t>> choiceGroups(const TokenizedSet& set, size_t tokens);
// What the model chooses in the rows of these examples. The loss is that of the right choices.
Result<void> scoreChoices(Model& model, const TokenizedSet& set, const std::vector<uint32_t>& examples,
                          Predictions& predictions);

}  // namespace rankscope
