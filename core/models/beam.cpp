#include "core/models/beam.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace rankscope {

namespace {

constexpr float kOut = -1e9f;  // what transformers adds to the score of a beam that must not win

template <typename Score>
struct Candidate {
  Score score;
  int64_t beam, token;
};

// The `count` highest of base[beam] + row(beam)[token], falling; the lower beam and token first among equals.
template <typename Score, typename Row>
std::vector<Candidate<Score>> highest(size_t count, const std::vector<Score>& base, int64_t vocab, const Row& row) {
  using C = Candidate<Score>;
  const auto before = [](const C& a, const C& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
  };
  std::vector<C> heap;  // its front is the lowest of those kept
  heap.reserve(count + 1);
  for (size_t b = 0; b < base.size(); ++b) {
    const Score* values = row(b);
    for (int64_t t = 0; t < vocab; ++t) {
      const Score score = base[b] + values[t];
      if (heap.size() == count && !(score > heap.front().score)) continue;
      heap.push_back({score, static_cast<int64_t>(b), t});
      std::push_heap(heap.begin(), heap.end(), before);
      if (heap.size() > count) {
        std::pop_heap(heap.begin(), heap.end(), before);
        heap.pop_back();
      }
    }
  }
  std::sort_heap(heap.begin(), heap.end(), before);
  return heap;
}

std::vector<int64_t> grown(const std::vector<int64_t>& text, int64_t token) {
  auto longer = text;
  longer.push_back(token);
  return longer;
}

// transformers' `_beam_search` in the same float32 arithmetic, for one prompt.
class TransformersSearch final : public BeamSearch {
 public:
  TransformersSearch(const std::vector<int64_t>& prompt, const BeamOptions& options)
      : m_options(options), m_promptLength(prompt.size()) {
    const auto beams = static_cast<size_t>(options.beams);
    m_open.assign(beams, prompt);
    m_openScores.assign(beams, kOut);
    m_openScores[0] = 0;
    m_finished.assign(beams, {prompt, kOut, false});
  }

  void advance(const at::Tensor& logits) override {
    const auto beams = m_open.size();
    auto scores = at::log_softmax(logits, -1).contiguous();
    const auto vocab = scores.size(1);
    auto* values = scores.data_ptr<float>();
    for (int64_t row = 0; row < scores.size(0); ++row)
      applyRules(m_options.rules, m_open[static_cast<size_t>(row)], m_fresh, values + row * vocab, vocab);
    // Behind the prompt all beams are the same, and only the first one counts.
    const bool shared = scores.size(0) == 1;
    const auto kept = std::max<size_t>(2, 1 + m_options.rules.stopTokens.size()) * beams;
    const auto top = highest<float>(kept, m_openScores, vocab,
                                    [&](size_t b) { return values + (shared ? 0 : static_cast<int64_t>(b) * vocab); });
    ++m_fresh;
    std::vector<bool> ends;
    for (const auto& c : top) ends.push_back(m_options.rules.stops(c.token) || m_fresh >= m_options.maxNewTokens);
    finish(top, ends);
    carryOn(top, ends);
    decide(std::all_of(ends.begin(), ends.end(), [](bool e) { return e; }));
  }

  BeamResult best() const override {
    const auto& winner = m_finished.front();
    return {{winner.text.begin() + static_cast<int64_t>(m_promptLength), winner.text.end()}, winner.score};
  }

 private:
  struct Finished {
    std::vector<int64_t> text;
    float score;
    bool real;
  };
  using Top = std::vector<Candidate<float>>;

  bool full() const {
    return std::all_of(m_finished.begin(), m_finished.end(), [](const Finished& f) { return f.real; });
  }

  // Only candidates among the first `beams` may finish; the rest are there so that enough stay open.
  void finish(const Top& top, const std::vector<bool>& ends) {
    const auto beams = m_open.size();
    const auto divisor = static_cast<float>(std::pow(static_cast<double>(m_fresh), m_options.lengthPenalty));
    const bool closed = full() && m_options.earlyStopping == EarlyStopping::Yes;
    auto merged = m_finished;
    for (size_t i = 0; i < top.size(); ++i) {
      const bool real = ends[i] && i < beams;
      float score = top[i].score / divisor;
      if (closed) score += kOut;
      if (!m_improvable) score += kOut;
      if (!real) score += kOut;
      merged.push_back({real ? grown(m_open[static_cast<size_t>(top[i].beam)], top[i].token) : m_open[0], score, real});
    }
    std::stable_sort(merged.begin(), merged.end(),
                     [](const Finished& a, const Finished& b) { return a.score > b.score; });
    merged.resize(beams);
    m_finished = std::move(merged);
  }

