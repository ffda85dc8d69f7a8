// What people are shown of their data: lengths of the examples, and single rows as the model sees them.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/data/masking.h"
#include "core/data/prepare.h"
#include "core/data/task.h"

namespace rankscope {
namespace {

Image thumbnail(const ImageStore& images, int32_t index) {
  const ImageSettings& settings = images.settings();
  Image image{settings.width, settings.height, settings.channels, {}};
  image.pixels.resize(image.bytes());
  const auto planes = images.pixels(index);
  const auto plane = static_cast<size_t>(image.width * image.height), channels = static_cast<size_t>(image.channels);
  for (size_t i = 0; i < plane; ++i)
    for (size_t c = 0; c < channels; ++c) image.pixels[i * channels + c] = planes[c * plane + i];
  image = withChannels(std::move(image), 3);
  const int64_t longer = std::max(image.width, image.height);
  if (longer <= kPreviewSide) return image;
  return resizedImage(image, std::max<int64_t>(1, image.width * kPreviewSide / longer),
                      std::max<int64_t>(1, image.height * kPreviewSide / longer), Resample::Box);
}

}  // namespace

void DataStatistics::count(size_t tokensOfExample, size_t lost) {
  constexpr size_t kLongestCounted = 1 << 16;
  ++examples;
  tokens += tokensOfExample;
  tokensLost += lost;
  overLimit += lost > 0;
  const size_t place = std::min(tokensOfExample, kLongestCounted);
  if (place >= lengthCounts.size()) lengthCounts.resize(place + 1, 0);
  ++lengthCounts[place];
}

LengthHistogram DataStatistics::histogram(size_t bins) const {
  LengthHistogram result;
  if (lengthCounts.empty() || bins == 0) return result;
  const size_t width = std::max<size_t>(1, (lengthCounts.size() + bins - 1) / bins);
  for (size_t begin = 0; begin < lengthCounts.size(); begin += width) {
    result.edges.push_back(static_cast<int64_t>(begin));
    const size_t end = std::min(lengthCounts.size(), begin + width);
    result.counts.push_back(std::accumulate(lengthCounts.begin() + static_cast<std::ptrdiff_t>(begin),
                                            lengthCounts.begin() + static_cast<std::ptrdiff_t>(end), uint64_t{0}));
  }
  result.edges.push_back(result.edges.back() + static_cast<int64_t>(width));
  return result;
}

PreviewRow previewExample(const ExampleView& example, const Tokenizer* tokenizer, DataTask task,
                          const std::vector<std::string>& labels) {
  PreviewRow row;
  row.row = example.row;
  row.length = example.length();
  row.truncated = example.truncated;
  if (example.images) row.image = thumbnail(*example.images, example.ids.front());
  for (size_t i = 0; tokenizer && i < example.length(); ++i)
    row.tokens.push_back(
        {tokenizer->idToPiece(example.ids[i]), example.ids[i], i > 0 && example.label(i) != kIgnoreLabel});
  if (hasClasses(task) && example.classLabel >= 0 &&
      static_cast<size_t>(example.classLabel) < labels.size())
    row.label = labels[static_cast<size_t>(example.classLabel)];
  if (task == DataTask::Regression) row.label = fmt::format("{}", example.target);
  if (task == DataTask::MultipleChoice) row.label = fmt::format("choice {}", example.classLabel + 1);
  return row;
}

std::vector<PreviewRow> previewRows(const TokenizedSet& set, size_t rows, const Tokenizer* tokenizer,
                                    const DataSettings& settings, const std::vector<std::string>& labels) {
  std::vector<PreviewRow> shownRows;
  Result<TokenMasking> masking = settings.task == DataTask::MaskedLm
                                     ? TokenMasking::make(*tokenizer, settings.maskShare, settings.seed)
                                     : Result<TokenMasking>(TokenMasking{});
  const size_t count = std::min(rows, set.size());
  for (size_t i = 0; i < count; ++i) {
    // Images of a class lie together: they are taken from all over the set.
    ExampleView example = set[set.images() ? i * set.size() / count : i];
    MaskedExample hidden;
    std::vector<uint8_t> asked;
    if (settings.task == DataTask::MaskedLm && masking) {
      hidden = maskExample(example, *masking, 0, i);
      for (const int32_t label : hidden.labels) asked.push_back(label != kIgnoreLabel);
      example.ids = hidden.ids;
      example.lossMask = asked;
    }
    shownRows.push_back(previewExample(example, tokenizer, settings.task, labels));
    const QuestionText* question = set.question(example.row);
    if (!question || example.answer[1] <= 0) continue;
    const size_t begin = example.offsets[static_cast<size_t>(example.answer[0])].begin;
    const size_t end = example.offsets[static_cast<size_t>(example.answer[1])].end;
    shownRows.back().label = question->context->substr(begin, end - begin);
  }
  return shownRows;
}

}  // namespace rankscope
