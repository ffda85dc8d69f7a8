#include "core/models/insertion.h"

#include <ATen/ATen.h>

namespace rankscope {

PrefixLayout::PrefixLayout(int64_t length, const PackedBatch& batch) : m_length(length) {
  const int64_t sequences = batch.sequences(), total = batch.tokens() + sequences * length;
  std::vector<int64_t> gather, real;
  gather.reserve(static_cast<size_t>(total));
  real.reserve(static_cast<size_t>(batch.tokens()));
  m_starts.push_back(0);
  for (size_t s = 0; s < static_cast<size_t>(sequences); ++s) {
    for (int64_t i = 0; i < length; ++i) gather.push_back(i);
    for (int64_t t = batch.starts[s]; t < batch.starts[s + 1]; ++t) {
      real.push_back(static_cast<int64_t>(gather.size()));
      gather.push_back(length + t);
    }
    m_starts.push_back(static_cast<int64_t>(gather.size()));
  }
  const at::Device device = batch.positionIds.device();
  m_gather = at::tensor(gather, at::kLong).to(device);
  m_real = at::tensor(real, at::kLong).to(device);
  m_positions = at::zeros({total}, batch.positionIds.options()).index_copy_(0, m_real, batch.positionIds + length);
}

at::Tensor PrefixLayout::extended(const at::Tensor& qkv, const at::Tensor& prefix) const {
  const at::Tensor queries = at::zeros({m_length, qkv.size(1) - prefix.size(1)}, qkv.options());
  return at::cat({at::cat({queries, prefix.to(qkv.scalar_type())}, 1), qkv}, 0).index_select(0, m_gather);
}

PackedBatch behindPrefix(const PackedBatch& batch, int64_t length) {
  PackedBatch moved = batch;
  if (length > 0) moved.positionIds = batch.positionIds + length;
  return moved;
}

std::vector<int64_t> promptLengths(const PackedBatch& batch) {
  if (!batch.prompts.empty()) return batch.prompts;
  std::vector<int64_t> lengths;
  for (size_t s = 0; s + 1 < batch.starts.size(); ++s) lengths.push_back(batch.starts[s + 1] - batch.starts[s]);
  return lengths;
}

}  // namespace rankscope
