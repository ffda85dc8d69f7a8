#include "core/models/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>

#include "core/models/decode.h"
#include "kernels/philox.h"

namespace rankscope {

namespace {

using Texts = std::vector<std::vector<int64_t>>;

// So many sequences go through the model together: enough for its products, and a bound on the cache and the logits.
constexpr int64_t kRows = 64;
// Room for new tokens to begin with; a cache grows.
constexpr int64_t kFirstRoom = 128;

Error wrongOption(const char* where, std::string found, std::string expected, const char* hint) {
  return {ErrorCode::Usage, "generation cannot start", where, std::move(found), std::move(expected), hint};
}

Result<void> checkOptions(const GenerateOptions& o, const Texts& prompts, int64_t limit) {
  const auto count = [](const char* where, int64_t value, int64_t low, int64_t high) -> Result<void> {
    if (value >= low && value <= high) return {};
    return wrongOption(where, std::to_string(value), fmt::format("{} to {}", low, high),
                       "Choose a number in this range.");
  };
  constexpr int64_t kMost = int64_t{1} << 30;
  if (auto ok = count("max_new_tokens", o.maxNewTokens, 0, kMost); !ok) return ok;
  if (auto ok = count("min_new_tokens", o.minNewTokens, 0, kMost); !ok) return ok;
  if (auto ok = count("top_k", o.topK, 0, kMost); !ok) return ok;
  if (auto ok = count("no_repeat_ngram_size", o.noRepeatNgram, 0, kMost); !ok) return ok;
  if (auto ok = count("num_beams", o.beams, 1, 1024); !ok) return ok;
  if (!(o.topP > 0 && o.topP <= 1))
    return wrongOption("top_p", std::to_string(o.topP), "above 0, at most 1", "Use 1 to keep every token.");
  if (!std::isfinite(o.temperature))
    return wrongOption("temperature", std::to_string(o.temperature), "a finite number", "Use 0 for greedy.");
  if (!(o.repetitionPenalty > 0) || !std::isfinite(o.repetitionPenalty))
    return wrongOption("repetition_penalty", std::to_string(o.repetitionPenalty), "above 0", "Use 1 for none.");
  if (!std::isfinite(o.lengthPenalty))
    return wrongOption("length_penalty", std::to_string(o.lengthPenalty), "a finite number",
                       "Use 1 for the usual mean.");
  if (o.minNewTokens > o.maxNewTokens)
    return wrongOption("min_new_tokens", std::to_string(o.minNewTokens), fmt::format("at most {}", o.maxNewTokens),
                       "Ask for more tokens at most, or for fewer at least.");
  const bool beams = o.beams > 1 || o.beamRule == BeamRule::LoraPaper;
  if (beams && o.temperature > 0)
    return wrongOption("temperature", std::to_string(o.temperature), "0 with beam search",
                       "Sample with one beam, or search without sampling.");
  for (const auto& prompt : prompts) {
    if (prompt.empty())
      return wrongOption("prompt", "no tokens", "at least one token", "Write a prompt, or begin with the start token.");
    if (static_cast<int64_t>(prompt.size()) > limit)
      return wrongOption("prompt", fmt::format("{} tokens", prompt.size()), fmt::format("at most {}", limit),
                         "Shorten the prompt.");
  }
  return {};
}

PackedBatch freshTokens(const Texts& fresh, const std::vector<int64_t>& held, const at::Device& device) {
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

// The model with the cache of one group of prompts.
class Decoder {
 public:
  Decoder(Model& model, const Texts& prompts, int64_t rows, int64_t maxNewTokens)
      : m_model(model), m_device(model.parameters().entries().front().tensor.device()) {
    size_t longest = 0;
    for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
    m_cache = model.newDecodeCache(rows, static_cast<int64_t>(longest) + std::min(maxNewTokens, kFirstRoom));
  }

  // Logits [S, vocab] float32 on the CPU behind fresh[i], which continues row i of the cache.
  at::Tensor pass(const Texts& fresh) {
    std::vector<int64_t> rows(fresh.size());
    std::iota(rows.begin(), rows.end(), 0);
    const std::vector<int64_t> held(m_cache->lengths.begin(),
                                    m_cache->lengths.begin() + static_cast<int64_t>(rows.size()));
    return m_model.decode(*m_cache, rows, freshTokens(fresh, held, m_device)).to(at::kCPU, at::kFloat).contiguous();
  }
  void reorder(const std::vector<int64_t>& source) { m_cache->reorder(source); }

 private:
  Model& m_model;
  at::Device m_device;
  std::unique_ptr<DecodeCache> m_cache;
};

// How one text ends when `tokens` are there and `room` is what the model's positions leave for it.
std::optional<Generated::End> endOf(const std::vector<int64_t>& tokens, const TokenRules& rules, int64_t most,
                                    int64_t room) {
  if (!tokens.empty() && rules.stops(tokens.back())) return Generated::End::StopToken;
  const auto count = static_cast<int64_t>(tokens.size());
  if (count >= most) return Generated::End::Length;
  if (count >= room) return Generated::End::ContextFull;
  return std::nullopt;
}

class Generation {
 public:
  Generation(Model& model, const Texts& prompts, const GenerateOptions& options)
      : m_model(model), m_prompts(prompts), m_options(options), m_results(prompts.size()) {
    m_rules = {options.stopTokens, options.minNewTokens, options.noRepeatNgram, options.repetitionPenalty};
  }

  std::vector<Generated> run() {
    const bool beams = m_options.beams > 1 || m_options.beamRule == BeamRule::LoraPaper;
    const auto group = static_cast<size_t>(std::max<int64_t>(1, kRows / m_options.beams));
    for (size_t first = 0; first < m_prompts.size() && !m_cancelled; first += group) {
      const auto count = std::min(group, m_prompts.size() - first);
      beams ? search(first, count) : walk(first, count);
    }
    if (m_cancelled)
      for (auto& result : m_results)
        if (!m_ended.count(&result)) result.end = Generated::End::Cancelled;
    return std::move(m_results);
  }

 private:
  // Tokens that the model's positions leave: the last one need not be read.
  int64_t room(size_t prompt) const {
    return m_model.maxPositions() - static_cast<int64_t>(m_prompts[prompt].size()) + 1;
  }
  bool goesOn() {
    m_cancelled |= m_options.keepGoing && !m_options.keepGoing();
    return !m_cancelled;
  }
  bool tell(size_t prompt, int64_t token) {
    m_cancelled |= m_options.onToken && !m_options.onToken(prompt, token);
    return !m_cancelled;
  }
  void end(size_t prompt, Generated::End how) {
    m_results[prompt].end = how;
    m_ended.insert(&m_results[prompt]);
  }

  int64_t choose(size_t prompt, float* logits, int64_t vocab) {
    const auto& tokens = m_results[prompt].tokens;
    if (m_rules.any()) {
      auto text = m_prompts[prompt];
      text.insert(text.end(), tokens.begin(), tokens.end());
      applyRules(m_rules, text, static_cast<int64_t>(tokens.size()), logits, vocab);
    }
    const auto random = kernels::philox(m_options.seed, prompt, tokens.size());
    const double uniform = (random.v[0] + 0.5) / 4294967296.0;
    return chooseToken(logits, vocab, {m_options.temperature, m_options.topK, m_options.topP}, uniform);
  }

  // Greedy or sampled.
  void walk(size_t first, size_t count) {
    std::vector<size_t> open(count);
    std::iota(open.begin(), open.end(), first);
    Texts fresh(m_prompts.begin() + static_cast<int64_t>(first),
                m_prompts.begin() + static_cast<int64_t>(first + count));
    Decoder decoder(m_model, fresh, static_cast<int64_t>(count), m_options.maxNewTokens);
    while (!open.empty() && goesOn()) {
      auto logits = decoder.pass(fresh);
      std::vector<size_t> going;
      std::vector<int64_t> rows;
      fresh.clear();
      for (size_t i = 0; i < open.size(); ++i) {
        auto& tokens = m_results[open[i]].tokens;
        tokens.push_back(
            choose(open[i], logits.data_ptr<float>() + static_cast<int64_t>(i) * logits.size(1), logits.size(1)));
        if (!tell(open[i], tokens.back())) return;
        if (const auto how = endOf(tokens, m_rules, m_options.maxNewTokens, room(open[i]))) {
          end(open[i], *how);
          continue;
        }
        going.push_back(open[i]);
        rows.push_back(static_cast<int64_t>(i));
        fresh.push_back({tokens.back()});
      }
      if (rows.size() < open.size()) decoder.reorder(rows);
      open = std::move(going);
    }
  }

  // Row a · beams + b of the cache is beam b of the a-th open prompt.
  void search(size_t first, size_t count) {
    const auto beams = m_options.beams;
    std::vector<size_t> open(count);
    std::iota(open.begin(), open.end(), first);
    std::vector<std::unique_ptr<BeamSearch>> searches;
    for (const auto prompt : open)
      searches.push_back(makeBeamSearch(m_prompts[prompt],
                                        {beams, std::min(m_options.maxNewTokens, room(prompt)), m_options.lengthPenalty,
                                         m_options.earlyStopping, m_options.beamRule, m_rules}));
    Texts fresh(m_prompts.begin() + static_cast<int64_t>(first),
                m_prompts.begin() + static_cast<int64_t>(first + count));
    Decoder decoder(m_model, fresh, static_cast<int64_t>(count) * beams, m_options.maxNewTokens);
    for (int64_t width = 1; !open.empty() && goesOn(); width = beams) {
      const auto logits = decoder.pass(fresh);
      std::vector<size_t> going;
      std::vector<int64_t> rows;
      fresh.clear();
      for (size_t i = 0; i < open.size(); ++i) {
        auto& search = *searches[open[i] - first];
        const auto begin = static_cast<int64_t>(i) * width;
        search.advance(logits.narrow(0, begin, width));
        if (search.done()) {
          if (!take(open[i], search.best())) return;
          continue;
        }
        going.push_back(open[i]);
        for (size_t b = 0; b < static_cast<size_t>(beams); ++b) {
          rows.push_back(begin + (width == 1 ? 0 : search.parents()[b]));
          fresh.push_back({search.tokens()[b]});
        }
      }
      if (!going.empty()) decoder.reorder(rows);
      open = std::move(going);
    }
  }

  bool take(size_t prompt, BeamResult best) {
    auto& result = m_results[prompt];
    result.tokens = std::move(best.tokens);
    result.score = best.score;
    end(prompt, endOf(result.tokens, m_rules, m_options.maxNewTokens, room(prompt)).value_or(Generated::End::Length));
    for (const auto token : result.tokens)
      if (!tell(prompt, token)) return false;
    return true;
  }

  Model& m_model;
  const Texts& m_prompts;
  const GenerateOptions& m_options;
  TokenRules m_rules;
  std::vector<Generated> m_results;
  std::set<const Generated*> m_ended;
  bool m_cancelled = false;
};

}  // namespace

Result<std::vector<Generated>> generate(Model& model, const std::vector<std::vector<int64_t>>& prompts,
                                        const GenerateOptions& options) try {
  if (auto ok = checkOptions(options, prompts, model.maxPositions()); !ok) return ok.error();
  if (options.maxNewTokens == 0) return std::vector<Generated>(prompts.size());
  return Generation(model, prompts, options).run();
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
