#include "core/models/decode.h"

#include <ATen/ops/scaled_dot_product_attention.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/config/result.h"

namespace rankscope {

namespace {

at::Tensor indexTensor(const std::vector<int64_t>& values, const at::Device& device) {
  return at::tensor(values, at::kLong).to(device);
}

// x [T, heads, D] turned by the angles (halves convention), in float32.
at::Tensor rotated(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  if (!cos.defined()) return x;
  const auto half = x.size(2) / 2;
  const auto f = x.to(cos.scalar_type()), a = f.narrow(2, 0, half), b = f.narrow(2, half, half);
  const auto c = cos.unsqueeze(1), s = sin.unsqueeze(1);
  return at::cat({a * c - b * s, b * c + a * s}, 2).to(x.scalar_type());
}

}  // namespace

void DecodeCache::reserve(int64_t tokens) {
  if (tokens <= capacity) return;
  const auto wider = std::max(tokens, 2 * capacity);
  for (auto* side : {&keys, &values})
    for (auto& tensor : *side) {
      auto sizes = tensor.sizes().vec();
      sizes[1] = wider;
      const auto next = at::zeros(sizes, tensor.options());
      next.narrow(1, 0, capacity).copy_(tensor);
      tensor = next;
    }
  capacity = wider;
}

void DecodeCache::reorder(const std::vector<int64_t>& source) {
  std::vector<int64_t> from, to, held(lengths);
  int64_t used = 0;
  for (size_t i = 0; i < source.size(); ++i) {
    const auto parent = source[i];
    held[i] = lengths.at(static_cast<size_t>(parent));
    if (parent == static_cast<int64_t>(i)) continue;
    from.push_back(parent);
    to.push_back(static_cast<int64_t>(i));
    used = std::max(used, held[i]);
  }
  lengths = std::move(held);
  if (from.empty() || keys.empty()) return;
  const auto device = keys.front().device();
  const auto take = indexTensor(from, device), put = indexTensor(to, device);
  for (auto* side : {&keys, &values})
    for (auto& tensor : *side) {
      auto part = tensor.narrow(1, 0, used);
      part.index_copy_(0, put, part.index_select(0, take));
    }
}

DecodeStep::DecodeStep(DecodeCache& cache, const std::vector<int64_t>& rows, const PackedBatch& batch, at::Tensor cos,
                       at::Tensor sin)
    : m_cache(cache), m_rows(rows), m_starts(batch.starts), m_cos(std::move(cos)), m_sin(std::move(sin)) {
  if (rows.size() != static_cast<size_t>(batch.sequences()))
    throw ErrorException({ErrorCode::Internal, "the cache's rows do not fit the batch", "generation",
                          fmt::format("{} rows", rows.size()), fmt::format("{}", batch.sequences()),
                          "This is a defect of the caller."});
  bool inOrder = true;
  int64_t needed = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto held = cache.lengths.at(static_cast<size_t>(rows[i])), fresh = m_starts[i + 1] - m_starts[i];
    m_held.push_back(held);
    m_empty &= held == 0;
    m_single &= fresh == 1;
    m_even &= held == m_held.front();
    inOrder &= rows[i] == static_cast<int64_t>(i);
    needed = std::max(needed, held + fresh);
  }
  m_longest = needed;
  m_cache.reserve(needed);
  std::vector<int64_t> slots;
  for (size_t i = 0; i < rows.size(); ++i)
    for (int64_t k = 0; k < m_starts[i + 1] - m_starts[i]; ++k)
      slots.push_back(rows[i] * m_cache.capacity + m_held[i] + k);
  const auto device = batch.inputIds.device();
  m_slots = indexTensor(slots, device);
  m_positions = indexTensor(m_held, device);
  if (!inOrder) m_rowIndex = indexTensor(rows, device);
}

const at::Tensor& DecodeStep::mask(int64_t window, const at::TensorOptions& options) {
  for (const auto& [width, made] : m_masks)
    if (width == window) return made;
  const auto places = at::arange(m_longest, m_positions.options()).unsqueeze(0), own = m_positions.unsqueeze(1);
  auto hidden = places.gt(own);
  if (window > 0) hidden = hidden.logical_or(places.le(own - window));
  auto made = at::zeros(hidden.sizes(), options).masked_fill_(hidden, -std::numeric_limits<double>::infinity());
  m_masks.emplace_back(window, made.unsqueeze(1).unsqueeze(1));
  return m_masks.back().second;
}

