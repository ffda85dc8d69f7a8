#include "core/data/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "core/config/text_shown.h"
#include "core/data/batch_plan.h"
#include "core/data/file_loader.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kSplitStream = UINT64_MAX - 1;  // no epoch has this number
constexpr size_t kDocumentsToSplit = 10;           // fewer: the evaluation part is the text's end

// Documents become blocks; other tasks' examples stay as they are.
TokenizedSet blocksOf(const TokenizedSet& documents, const Tokenizer& tokenizer, const DataSettings& settings,
                      DataStatistics& statistics) {
  BlockBuilder builder(tokenizer, static_cast<size_t>(settings.maxLength), settings.task == DataTask::MaskedLm);
  for (size_t i = 0; i < documents.size(); ++i) builder.add(documents[i].ids);
  TokenizedSet blocks = builder.finish();
  for (size_t i = 0; i < blocks.size(); ++i) statistics.count(blocks.length(i), 0);
  return blocks;
}

// All examples of these rows of the set, in order.
std::vector<uint32_t> examplesOf(const std::vector<uint32_t>& starts, std::span<const uint32_t> rows) {
  std::vector<uint32_t> examples;
  for (const uint32_t row : rows)
    for (uint32_t i = starts[row]; i < starts[row + 1]; ++i) examples.push_back(i);
  return examples;
}

void limit(TokenizedSet& set, uint64_t most) {
  if (most == 0 || set.size() <= most) return;
  const std::vector<uint32_t> starts = set.rowStarts();
  if (starts.size() - 1 <= most) return;
  std::vector<uint32_t> first(starts[most]);
  std::iota(first.begin(), first.end(), 0u);
  set = set.subset(first);
}

// Multiple choice learns the right choices alone; the others are there to be compared.
TokenizedSet rightChoices(const TokenizedSet& all) {
  const std::vector<uint32_t> starts = all.rowStarts();
  std::vector<uint32_t> right;
  for (size_t row = 0; row + 1 < starts.size(); ++row)
    right.push_back(starts[row] + static_cast<uint32_t>(all[starts[row]].classLabel));
  return all.subset(right);
}

size_t evalCount(size_t examples, double fraction) {
  if (fraction <= 0 || examples < 2) return 0;
  const auto wanted = static_cast<size_t>(std::llround(static_cast<double>(examples) * fraction));
  return std::clamp<size_t>(wanted, 1, examples - 1);
}

std::pair<TokenizedSet, TokenizedSet> splitBySeed(const TokenizedSet& all, const DataSettings& settings) {
  const std::vector<uint32_t> starts = all.rowStarts();
  const size_t rows = starts.size() - 1, count = evalCount(rows, settings.evalFraction);
  std::vector<uint32_t> order = permutation(static_cast<uint32_t>(rows), settings.seed, kSplitStream);
  std::vector<uint32_t> eval(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
  std::vector<uint32_t> train(order.begin() + static_cast<std::ptrdiff_t>(count), order.end());
  std::sort(eval.begin(), eval.end());
  std::sort(train.begin(), train.end());
  return {all.subset(examplesOf(starts, train)), all.subset(examplesOf(starts, eval))};
}

Result<void> checkSettings(const DataSettings& settings) {
  if (settings.maxLength < 4 || settings.maxLength > (1 << 24))
    return Error{ErrorCode::Usage,  "sequence length is out of range",
                 "data.max_length", std::to_string(settings.maxLength),
                 "4 … 16777216",    "Choose the number of tokens a sequence may have."};
  std::vector<std::string> labels = settings.labels;
  std::sort(labels.begin(), labels.end());
  if (const auto twice = std::adjacent_find(labels.begin(), labels.end()); twice != labels.end())
    return Error{ErrorCode::Usage, "a class is named twice", "data.labels",
                 shown(*twice),    "each class once",        "Remove one of the two."};
  return {};
}

}  // namespace

Result<PreparedFile> prepareFile(const fs::path& path, const DataSettings& settings, const Tokenizer* tokenizer,
                                 const PrepareOptions& options) {
  if (Result<void> sound = checkSettings(settings); !sound) return sound.error();
  const bool documents = dataTaskEntry(settings.task).documents;
  const bool labelsOpen = hasClasses(settings.task) && settings.labels.empty();
  FileLoader loader(path, settings, tokenizer, options, settings.labels,
                    documents || labelsOpen ? 0 : settings.evalLimit);
  Result<PreparedFile> file = loader.load();
  if (!file) return file;
  if (documents) file->set = blocksOf(file->set, *tokenizer, settings, file->statistics);
  limit(file->set, settings.evalLimit);
  return file;
}

Result<PreparedData> prepareData(const DataSettings& settings, const Tokenizer* tokenizer,
                                 const PrepareOptions& options) {
  if (Result<void> sound = checkSettings(settings); !sound) return sound.error();
  const bool documents = dataTaskEntry(settings.task).documents;
  const bool split = settings.eval.empty() && settings.evalFraction > 0;
  const bool labelsOpen = hasClasses(settings.task) && settings.labels.empty();
  FileLoader loader(settings.train, settings, tokenizer, options, settings.labels,
                    documents || labelsOpen || split ? 0 : settings.trainLimit);
  Result<PreparedFile> train = loader.load();
  if (!train) return train.error();

  PreparedData data;
  data.labels = train->labels;
  data.trainProblems = std::move(train->problems);
  data.trainHash = train->contentHash;
  data.roles = train->roles;
  data.format = train->format;
  data.trainStatistics = train->statistics;
  if (!split && documents) {
    data.train = blocksOf(train->set, *tokenizer, settings, data.trainStatistics);
  } else if (!split) {
    data.train = std::move(train->set);
  } else if (!documents) {
    std::tie(data.train, data.eval) = splitBySeed(train->set, settings);
  } else if (train->set.size() >= kDocumentsToSplit) {
    const auto [trainDocuments, evalDocuments] = splitBySeed(train->set, settings);
    data.train = blocksOf(trainDocuments, *tokenizer, settings, data.trainStatistics);
    data.eval = blocksOf(evalDocuments, *tokenizer, settings, data.evalStatistics);
  } else {
    // A few long texts: their end is held out, so that no training block lies beside an evaluation block but one.
    const TokenizedSet blocks = blocksOf(train->set, *tokenizer, settings, data.trainStatistics);
    const size_t held = evalCount(blocks.size(), settings.evalFraction);
    std::vector<uint32_t> all(blocks.size());
    std::iota(all.begin(), all.end(), 0u);
    data.train = blocks.subset(std::span(all).first(blocks.size() - held));
    data.eval = blocks.subset(std::span(all).last(held));
  }
  limit(data.train, settings.trainLimit);
  if (settings.task == DataTask::MultipleChoice) data.train = rightChoices(data.train);

  if (!settings.eval.empty()) {
    DataSettings evalSettings = settings;
    evalSettings.labels = data.labels;
    Result<PreparedFile> eval = prepareFile(settings.eval, evalSettings, tokenizer, options);
    if (!eval) return eval.error();
    data.eval = std::move(eval->set);
    data.evalStatistics = std::move(eval->statistics);
    data.evalProblems = std::move(eval->problems);
    data.evalHash = std::move(eval->contentHash);
  } else {
    limit(data.eval, settings.evalLimit);
  }
  if (data.train.empty())
    return Error{ErrorCode::BadInput,     "the data is too small to train on",
                 settings.train.string(), "",
                 "at least one sequence", "Give more data, or set data.eval_fraction to 0."};
  return data;
}

}  // namespace rankscope
