#pragma once
// Minimum and maximum over any index range of a growing array in O(log n): level k holds blocks of 16^(k+1) values. It is
// what lets a pixel column of a long curve be drawn exactly. Values that are not finite do not count.
// The array itself stays with its owner (unlike core/store/pyramid.h, which also keeps x and sums): a plot of 50 curves
// of 100,000 points shares one copy of each column between its axes.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace rankscope::ui {

struct Extent {
  double lo = std::numeric_limits<double>::infinity();
  double hi = -std::numeric_limits<double>::infinity();
  bool empty() const { return lo > hi; }
  void add(double value) {
    if (!std::isfinite(value)) return;
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  }
  void add(const Extent& other) {
    lo = std::min(lo, other.lo);
    hi = std::max(hi, other.hi);
  }
};

class MinMaxTree {
 public:
  static constexpr size_t kFactor = 16;

  void clear() {
    m_size = 0;
    m_levels.clear();
  }
  // Takes in what was appended to `values` since the last call (which must not have changed before that).
  void grow(const std::vector<double>& values) {
    m_size = values.size();
    size_t count = m_size / kFactor;
    if (count > 0 && m_levels.empty()) m_levels.emplace_back();
    for (size_t block = m_levels.empty() ? 0 : m_levels[0].size(); block < count; ++block) {
      Extent extent;
      for (size_t i = block * kFactor; i < (block + 1) * kFactor; ++i) extent.add(values[i]);
      m_levels[0].push_back(extent);
    }
    for (size_t level = 1; (count /= kFactor) > 0; ++level) {
      if (m_levels.size() <= level) m_levels.emplace_back();
      for (size_t block = m_levels[level].size(); block < count; ++block) {
        Extent extent;
        for (size_t i = block * kFactor; i < (block + 1) * kFactor; ++i) extent.add(m_levels[level - 1][i]);
        m_levels[level].push_back(extent);
      }
    }
  }
  void rebuild(const std::vector<double>& values) {
    clear();
    grow(values);
  }

  // Over [begin, end) of the array that was handed to grow().
  Extent extent(const std::vector<double>& values, size_t begin, size_t end) const {
    Extent result;
    end = std::min(end, m_size);
    if (begin >= end) return result;
    size_t blockBegin = (begin + kFactor - 1) / kFactor, blockEnd = end / kFactor;
    if (m_levels.empty() || blockBegin >= blockEnd) {
      for (size_t i = begin; i < end; ++i) result.add(values[i]);
      return result;
    }
    for (size_t i = begin; i < blockBegin * kFactor; ++i) result.add(values[i]);
    for (size_t i = blockEnd * kFactor; i < end; ++i) result.add(values[i]);
    for (size_t level = 0; blockBegin < blockEnd; ++level) {
      const std::vector<Extent>& blocks = m_levels[level];
      const size_t upBegin = (blockBegin + kFactor - 1) / kFactor, upEnd = blockEnd / kFactor;
      if (level + 1 >= m_levels.size() || upBegin >= upEnd) {
        for (size_t i = blockBegin; i < blockEnd; ++i) result.add(blocks[i]);
        break;
      }
      for (size_t i = blockBegin; i < upBegin * kFactor; ++i) result.add(blocks[i]);
      for (size_t i = upEnd * kFactor; i < blockEnd; ++i) result.add(blocks[i]);
      blockBegin = upBegin;
      blockEnd = upEnd;
    }
    return result;
  }

 private:
  size_t m_size = 0;
  std::vector<std::vector<Extent>> m_levels;
};

}  // namespace rankscope::ui
