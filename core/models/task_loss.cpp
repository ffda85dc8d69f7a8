#include "core/models/task_loss.h"

#include <fmt/format.h>

#include "core/config/result.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

at::Tensor indexTensor(const std::vector<int64_t>& values, const at::Device& device) {
  auto result = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), result.data_ptr<int64_t>());
  return result.to(device);
}

[[noreturn]] void badBatch(const std::string& what, const std::string& found, const std::string& expected,
                           const std::string& hint) {
  throw ErrorException({ErrorCode::BadInput, what, "batch", found, expected, hint});
}

}  // namespace

at::Tensor classificationLoss(const at::Tensor& logits, const at::Tensor& labels, double normaliser) {
  if (logits.size(1) > 1) return kernels::crossEntropy(logits, labels, normaliser);
  const auto values = logits.squeeze(1);
  const auto difference = values - labels.to(values.scalar_type());
  const auto count = static_cast<double>(std::max<int64_t>(labels.numel(), 1));
  return difference.square().sum() / (normaliser > 0 ? normaliser : count);
}

at::Tensor spanLoss(const at::Tensor& logits, const PackedBatch& batch, double normaliser) {
  if (batch.labels.dim() != 2 || batch.labels.size(0) != batch.sequences() || batch.labels.size(1) != 2)
    badBatch("labels of answer spans", c10::str(batch.labels.sizes()), fmt::format("[{}, 2]", batch.sequences()),
             "This is a defect of the batch's maker.");
  const auto labels = batch.labels.to(at::kCPU, at::kLong).contiguous();
  auto total = logits.sum() * 0;
  for (const int64_t end : {0, 1}) {
    std::vector<at::Tensor> picked;
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      const auto begin = batch.starts[static_cast<size_t>(s)];
      const auto length = batch.starts[static_cast<size_t>(s) + 1] - begin;
      const auto place = labels.data_ptr<int64_t>()[2 * s + end];
      if (place < 0 || place >= length) continue;
      const auto own = logits.narrow(0, begin, length).select(1, end);
      picked.push_back(at::logsumexp(own, 0) - own.select(0, place));
    }
    if (picked.empty()) continue;
    const auto count = normaliser > 0 ? normaliser : static_cast<double>(picked.size());
    total = total + at::stack(picked).sum() / (2 * count);
  }
  return total;
}

at::Tensor firstTokens(const PackedBatch& batch) {
  return indexTensor({batch.starts.begin(), batch.starts.end() - 1}, batch.inputIds.device());
}

at::Tensor lastTokens(const PackedBatch& batch) {
  std::vector<int64_t> last;
  for (size_t i = 1; i < batch.starts.size(); ++i) last.push_back(batch.starts[i] - 1);
  return indexTensor(last, batch.inputIds.device());
}

at::Tensor labelledRows(const at::Tensor& labels) {
  const auto rows = at::nonzero(labels.ge(0)).squeeze(1);
  return rows.numel() * 10 > labels.numel() * 9 ? at::Tensor() : rows;
}

void checkBatch(const PackedBatch& batch, int64_t vocabSize, int64_t maxPositions) {
  const auto& starts = batch.starts;
  if (starts.size() < 2 || starts.front() != 0)
    badBatch("a batch without sequences", std::to_string(starts.size()), "at least one sequence",
             "Check that the data set has rows left after filtering.");
  for (size_t i = 1; i < starts.size(); ++i)
    if (starts[i] <= starts[i - 1])
      badBatch("an empty sequence", fmt::format("sequence {}", i - 1), "at least one token",
               "Remove rows without text from the data.");
  if (batch.inputIds.dim() != 1 || batch.inputIds.size(0) != batch.tokens() ||
      batch.positionIds.sizes() != batch.inputIds.sizes())
    badBatch("tokens and boundaries disagree", fmt::format("{} tokens", batch.inputIds.numel()),
             fmt::format("{} by the boundaries", batch.tokens()), "This is a defect of the batch's maker.");
  const auto [lowId, highId] = at::aminmax(batch.inputIds);
  if (lowId.item<int64_t>() < 0 || highId.item<int64_t>() >= vocabSize)
    badBatch("a token that the model does not know",
             fmt::format("ids {} to {}", lowId.item<int64_t>(), highId.item<int64_t>()),
             fmt::format("0 to {}", vocabSize - 1), "Use the tokenizer that belongs to this model.");
  if (maxPositions > 0) {
    const auto [lowPosition, highPosition] = at::aminmax(batch.positionIds);
    if (lowPosition.item<int64_t>() < 0 || highPosition.item<int64_t>() >= maxPositions)
      badBatch("a sequence longer than the model's positions",
               fmt::format("position {}", highPosition.item<int64_t>()), fmt::format("at most {}", maxPositions - 1),
               "Lower data.max_length to the model's maximum.");
  }
}

}  // namespace rankscope
