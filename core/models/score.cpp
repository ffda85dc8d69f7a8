#include "core/models/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace rankscope {

namespace {

// So many logits exist at once.
constexpr int64_t kLogits = int64_t{32} << 20;

Error wrongRequest(size_t index, std::string found, std::string expected, const char* hint) {
  return {ErrorCode::Usage,
          "a continuation cannot be scored",
          fmt::format("request {}", index + 1),
          std::move(found),
          std::move(expected),
          hint};
}

// What the model reads: the last tokens of context and continuation without the final one, which is only predicted.
std::vector<int64_t> inputOf(const ContinuationRequest& request, int64_t maxLength) {
  auto text = request.context;
  text.insert(text.end(), request.continuation.begin(), request.continuation.end() - 1);
  const auto extra = static_cast<int64_t>(text.size()) - maxLength;
  if (extra > 0) text.erase(text.begin(), text.begin() + extra);
  return text;
}

void scoreBatch(Model& model, const std::vector<ContinuationRequest>& requests, const std::vector<size_t>& chosen,
                int64_t maxLength, std::vector<ContinuationScore>& scores) {
  std::vector<int64_t> ids, positions, rows, targets;
  PackedBatch batch;
  batch.starts = {0};
  for (const auto index : chosen) {
    const auto text = inputOf(requests[index], maxLength);
    const auto& wanted = requests[index].continuation;
    for (size_t k = 0; k < text.size(); ++k) positions.push_back(static_cast<int64_t>(k));
    ids.insert(ids.end(), text.begin(), text.end());
    batch.starts.push_back(static_cast<int64_t>(ids.size()));
    // A context that was cut has as many tokens left as the continuation leaves room for.
    batch.prompts.push_back(static_cast<int64_t>(text.size()) - static_cast<int64_t>(wanted.size()) + 1);
    for (size_t k = 0; k < wanted.size(); ++k)
      rows.push_back(static_cast<int64_t>(ids.size()) - static_cast<int64_t>(wanted.size() - k));
    targets.insert(targets.end(), wanted.begin(), wanted.end());
  }
  const auto device = model.parameters().entries().front().tensor.device();
  const auto tensor = [&](const std::vector<int64_t>& values) { return at::tensor(values, at::kLong).to(device); };
  batch.inputIds = tensor(ids);
  batch.positionIds = tensor(positions);
  ForwardContext context;
  const auto hidden = model.hidden(batch, context).index_select(0, tensor(rows));
  const auto wanted = tensor(targets);
  std::vector<at::Tensor> parts, likeliest;
  const auto block = std::max<int64_t>(1, kLogits / model.vocabSize());
  for (int64_t begin = 0; begin < hidden.size(0); begin += block) {
    const auto count = std::min(block, hidden.size(0) - begin);
    const auto logits = model.vocabularyLogits(hidden.narrow(0, begin, count));
    const auto asked = wanted.narrow(0, begin, count);
    parts.push_back(logits.gather(1, asked.unsqueeze(1)).squeeze(1).to(at::kDouble) -
                    at::logsumexp(logits, -1).to(at::kDouble));
    likeliest.push_back(logits.argmax(-1).eq(asked));
  }
  const auto logs = at::cat(parts).cpu(), greedy = at::cat(likeliest).cpu();
  const auto* log = logs.data_ptr<double>();
  const auto* first = greedy.data_ptr<bool>();
  for (const auto index : chosen) {
    auto& score = scores[index];
    for (size_t k = 0; k < requests[index].continuation.size(); ++k, ++log, ++first) {
      score.logLikelihood += *log;
      score.tokens.push_back(static_cast<float>(*log));
      score.greedy &= *first;
    }
  }
}

}  // namespace

Result<std::vector<ContinuationScore>> scoreContinuations(Model& model,
                                                          const std::vector<ContinuationRequest>& requests,
                                                          const ScoreOptions& options) try {
  const auto maxLength =
      options.maxLength > 0 ? std::min(options.maxLength, model.maxPositions()) : model.maxPositions();
  for (size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].context.empty())
      return wrongRequest(i, "no context", "at least one token", "Begin the context with the model's start token.");
    if (requests[i].continuation.empty())
      return wrongRequest(i, "no continuation", "at least one token", "Remove empty choices.");
    if (static_cast<int64_t>(requests[i].continuation.size()) > maxLength)
      return wrongRequest(i, fmt::format("{} tokens", requests[i].continuation.size()),
                          fmt::format("at most {}, which the model reads at once", maxLength),
                          "Shorten the continuation, or score it by rolling windows.");
  }
  // Longest first, so that a batch too large for memory shows at once.
  const auto length = [&](size_t i) {
    const auto all = requests[i].context.size() + requests[i].continuation.size() - 1;
    return std::min(static_cast<int64_t>(all), maxLength);
  };
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return length(a) > length(b); });
  std::vector<ContinuationScore> scores(requests.size());
  const at::NoGradGuard off;
  for (size_t begin = 0; begin < order.size();) {
    std::vector<size_t> chosen;
    int64_t tokens = 0;
    while (begin < order.size() && (chosen.empty() || tokens + length(order[begin]) <= options.tokensPerBatch)) {
      tokens += length(order[begin]);
      chosen.push_back(order[begin++]);
    }
    scoreBatch(model, requests, chosen, maxLength, scores);
  }
  return scores;
} catch (const ErrorException& e) {
  return e.error();
}

std::vector<ContinuationRequest> rollingWindows(const std::vector<int64_t>& text, int64_t first, int64_t maxLength,
                                                int64_t contextLength) {
  std::vector<ContinuationRequest> windows;
  const auto total = static_cast<int64_t>(text.size());
  maxLength = std::max<int64_t>(1, maxLength);
  const auto step = std::max<int64_t>(1, maxLength - std::max<int64_t>(1, contextLength) + 1);
  for (int64_t done = 0; done < total;) {
    const auto count = std::min(total - done, done == 0 ? maxLength : step), end = done + count;
    ContinuationRequest window;
    window.continuation.assign(text.begin() + done, text.begin() + end);
    // The window ends with the token before the last one it scores.
    const auto begin = std::max<int64_t>(end - maxLength - 1, 0);
    if (done == 0)
      window.context.push_back(first);
    else
      window.context.assign(text.begin() + begin, text.begin() + done);
    windows.push_back(std::move(window));
    done = end;
  }
  return windows;
}

}  // namespace rankscope
