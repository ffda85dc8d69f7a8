#pragma once
// How likely a masked language model finds the sentences of a file: the pseudo log-likelihood of each (core/models/
// masked_scoring.h), and over all of them the loss and the perplexity of a token (METRICS.md section 14). One thread.

#include <filesystem>
#include <functional>
#include <vector>

#include "core/config/result.h"
#include "core/data/prepare.h"
#include "core/models/model.h"
#include "core/text/tokenizer.h"

namespace rankscope {

struct SentenceScore {
  uint64_t row = 0, line = 0;
  int64_t tokens = 0;        // scored: all but the special ones at both ends
  double logLikelihood = 0;  // their sum
};

struct PseudoLikelihood {
  std::vector<SentenceScore> sentences;
  int64_t tokens = 0;
  double sum = 0;
  uint64_t tooLong = 0, empty = 0;  // rows that were passed over
  double loss() const { return tokens > 0 ? -sum / static_cast<double>(tokens) : 0; }
};

// A row is a line of a text file, or the text column of a table. settings: format, columns.text and evalLimit.
Result<PseudoLikelihood> scorePseudoLikelihood(Model& model, const Tokenizer& tokenizer, const std::filesystem::path& path,
                                               const DataSettings& settings, const std::function<void(double)>& progress = {});

}  // namespace rankscope