  void carryOn(const Top& top, const std::vector<bool>& ends) {
    std::vector<size_t> order(top.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const auto score = [&](size_t i) { return ends[i] ? top[i].score + kOut : top[i].score; };
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score(a) > score(b); });
    order.resize(m_open.size());
    std::vector<std::vector<int64_t>> next;
    m_parents.clear();
    m_tokens.clear();
    std::vector<float> scores;
    for (const auto i : order) {
      m_parents.push_back(top[i].beam);
      m_tokens.push_back(top[i].token);
      scores.push_back(score(i));
      next.push_back(grown(m_open[static_cast<size_t>(top[i].beam)], top[i].token));
    }
    m_open = std::move(next);
    m_openScores = std::move(scores);
  }

  void decide(bool allEnd) {
    const bool atTheEnd = m_options.earlyStopping == EarlyStopping::Never && m_options.lengthPenalty > 0;
    const auto length = static_cast<double>(atTheEnd ? m_options.maxNewTokens : m_fresh);
    const float possible = m_openScores.front() / static_cast<float>(std::pow(length, m_options.lengthPenalty));
    const float worst = m_finished.back().score;
    const bool beatable = std::any_of(m_finished.begin(), m_finished.end(),
                                      [&](const Finished& f) { return possible > (f.real ? worst : kOut); });
    m_improvable = m_improvable && beatable;
    const bool enough = full() && m_options.earlyStopping == EarlyStopping::Yes;
    m_done = !m_improvable || enough || allEnd;
  }

  BeamOptions m_options;
  size_t m_promptLength;
  int64_t m_fresh = 0;
  bool m_improvable = true;
  std::vector<std::vector<int64_t>> m_open;  // with the prompt
  std::vector<float> m_openScores;
  std::vector<Finished> m_finished;  // by falling score
};

// The beam search of microsoft/LoRA's NLG examples.
class LoraPaperSearch final : public BeamSearch {
 public:
  explicit LoraPaperSearch(const BeamOptions& options) : m_options(options) {
    m_open.assign(static_cast<size_t>(options.beams), {});
    m_scores.assign(m_open.size(), 0);
    m_best.score = -std::numeric_limits<double>::infinity();
  }

  void advance(const at::Tensor& logits) override {
    const auto beams = m_open.size();
    auto raw = logits.contiguous().clone();
    const auto vocab = raw.size(1);
    for (int64_t row = 0; row < raw.size(0); ++row)
      applyRules(m_options.rules, m_open[static_cast<size_t>(row)], m_fresh, raw.data_ptr<float>() + row * vocab,
                 vocab);
    const auto scores = at::log_softmax(raw.to(at::kDouble), -1);
    const auto* values = scores.data_ptr<double>();
    const auto base = m_fresh == 0 ? std::vector<double>{0.0} : m_scores;
    const auto top =
        highest<double>(beams, base, vocab, [&](size_t b) { return values + static_cast<int64_t>(b) * vocab; });
    ++m_fresh;
    m_parents.clear();
    m_tokens.clear();
    std::vector<std::vector<int64_t>> next;
    std::vector<double> nextScores;
    for (size_t i = 0; i < beams; ++i) {
      // With fewer candidates than beams the last ones are dead.
      const auto c = i < top.size() ? top[i] : Candidate<double>{kDead, 0, 0};
      m_parents.push_back(c.beam);
      m_tokens.push_back(c.token);
      next.push_back(grown(m_open[static_cast<size_t>(c.beam)], c.token));
      nextScores.push_back(c.score);
    }
    m_open = std::move(next);
    m_scores = std::move(nextScores);
    const bool last = m_fresh >= m_options.maxNewTokens;
    for (size_t i = 0; i < beams; ++i)
      if (last || m_options.rules.stops(m_tokens[i])) keep(i);
    m_done = last || std::all_of(m_scores.begin(), m_scores.end(), [](double s) { return s == kDead; });
  }

  BeamResult best() const override { return m_best; }

 private:
  static constexpr double kDead = -std::numeric_limits<double>::infinity();

  void keep(size_t beam) {
    const double score = m_scores[beam] / std::pow(static_cast<double>(m_fresh), m_options.lengthPenalty);
    if (m_best.tokens.empty() || m_best.score < score) m_best = {m_open[beam], score};
    m_scores[beam] = kDead;
  }

  BeamOptions m_options;
  int64_t m_fresh = 0;
  std::vector<std::vector<int64_t>> m_open;  // without the prompt
  std::vector<double> m_scores;
  BeamResult m_best;
};

}  // namespace

std::unique_ptr<BeamSearch> makeBeamSearch(const std::vector<int64_t>& prompt, const BeamOptions& options) {
  if (options.rule == BeamRule::LoraPaper) return std::make_unique<LoraPaperSearch>(options);
  return std::make_unique<TransformersSearch>(prompt, options);
}

}  // namespace rankscope
