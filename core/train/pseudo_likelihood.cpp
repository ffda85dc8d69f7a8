#include "core/train/pseudo_likelihood.h"

#include "core/models/masked_scoring.h"

namespace rankscope {
namespace {

constexpr size_t kRowsForGuess = 200;
constexpr size_t kSentencesAtOnce = 64;

struct Pending {
  std::vector<SentenceScore> sentences;
  std::vector<MaskedText> texts;
};

Result<void> flush(Model& model, const MaskedScoringOptions& options, Pending& pending, PseudoLikelihood& result) {
  if (pending.texts.empty()) return {};
  Result<std::vector<MaskedScore>> scores = scoreMasked(model, pending.texts, options);
  if (!scores) return scores.error();
  for (size_t i = 0; i < scores->size(); ++i) {
    SentenceScore& sentence = pending.sentences[i];
    sentence.tokens = static_cast<int64_t>((*scores)[i].logProbabilities.size());
    sentence.logLikelihood = (*scores)[i].sum();
    result.tokens += sentence.tokens;
    result.sum += sentence.logLikelihood;
    result.sentences.push_back(sentence);
  }
  pending = {};
  return {};
}

}  // namespace

Result<PseudoLikelihood> scorePseudoLikelihood(Model& model, const Tokenizer& tokenizer, const std::filesystem::path& path,
                                               const DataSettings& settings, const std::function<void(double)>& progress) {
  Result<std::unique_ptr<TableReader>> reader = TableReader::open(path, settings.table);
  if (!reader) return reader.error();
  std::vector<Row> sample;
  Row row;
  while (sample.size() < kRowsForGuess && (*reader)->next(row)) sample.push_back(row);
  (*reader)->rewind();
  const ColumnRoles roles = guessRoles(DataTask::MaskedLm, (*reader)->columns(), sample, settings.columns);
  Result<size_t> column = findColumn((*reader)->columns(), roles.text, "data.columns.text");
  if (!column) return column.error();

  MaskedScoringOptions options;
  options.maskId = tokenizer.special().mask;
  const auto longest = static_cast<size_t>(model.maxPositions());
  PseudoLikelihood result;
  Pending pending;
  while ((*reader)->next(row)) {
    const Encoding encoded = tokenizer.encode(row.cells[*column].value_or(""));
    const bool fits = longest == 0 || encoded.size() <= longest;
    if (encoded.size() < 3) {
      ++result.empty;
    } else if (!fits) {
      ++result.tooLong;
    } else {
      pending.sentences.push_back({row.number, row.line, 0, 0});
      pending.texts.push_back({{encoded.ids.begin(), encoded.ids.end()}, {encoded.typeIds.begin(), encoded.typeIds.end()}, {}});
    }
    const bool enough = settings.evalLimit > 0 && result.sentences.size() + pending.texts.size() >= settings.evalLimit;
    if (pending.texts.size() >= kSentencesAtOnce || enough) {
      if (progress) progress((*reader)->progress());
      if (auto done = flush(model, options, pending, result); !done) return done.error();
    }
    if (enough) break;
  }
  if (auto done = flush(model, options, pending, result); !done) return done.error();
  if (result.tokens == 0)
    return Error{ErrorCode::BadInput, "there is nothing to score", path.string(), "no usable sentence", "at least one",
                 "Give a text file with a sentence a line, or a table with a text column."};
  return result;
}

}  // namespace rankscope
