#pragma once
// From the data options of a run to tokenised training and evaluation sets. One call, any thread; tokenises on several
// threads with the same result as on one.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/data/example.h"
#include "core/data/image_settings.h"
#include "core/data/roles.h"
#include "core/data/table.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"

namespace rankscope {

class RunConfig;
struct Places;

struct DataSettings {
  DataTask task = DataTask::CausalLm;
  std::filesystem::path train, eval;  // eval empty: a part of train
  double evalFraction = 0.1;
  uint64_t trainLimit = 0, evalLimit = 0;  // examples; 0 = all
  TableOptions table;
  ColumnRoles columns;              // columns.promptTemplate = data.template
  std::vector<std::string> labels;  // empty: the distinct values of train, sorted
  std::optional<ChatTemplate> chatTemplate;  // of instructions and conversations
  bool lossOnLastTurn = false;               // of a conversation; else on all that an assistant says
  int64_t maxLength = 256;          // tokens a sequence, special ones included
  int64_t docStride = 128;          // tokens that two windows of one long context share
  double maskShare = 0.15;          // masked words: for previews
  ImageSettings image;              // images: how the model wants them (core/train/model_inputs.h)
  uint64_t seed = 0;                // of the split

  // The data.* keys, paths resolved.
  static Result<DataSettings> fromConfig(const RunConfig& config, const Places& places);
};

struct PrepareOptions {
  int threads = 0;                     // 0 = as many as there are processors
  std::filesystem::path cacheFolder;   // empty: no cache
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(double share, const std::string& what)> progress;  // called from the calling thread
};

struct LengthHistogram {
  std::vector<int64_t> edges;    // counts[i] covers edges[i] ≤ length < edges[i + 1]
  std::vector<uint64_t> counts;
};

struct DataStatistics {
  uint64_t rows = 0;            // read from the file
  uint64_t examples = 0;        // before limits and split
  uint64_t tokens = 0;          // before cutting; an image counts as one
  uint64_t tokensLost = 0;      // cut off at maxLength
  uint64_t overLimit = 0;       // examples that were cut
  std::vector<uint64_t> lengthCounts;  // lengthCounts[n] = examples of n tokens before cutting; longer ones in the last
  void count(size_t tokensOfExample, size_t lost);
  double lostShare() const { return tokens == 0 ? 0 : static_cast<double>(tokensLost) / static_cast<double>(tokens); }
  LengthHistogram histogram(size_t bins = 24) const;
};

struct PreparedFile {
  TokenizedSet set;                 // examples; blocks for plain text
  std::vector<std::string> labels;  // classification: class i is labels[i]
  DataStatistics statistics;
  ProblemList problems;
  std::string contentHash;  // SHA-256 of the file's bytes
  ColumnRoles roles;        // as used
  DataFormat format = DataFormat::Text;
};

struct PreparedData {
  TokenizedSet train, eval;
  std::vector<std::string> labels;  // class i is labels[i]; empty for other tasks
  DataStatistics trainStatistics, evalStatistics;
  ProblemList trainProblems, evalProblems;
  std::string trainHash, evalHash;  // content; evalHash empty when split off train
  ColumnRoles roles;
  DataFormat format = DataFormat::Text;
};

// `tokenizer` is null for a task that reads images.
Result<PreparedData> prepareData(const DataSettings& settings, const Tokenizer* tokenizer,
                                 const PrepareOptions& options = {});
inline Result<PreparedData> prepareData(const DataSettings& settings, const Tokenizer& tokenizer,
                                        const PrepareOptions& options = {}) {
  return prepareData(settings, &tokenizer, options);
}
// One file alone, without a split (rankscope-train eval). settings.labels as trained; empty: from the file. `limit` as
// settings.evalLimit.
Result<PreparedFile> prepareFile(const std::filesystem::path& path, const DataSettings& settings,
                                 const Tokenizer* tokenizer, const PrepareOptions& options = {});
inline Result<PreparedFile> prepareFile(const std::filesystem::path& path, const DataSettings& settings,
                                        const Tokenizer& tokenizer, const PrepareOptions& options = {}) {
  return prepareFile(path, settings, &tokenizer, options);
}

// One example for people: its tokens as text, which of them count in the loss, its class; or its image as the model sees
// it, no side longer than kPreviewSide.
struct PreviewToken {
  std::string text;
  int32_t id = 0;
  bool label = false;
};
struct PreviewRow {
  std::vector<PreviewToken> tokens;
  uint64_t row = 0;
  size_t length = 0;
  bool truncated = false;
  std::string label;  // class name, target, answer or number of the right choice; "" for language models
  Image image;        // empty for text
};
inline constexpr int64_t kPreviewSide = 96;
PreviewRow previewExample(const ExampleView& example, const Tokenizer* tokenizer, DataTask task,
                          const std::vector<std::string>& labels);
// The first rows of a set. Masked words are shown with what the first draw hides.
std::vector<PreviewRow> previewRows(const TokenizedSet& set, size_t rows, const Tokenizer* tokenizer,
                                    const DataSettings& settings, const std::vector<std::string>& labels);

}  // namespace rankscope
