#include "core/train/task_scoring.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/eval/multiple_choice.h"
#include "core/models/score.h"
#include "core/models/task_loss.h"

namespace rankscope {

AnswerScorer::AnswerScorer(const TokenizedSet& set, size_t longestAnswer) : m_set(set) {
  m_rules.longest = longestAnswer;
  for (size_t i = 0; i < set.size() && !m_rules.noAnswer; ++i) {
    const QuestionText* question = set.question(set[i].row);
    m_rules.noAnswer = question && question->answers.empty();
  }
}

void AnswerScorer::add(const at::Tensor& logits, const PackedBatch& batch, const std::vector<uint32_t>& examples,
                       Predictions& predictions) {
  predictions.totalNll += spanLoss(logits, batch, 1.0).item<double>();
  predictions.scoredTokens += batch.sequences();
  const at::Tensor scores = logits.to(at::kCPU, at::kFloat).contiguous();
  const float* at = scores.const_data_ptr<float>();
  for (const uint32_t index : examples) {
    const ExampleView example = m_set[index];
    if (example.row != m_row) finish(predictions);
    m_row = example.row;
    SpanWindow window;
    for (size_t i = 0; i < example.length(); ++i, at += 2) {
      window.start.push_back(at[0]);
      window.end.push_back(at[1]);
      const TextSpan span = i < example.offsets.size() ? example.offsets[i] : TextSpan{};
      window.places.emplace_back(span.begin, span.end);
    }
    m_windows.push_back(std::move(window));
  }
}

void AnswerScorer::finish(Predictions& predictions) {
  if (m_windows.empty()) return;
  if (const QuestionText* question = m_set.question(m_row)) {
    predictions.questions.push_back(decodeAnswer(*question->context, m_windows, m_rules));
    predictions.questions.back().answers = question->answers;
  }
  m_windows.clear();
}

std::vector<std::vector<uint32_t>> choiceGroups(const TokenizedSet& set, size_t tokens) {
  std::vector<std::vector<uint32_t>> groups;
  const std::vector<uint32_t> starts = set.rowStarts();
  size_t inGroup = 0;
  for (size_t row = 0; row + 1 < starts.size(); ++row) {
    size_t ofRow = 0;
    for (uint32_t i = starts[row]; i < starts[row + 1]; ++i) ofRow += set.length(i);
    if (groups.empty() || inGroup + ofRow > tokens) {
      groups.emplace_back();
      inGroup = 0;
    }
    for (uint32_t i = starts[row]; i < starts[row + 1]; ++i) groups.back().push_back(i);
    inGroup += ofRow;
  }
  return groups;
}

Result<void> scoreChoices(Model& model, const TokenizedSet& set, const std::vector<uint32_t>& examples,
                          Predictions& predictions) {
  std::vector<ContinuationRequest> requests;
  for (const uint32_t index : examples) {
    const ExampleView example = set[index];
    const auto scored = std::find(example.lossMask.begin(), example.lossMask.end(), uint8_t{1}) - example.lossMask.begin();
    requests.push_back({{example.ids.begin(), example.ids.begin() + scored}, {example.ids.begin() + scored, example.ids.end()}});
  }
  Result<std::vector<ContinuationScore>> scores = scoreContinuations(model, requests);
  if (!scores) return scores.error();
  for (size_t begin = 0, end; begin < examples.size(); begin = end) {
    const ExampleView first = set[examples[begin]];
    std::vector<double> likelihoods, characters;
    for (end = begin; end < examples.size() && set[examples[end]].row == first.row; ++end) {
      likelihoods.push_back((*scores)[end].logLikelihood);
      characters.push_back(static_cast<double>(set[examples[end]].target));
    }
    const Chosen chosen = choose(likelihoods, characters);
    predictions.labels.push_back(first.classLabel);
    predictions.predicted.push_back(chosen.plain);
    predictions.predictedByLength.push_back(chosen.byLength);
    const size_t right = begin + static_cast<size_t>(std::clamp<int64_t>(first.classLabel, 0, static_cast<int64_t>(end - begin) - 1));
    predictions.totalNll -= (*scores)[right].logLikelihood;
    predictions.scoredTokens += static_cast<int64_t>(requests[right].continuation.size());
  }
  return {};
}

}  // namespace rankscope
