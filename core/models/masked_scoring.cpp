#include "core/models/masked_scoring.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace rankscope {

namespace {

// One copy of a text with one token masked.
struct Probe {
  size_t text = 0;
  int64_t place = 0;
};

Error wrongText(size_t text, const std::string& what, const std::string& found, const std::string& expected) {
  return {ErrorCode::BadInput, what, fmt::format("text {}", text + 1), found, expected,
          "Check the tokens that were given to be scored."};
}

Result<std::vector<Probe>> probesOf(const std::vector<MaskedText>& texts) {
  std::vector<Probe> probes;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto& text = texts[i];
    const auto length = static_cast<int64_t>(text.ids.size());
    if (length == 0) return wrongText(i, "there is nothing to score", "no tokens", "at least one token");
    if (!text.tokenTypes.empty() && text.tokenTypes.size() != text.ids.size())
      return wrongText(i, "token types and tokens differ in number", std::to_string(text.tokenTypes.size()),
                       std::to_string(length));
    if (text.places.empty()) {
      for (int64_t place = 1; place + 1 < length; ++place) probes.push_back({i, place});
      continue;
    }
    for (const auto place : text.places) {
      if (place < 0 || place >= length)
        return wrongText(i, "a place outside the text", std::to_string(place), fmt::format("0 to {}", length - 1));
      probes.push_back({i, place});
    }
  }
  return probes;
}

PackedBatch packProbes(const std::vector<MaskedText>& texts, const std::vector<Probe>& probes, size_t begin, size_t end,
                       int64_t maskId, std::vector<int64_t>& rows) {
  std::vector<int64_t> ids, positions, types;
  PackedBatch batch;
  batch.starts = {0};
  bool typed = false;
  for (size_t i = begin; i < end; ++i) {
    const auto& text = texts[probes[i].text];
    const auto first = static_cast<int64_t>(ids.size()), length = static_cast<int64_t>(text.ids.size());
    ids.insert(ids.end(), text.ids.begin(), text.ids.end());
    ids[static_cast<size_t>(first + probes[i].place)] = maskId;
    positions.resize(ids.size());
    std::iota(positions.begin() + first, positions.end(), 0);
    types.insert(types.end(), text.tokenTypes.begin(), text.tokenTypes.end());
    types.resize(ids.size(), 0);
    typed |= !text.tokenTypes.empty();
    rows.push_back(first + probes[i].place);
    batch.starts.push_back(first + length);
  }
  batch.inputIds = at::tensor(ids, at::kLong);
  batch.positionIds = at::tensor(positions, at::kLong);
  if (typed) batch.tokenTypeIds = at::tensor(types, at::kLong);
  return batch;
}

}  // namespace

double MaskedScore::sum() const { return std::accumulate(logProbabilities.begin(), logProbabilities.end(), 0.0); }

double MaskedScore::pseudoLoss() const {
  return logProbabilities.empty() ? 0 : -sum() / static_cast<double>(logProbabilities.size());
}

Result<std::vector<MaskedScore>> scoreMasked(Model& model, const std::vector<MaskedText>& texts,
                                             const MaskedScoringOptions& options) try {
  if (model.head() != HeadKind::MaskedLm)
    return Error{ErrorCode::Usage, "scores of masked tokens need a masked language model", "model.head", model.family(),
                 "masked_lm", "Load an encoder with its masked-LM head, or score with a causal model."};
  if (options.maskId < 0 || options.maskId >= model.vocabSize())
    return Error{ErrorCode::BadInput, "the mask token is not in the vocabulary", "tokenizer",
                 std::to_string(options.maskId), fmt::format("0 to {}", model.vocabSize() - 1),
                 "Use the tokenizer that belongs to this model."};
  auto probes = probesOf(texts);
  if (!probes) return probes.error();
  const at::NoGradGuard off;
  std::vector<MaskedScore> scores(texts.size());
  // So many rows that their logits stay near 64 MB.
  const auto mostRows = std::max<int64_t>(1, (int64_t{16} << 20) / model.vocabSize());
  for (size_t begin = 0; begin < probes->size();) {
    if (options.cancel && options.cancel())
      return Error{ErrorCode::Interrupted, "scoring was cancelled", "", "a wish to stop", "", "Start it again."};
    size_t end = begin;
    int64_t tokens = 0;
    while (end < probes->size() && static_cast<int64_t>(end - begin) < mostRows) {
      tokens += static_cast<int64_t>(texts[(*probes)[end].text].ids.size());
      if (end > begin && tokens > options.tokensPerPass) break;
      ++end;
    }
    std::vector<int64_t> rows;
    const auto batch = packProbes(texts, *probes, begin, end, options.maskId, rows);
    ForwardContext context;
    const auto logits = model.logitsAt(batch, at::tensor(rows, at::kLong).to(batch.inputIds.device()), context);
    const auto logs = at::log_softmax(logits, -1).to(at::kCPU, at::kDouble);
    for (size_t i = begin; i < end; ++i) {
      const auto& [text, place] = (*probes)[i];
      const auto wanted = texts[text].ids[static_cast<size_t>(place)];
      if (wanted < 0 || wanted >= model.vocabSize())
        return wrongText(text, "a token that the model does not know", std::to_string(wanted),
                         fmt::format("0 to {}", model.vocabSize() - 1));
      scores[text].logProbabilities.push_back(logs[static_cast<int64_t>(i - begin)][wanted].item<double>());
    }
    begin = end;
  }
  return scores;
} catch (const ErrorException& e) {
  return e.error();
}

}  // namespace rankscope
