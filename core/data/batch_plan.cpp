#include "core/data/batch_plan.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace rankscope {
namespace {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ull;

}  // namespace

uint64_t SplitMix64::next() {
  m_state += kGolden;
  uint64_t z = m_state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

uint64_t SplitMix64::below(uint64_t bound) {
  __extension__ typedef unsigned __int128 Wide;
  Wide product = static_cast<Wide>(next()) * bound;
  if (static_cast<uint64_t>(product) < bound) {
    const uint64_t reject = (0 - bound) % bound;
    while (static_cast<uint64_t>(product) < reject) product = static_cast<Wide>(next()) * bound;
  }
  return static_cast<uint64_t>(product >> 64);
}

std::vector<uint32_t> permutation(uint32_t count, uint64_t seed, uint64_t stream) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  // The seed is mixed first, so that (seed, stream + 1) and (seed + golden, stream) are unrelated.
  SplitMix64 draws(SplitMix64(seed).next() + kGolden * (stream + 1));
  for (uint32_t i = count; i > 1; --i) std::swap(order[i - 1], order[draws.below(i)]);
  return order;
}

BatchPlan::BatchPlan(size_t examples, size_t batchSize, uint64_t seed, bool shuffle)
    : m_examples(examples), m_batchSize(std::max<size_t>(batchSize, 1)), m_seed(seed), m_shuffle(shuffle) {
  m_batches = static_cast<int64_t>((examples + m_batchSize - 1) / m_batchSize);
}

BatchPlan::Position BatchPlan::at(int64_t number) const {
  if (m_batches == 0) return {};
  return {number / m_batches, number % m_batches};
}

size_t BatchPlan::sizeOf(int64_t number) const {
  const size_t begin = static_cast<size_t>(at(number).batch) * m_batchSize;
  return std::min(m_batchSize, m_examples - std::min(begin, m_examples));
}

std::span<const uint32_t> BatchPlan::batch(int64_t number) {
  if (m_batches == 0) return {};
  const Position position = at(number);
  if (position.epoch != m_epoch) {
    if (m_shuffle) {
      m_order = permutation(static_cast<uint32_t>(m_examples), m_seed, static_cast<uint64_t>(position.epoch));
    } else if (m_order.empty()) {
      m_order.resize(m_examples);
      std::iota(m_order.begin(), m_order.end(), 0u);
    }
    m_epoch = position.epoch;
  }
  return std::span<const uint32_t>(m_order).subspan(static_cast<size_t>(position.batch) * m_batchSize, sizeOf(number));
}

}  // namespace rankscope
