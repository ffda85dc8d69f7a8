#include "core/models/token_rules.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace rankscope {

namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

void forbidRepeats(int64_t ngram, const std::vector<int64_t>& text, float* scores, int64_t count) {
  const auto length = static_cast<int64_t>(text.size()), head = ngram - 1;
  if (length < ngram) return;
  const auto* prefix = text.data() + (length - head);
  for (int64_t start = 0; start + ngram <= length; ++start) {
    const auto next = text[static_cast<size_t>(start + head)];
    if (next < count && std::equal(prefix, prefix + head, text.data() + start)) scores[next] = kForbidden;
  }
}

void penalise(double penalty, const std::vector<int64_t>& text, float* scores, int64_t count) {
  std::vector<int64_t> seen(text);
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  const auto factor = static_cast<float>(penalty);
  for (const auto token : seen)
    if (token < count) scores[token] = scores[token] < 0 ? scores[token] * factor : scores[token] / factor;
}

}  // namespace

bool TokenRules::stops(int64_t token) const {
  return std::find(stopTokens.begin(), stopTokens.end(), token) != stopTokens.end();
}

void applyRules(const TokenRules& rules, const std::vector<int64_t>& text, int64_t fresh, float* scores,
                int64_t count) {
  if (rules.repetitionPenalty != 1) penalise(rules.repetitionPenalty, text, scores, count);
  if (rules.noRepeatNgram > 0) forbidRepeats(rules.noRepeatNgram, text, scores, count);
  if (fresh < rules.minNewTokens)
    for (const auto token : rules.stopTokens)
      if (token >= 0 && token < count) scores[token] = kForbidden;
}

int64_t chooseToken(const float* scores, int64_t count, const Sampling& sampling, double uniform) {
  const auto best = std::max_element(scores, scores + count) - scores;
  if (sampling.temperature <= 0) return best;
  const auto weight = [&](int64_t token) {
    return std::exp((static_cast<double>(scores[token]) - scores[best]) / sampling.temperature);
  };
  // By falling score, the lower token first among equals. A heap gives up the few that are asked for without sorting
  // all.
  std::vector<int64_t> heap(static_cast<size_t>(count));
  std::iota(heap.begin(), heap.end(), 0);
  const auto later = [&](int64_t a, int64_t b) { return scores[a] != scores[b] ? scores[a] < scores[b] : a > b; };
  std::make_heap(heap.begin(), heap.end(), later);
  std::vector<int64_t> order;
  const auto next = [&]() -> int64_t {
    std::pop_heap(heap.begin(), heap.end(), later);
    order.push_back(heap.back());
    heap.pop_back();
    return order.back();
  };
  const auto limit = sampling.topK > 0 ? std::min(sampling.topK, count) : count;
  double sum = 0;
  if (limit < count)
    for (int64_t i = 0; i < limit; ++i) sum += weight(next());
  else
    for (int64_t token = 0; token < count; ++token) sum += weight(token);
  const auto tokenAt = [&](size_t i) { return i < order.size() ? order[i] : next(); };
  auto end = static_cast<size_t>(limit);
  if (sampling.topP < 1) {
    double kept = 0;
    size_t i = 0;
    while (i < end && (i == 0 || kept < sampling.topP * sum)) kept += weight(tokenAt(i++));
    end = i;
    sum = kept;
  }
  double target = uniform * sum;
  for (size_t i = 0; i < end; ++i)
    if ((target -= weight(tokenAt(i))) < 0) return order[i];
  return order[end - 1];
}

}  // namespace rankscope
