#include "core/train/packing.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace rankscope {

namespace {

// Tokens ahead of the first one that is to be predicted; the whole text where there is no prompt.
int64_t promptLength(const ExampleView& example) {
  size_t length = 1;
  while (length < example.lossMask.size() && !example.lossMask[length]) ++length;
  return static_cast<int64_t>(length > 1 ? length : example.length());
}

}  // namespace

PackedBatch packExamples(const TokenizedSet& set, std::span<const uint32_t> indices, DataTask task,
                         const TokenMasking* masking, uint64_t draw, const ImageAugmentation* augmentation) {
  int64_t total = 0;
  bool typed = false;
  for (uint32_t index : indices) {
    const ExampleView example = set[index];
    total += static_cast<int64_t>(example.length());
    typed |= !example.typeIds.empty();
  }
  const bool masked = task == DataTask::MaskedLm, spans = task == DataTask::QuestionAnswering;
  const bool perToken = masked || task == DataTask::CausalLm || task == DataTask::Instruction || task == DataTask::MultipleChoice;
  const auto count = static_cast<int64_t>(indices.size());

  PackedBatch batch;
  batch.inputIds = at::empty({total}, at::kLong);
  batch.positionIds = at::empty({total}, at::kLong);
  if (typed) batch.tokenTypeIds = at::zeros({total}, at::kLong);
  if (perToken)
    batch.labels = at::empty({total}, at::kLong);
  else if (spans)
    batch.labels = at::empty({count, 2}, at::kLong);
  else
    batch.labels = at::empty({count}, task == DataTask::Regression ? at::kFloat : at::kLong);
  auto* ids = batch.inputIds.mutable_data_ptr<int64_t>();
  auto* positions = batch.positionIds.mutable_data_ptr<int64_t>();
  auto* types = typed ? batch.tokenTypeIds.mutable_data_ptr<int64_t>() : nullptr;
  auto* tokenLabels = perToken ? batch.labels.mutable_data_ptr<int64_t>() : nullptr;

  batch.starts.reserve(indices.size() + 1);
  batch.starts.push_back(0);
  int64_t at = 0;
  for (size_t s = 0; s < indices.size(); ++s) {
    const ExampleView example = set[indices[s]];
    const size_t length = example.length();
    MaskedExample hidden;
    if (masked && masking) hidden = maskExample(example, *masking, draw, indices[s]);
    for (size_t i = 0; i < length; ++i, ++at) {
      ids[at] = hidden.ids.empty() ? example.ids[i] : hidden.ids[i];
      positions[at] = static_cast<int64_t>(i);
      if (types && !example.typeIds.empty()) types[at] = example.typeIds[i];
      if (masked) tokenLabels[at] = hidden.labels.empty() ? kIgnoreLabel : hidden.labels[i];
      else if (tokenLabels) tokenLabels[at] = i + 1 < length ? example.label(i + 1) : kIgnoreLabel;
    }
    if (spans)
      std::copy(example.answer.begin(), example.answer.end(),
                batch.labels.mutable_data_ptr<int64_t>() + 2 * static_cast<int64_t>(s));
    else if (hasClasses(task))
      batch.labels.mutable_data_ptr<int64_t>()[s] = example.classLabel;
    else if (task == DataTask::Regression)
      batch.labels.mutable_data_ptr<float>()[s] = example.target;
    batch.starts.push_back(at);
    if (perToken && !masked) batch.prompts.push_back(promptLength(example));
  }
  if (set.images()) {
    const std::vector<int32_t> places(ids, ids + total);
    batch.pixels = imagePixels(*set.images(), places, augmentation, draw);
  }
  return batch;
}

std::vector<std::vector<uint32_t>> evaluationGroups(const TokenizedSet& set, size_t sequences, size_t tokens) {
  std::vector<std::vector<uint32_t>> groups;
  size_t inGroup = 0;
  for (size_t i = 0; i < set.size(); ++i) {
    const size_t length = set.length(i);
    if (groups.empty() || groups.back().size() >= std::max<size_t>(1, sequences) || inGroup + length > tokens) {
      groups.emplace_back();
      inGroup = 0;
    }
    groups.back().push_back(static_cast<uint32_t>(i));
    inGroup += length;
  }
  return groups;
}

PackedBatch packSequence(std::span<const int32_t> ids) {
  PackedBatch batch;
  const auto count = static_cast<int64_t>(ids.size());
  batch.inputIds = at::empty({count}, at::kLong);
  std::copy(ids.begin(), ids.end(), batch.inputIds.mutable_data_ptr<int64_t>());
  batch.positionIds = at::arange(count, at::kLong);
  batch.starts = {0, count};
  return batch;
}

}  // namespace rankscope
