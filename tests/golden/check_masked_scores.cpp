// How likely a masked language model finds texts: each token masked in turn, summed by text and over the corpus.

#include "core/models/masked_scoring.h"
#include "tests/golden/check.h"

namespace rankscope::golden {

NotBuilt checkMaskedScores(const Case& golden, Findings& findings) {
  const auto& meta = golden.meta();
  const auto rows = meta.find("rows");
  if (rows == meta.end() || !rows->is_array()) malformed("the case lacks a list: rows", "nothing", "a list of texts");
  std::vector<MaskedText> texts;
  for (const auto& row : *rows) {
    if (!row.is_object() || !row.contains("input_ids")) malformed("a row without tokens", row.dump(), "input_ids");
    texts.push_back({row["input_ids"].get<std::vector<int64_t>>(), {}, {}});
  }
  MaskedScoringOptions options;
  options.maskId = static_cast<int64_t>(number(meta, "mask_id"));
  for (const auto& [dtype, key] : {std::pair(at::kFloat, "default"), std::pair(at::kDouble, "float64")}) {
    const auto tolerances = meta.find("tolerance");
    if (tolerances == meta.end() || !tolerances->contains(key)) continue;
    const Tolerance tolerance{number((*tolerances)[key], "atol"), 0};
    GoldenModel opened = openModel(golden.modelFolder(), dtype);
    if (opened.notBuilt) return opened.notBuilt;
    const auto scores = scoreMasked(*opened.model, texts, options);
    if (!scores) throw ErrorException(scores.error());
    double sum = 0, tokens = 0;
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto& row = (*rows)[i];
      const auto& score = (*scores)[i];
      const auto what = fmt::format("{}, row {}", key, i);
      const auto expected = row.at("token_log_probabilities").get<std::vector<double>>();
      findings.equal(what + ", scored tokens", static_cast<int64_t>(score.logProbabilities.size()),
                     static_cast<int64_t>(number(row, "tokens_scored")));
      findings.close(what, at::tensor(score.logProbabilities, at::kDouble), at::tensor(expected, at::kDouble), tolerance);
      findings.close(what + ", pseudo-loss", score.pseudoLoss(), number(row, "pseudo_loss"), tolerance);
      sum += score.sum();
      tokens += static_cast<double>(score.logProbabilities.size());
    }
    if (const auto corpus = meta.find("corpus"); corpus != meta.end())
      findings.close(fmt::format("{}, corpus", key), -sum / tokens, number(*corpus, "pseudo_loss_per_token"), tolerance);
  }
  return std::nullopt;
}

}  // namespace rankscope::golden
