#pragma once
// Which sequences form which batch. The order is a function of (seed, epoch) alone, the same on every machine and for
// every thread count, so that a run resumes at any batch by its number. A value; const use from any thread.
//
// Permutation of epoch e: Fisher-Yates from the last element down, position i swapped with a uniform draw below i + 1.
// Draws come from SplitMix64 (Steele, Lea and Flood 2014) started at mix(seed) + golden·(e + 1), bounded without bias by
// rejecting the top of the range (Lemire 2019).

#include <cstdint>
#include <span>
#include <vector>

namespace rankscope {

class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t state) : m_state(state) {}
  uint64_t next();
  uint64_t below(uint64_t bound);  // uniform in [0, bound); bound > 0

 private:
  uint64_t m_state;
};

// The permutation of 0 … count-1 for this seed and stream (an epoch's number).
std::vector<uint32_t> permutation(uint32_t count, uint64_t seed, uint64_t stream);

class BatchPlan {
 public:
  struct Position {
    int64_t epoch = 0;
    int64_t batch = 0;  // within the epoch
  };

  BatchPlan() = default;
  // The last batch of an epoch is smaller when batchSize does not divide examples.
  BatchPlan(size_t examples, size_t batchSize, uint64_t seed, bool shuffle);

  int64_t batchesPerEpoch() const { return m_batches; }
  size_t examples() const { return m_examples; }
  size_t batchSize() const { return m_batchSize; }
  // `number` counts batches (micro-batches) from 0 over all epochs.
  Position at(int64_t number) const;
  // Indices of the batch's examples. Keeps the order of the last epoch asked for.
  std::span<const uint32_t> batch(int64_t number);
  size_t sizeOf(int64_t number) const;

 private:
  size_t m_examples = 0, m_batchSize = 1;
  uint64_t m_seed = 0;
  bool m_shuffle = false;
  int64_t m_batches = 0;
  int64_t m_epoch = -1;
  std::vector<uint32_t> m_order;
};

}  // namespace rankscope
