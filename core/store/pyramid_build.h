#pragma once
// Pieces shared by the pyramid in memory and the one in the store's chunks.

#include <utility>
#include <vector>

#include "core/store/pyramid.h"

namespace rankscope {

std::vector<Bucket> pointBuckets(const std::vector<double>& x, const std::vector<double>& values, int64_t firstIndex);
std::vector<Bucket> blockBuckets(const std::vector<Bucket>& fine, int64_t factor);

// Merges buckets, given in order, that start in the same of `columns` equal columns of [x0, x1]; what starts outside
// stays apart on its side.
class BucketCollapser {
 public:
  BucketCollapser(double x0, double x1, int64_t columns);
  void add(const Bucket& next);
  std::vector<Bucket> take() { return std::move(m_buckets); }

 private:
  double m_x0, m_x1, m_scale = 0;
  int64_t m_columns, m_column = 0;
  std::vector<Bucket> m_buckets;
};

}  // namespace rankscope
