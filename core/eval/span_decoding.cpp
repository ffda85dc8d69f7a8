#include "core/eval/span_decoding.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace rankscope {
namespace {

// The tokens with the largest scores, first ones first among equals.
std::vector<size_t> largest(const std::vector<float>& scores, size_t count) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  count = std::min(count, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  order.resize(count);
  return order;
}

}  // namespace

AnsweredQuestion decodeAnswer(std::string_view context, std::span<const SpanWindow> windows, const SpanRules& rules) {
  AnsweredQuestion answered;
  double best = -std::numeric_limits<double>::infinity(), none = std::numeric_limits<double>::infinity();
  for (const SpanWindow& window : windows) {
    const size_t tokens = std::min({window.start.size(), window.end.size(), window.places.size()});
    if (tokens == 0) continue;
    // Every window must say "not here" before there is no answer.
    none = std::min(none, static_cast<double>(window.start[0]) + static_cast<double>(window.end[0]));
    const std::vector<size_t> ends = largest(window.end, rules.best);
    for (const size_t first : largest(window.start, rules.best))
      for (const size_t last : ends) {
        if (first >= tokens || last >= tokens || last < first || last - first + 1 > rules.longest) continue;
        const auto [begin, beginEnd] = window.places[first];
        const auto [endBegin, end] = window.places[last];
        if (begin == beginEnd || endBegin == end || end <= begin || end > context.size()) continue;
        const double score = static_cast<double>(window.start[first]) + static_cast<double>(window.end[last]);
        if (score <= best) continue;
        best = score;
        answered.span = context.substr(begin, end - begin);
      }
  }
  // A leading blank belongs to the token of a byte-level vocabulary, not to the answer.
  const size_t text = answered.span.find_first_not_of(" \t\r\n");
  answered.span.erase(0, text == std::string::npos ? answered.span.size() : text);
  answered.noAnswer = answered.span.empty() ? std::numeric_limits<double>::max() : none - best;
  const bool silent = answered.span.empty() || (rules.noAnswer && answered.noAnswer > rules.threshold);
  if (!silent) answered.prediction = answered.span;
  return answered;
}

}  // namespace rankscope
