#include "core/models/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/models/decode.h"
#include "kernels/philox.h"

namespace rankscope {

namespace {

Error wrongOption(const char* where, std::string found, const char* expected, const char* hint) {
  return {ErrorCode::Usage, "generation cannot start", where, std::move(found), expected, hint};
}

PackedBatch freshTokens(const std::vector<std::vector<int64_t>>& fresh, const std::vector<int64_t>& held,
                        const at::Device& device) {
  PackedBatch batch;
  batch.starts = {0};
  int64_t total = 0;
  for (const auto& tokens : fresh) batch.starts.push_back(total += static_cast<int64_t>(tokens.size()));
  auto ids = at::empty({total}, at::kLong), positions = at::empty({total}, at::kLong);
  auto* id = ids.data_ptr<int64_t>();
  auto* position = positions.data_ptr<int64_t>();
  for (size_t i = 0; i < fresh.size(); ++i)
    for (size_t k = 0; k < fresh[i].size(); ++k) {
      *id++ = fresh[i][k];
      *position++ = held[i] + static_cast<int64_t>(k);
    }
  batch.inputIds = ids.to(device);
  batch.positionIds = positions.to(device);
  return batch;
}

}  // namespace

int64_t chooseToken(const float* logits, int64_t count, const GenerateOptions& options, double uniform) {
  const auto best = std::max_element(logits, logits + count) - logits;
  if (options.temperature <= 0) return best;
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  // By falling logit, the lower id first among equals, so that the choice does not depend on the sort.
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  if (options.topK > 0 && options.topK < count) order.resize(static_cast<size_t>(options.topK));
  std::vector<double> weight(order.size());
  double sum = 0;
  for (size_t i = 0; i < order.size(); ++i)
    sum += weight[i] = std::exp((static_cast<double>(logits[order[i]]) - logits[best]) / options.temperature);
  if (options.topP < 1) {
    // The smallest set of most likely tokens whose probability reaches topP.
    double kept = 0;
    size_t end = 0;
    while (end < order.size() && (end == 0 || kept < options.topP * sum)) kept += weight[end++];
    order.resize(end);
    sum = kept;
  }
  double target = uniform * sum;
  for (size_t i = 0; i < order.size(); ++i)
    if ((target -= weight[i]) < 0) return order[i];
  return order.back();
}

Result<std::vector<Generated>> generate(Model& model, const std::vector<std::vector<int64_t>>& prompts,
                                        const GenerateOptions& options) try {
  if (options.maxNewTokens < 0)
    return wrongOption("max_new_tokens", std::to_string(options.maxNewTokens), "at least 0", "Ask for more tokens.");
  if (!(options.topP > 0 && options.topP <= 1))
    return wrongOption("top_p", std::to_string(options.topP), "above 0, at most 1", "Use 1 to keep every token.");
  if (!std::isfinite(options.temperature))
    return wrongOption("temperature", std::to_string(options.temperature), "a finite number", "Use 0 for greedy.");
  int64_t longest = 0;
  for (const auto& prompt : prompts) {
    if (prompt.empty())
      return wrongOption("prompt", "no tokens", "at least one token", "Write a prompt, or begin with the start token.");
    longest = std::max(longest, static_cast<int64_t>(prompt.size()));
  }
  const auto limit = model.maxPositions();
  if (longest > limit)
    return wrongOption("prompt", fmt::format("{} tokens", longest), fmt::format("at most {}", limit).c_str(),
                       "Shorten the prompt.");

  std::vector<Generated> results(prompts.size());
  if (prompts.empty() || options.maxNewTokens == 0) return results;
  const auto device = model.parameters().entries().front().tensor.device();
  auto cache = model.newDecodeCache(static_cast<int64_t>(prompts.size()),
                                    std::min(limit, longest + options.maxNewTokens));
  std::vector<int64_t> rows(prompts.size());
  std::iota(rows.begin(), rows.end(), 0);
  auto fresh = prompts;
  while (!rows.empty()) {
    std::vector<int64_t> held;
    for (const auto row : rows) held.push_back(cache->lengths[static_cast<size_t>(row)]);
    const auto logits = model.decode(*cache, rows, freshTokens(fresh, held, device)).cpu().contiguous();
    std::vector<int64_t> going;
    std::vector<std::vector<int64_t>> next;
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto row = static_cast<size_t>(rows[i]);
      auto& result = results[row];
      const auto random = kernels::philox(options.seed, row, result.tokens.size());
      const double uniform = (random.v[0] + 0.5) / 4294967296.0;
      const auto token = chooseToken(logits.data_ptr<float>() + static_cast<int64_t>(i) * logits.size(1),
                                     logits.size(1), options, uniform);
      result.tokens.push_back(token);
      if (options.onToken && !options.onToken(row, token)) {
        for (const auto open : rows) results[static_cast<size_t>(open)].end = Generated::End::Cancelled;
        return results;
      }
      const auto& stops = options.stopTokens;
      if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
        result.end = Generated::End::StopToken;
      } else if (static_cast<int64_t>(result.tokens.size()) >= options.maxNewTokens) {
        result.end = Generated::End::Length;
      } else if (cache->lengths[row] >= limit) {
        result.end = Generated::End::ContextFull;
      } else {
        going.push_back(rows[i]);
        next.push_back({token});
      }
    }
    rows = std::move(going);
    fresh = std::move(next);
  }
  return results;
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