// One fresh token a row: all rows in one product. The query heads of a key head stand where its queries would.
at::Tensor DecodeStep::single(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                              const kernels::AttentionSpec& spec) {
  const auto count = static_cast<int64_t>(m_rows.size()), groups = spec.heads / spec.kvHeads;
  const auto rowsOf = [&](const at::Tensor& side) {
    const auto chosen = m_rowIndex.defined() ? side.narrow(1, 0, m_longest).index_select(0, m_rowIndex)
                                             : side.narrow(0, 0, count).narrow(1, 0, m_longest);
    return chosen.transpose(1, 2);
  };
  const auto queries = q.view({count, spec.kvHeads, groups, spec.headDim});
  std::optional<at::Tensor> hidden;
  if (!m_even || (spec.window > 0 && spec.window < m_longest))
    hidden = mask(spec.window, q.options()).expand({count, spec.kvHeads, groups, m_longest});
  return at::scaled_dot_product_attention(queries, rowsOf(keys), rowsOf(values), hidden, 0.0, false, spec.scale)
      .reshape({count, spec.heads * spec.headDim});
}

// Several fresh tokens behind held ones: row by row.
at::Tensor DecodeStep::several(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                               const kernels::AttentionSpec& spec) const {
  auto out = at::empty({q.size(0), spec.heads * spec.headDim}, q.options());
  const auto groups = spec.heads / spec.kvHeads;
  for (size_t i = 0; i < m_rows.size(); ++i) {
    const auto begin = m_starts[i], fresh = m_starts[i + 1] - begin, total = m_held[i] + fresh;
    const auto side = [&](const at::Tensor& all) {
      return all.select(0, m_rows[i]).narrow(0, 0, total).transpose(0, 1).repeat_interleave(groups, 0).unsqueeze(0);
    };
    const auto own = (at::arange(fresh, m_positions.options()) + m_held[i]).unsqueeze(1);
    const auto places = at::arange(total, m_positions.options()).unsqueeze(0);
    auto seen = places.le(own);
    if (spec.window > 0) seen = seen.logical_and(places.gt(own - spec.window));
    const auto queries = q.narrow(0, begin, fresh).transpose(0, 1).unsqueeze(0);
    const auto mixed = at::scaled_dot_product_attention(queries, side(keys), side(values),
                                                        seen.unsqueeze(0).unsqueeze(0), 0.0, false, spec.scale);
    out.narrow(0, begin, fresh).copy_(mixed.squeeze(0).transpose(0, 1).reshape({fresh, -1}));
  }
  return out;
}

at::Tensor DecodeStep::attend(size_t layer, const at::Tensor& qkv, const kernels::AttentionSpec& spec) {
  const auto tokens = qkv.size(0), qWidth = spec.heads * spec.headDim, kvWidth = spec.kvHeads * spec.headDim;
  const auto part = [&](int64_t at, int64_t width, int64_t heads) {
    return qkv.narrow(1, at, width).reshape({tokens, heads, spec.headDim});
  };
  auto& keys = m_cache.keys.at(layer);
  auto& values = m_cache.values.at(layer);
  const auto store = [&](at::Tensor& side, const at::Tensor& fresh) {
    side.view({-1, spec.kvHeads, spec.headDim}).index_copy_(0, m_slots, fresh);
  };
  store(keys, rotated(part(qWidth, kvWidth, spec.kvHeads), m_cos, m_sin));
  store(values, part(qWidth + kvWidth, kvWidth, spec.kvHeads));
  if (m_empty) return kernels::packedAttention(qkv, m_starts, m_cos, m_sin, spec);
  const auto q = rotated(part(0, qWidth, spec.heads), m_cos, m_sin);
  return m_single ? single(q, keys, values, spec) : several(q, keys, values, spec);
}

void DecodeStep::finish() {
  for (size_t i = 0; i < m_rows.size(); ++i)
    m_cache.lengths[static_cast<size_t>(m_rows[i])] += m_starts[i + 1] - m_starts[i];
}

}  // namespace rankscope
