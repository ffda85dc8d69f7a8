#pragma once
// Min/max summaries of a curve, so that a plot of any length costs what its pixels cost and never hides a peak: level k
// summarises blocks of 16^k points. SeriesPyramid is the same thing in memory for views that keep curves (pan and zoom
// without touching the store); Store::readSeriesRange answers the same question from the packed chunks.
// Plain values, no thread of their own.

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace rankscope {

enum class Axis { Step, Epoch, Tokens, Seconds };

// A run of neighbouring points [index, index + count). min, max, sum, first and last are over its finite values;
// without one they are NaN (sum 0). x0 and x1 are the axis at its first and its last point.
struct Bucket {
  double x0 = 0, x1 = 0;
  double first = std::numeric_limits<double>::quiet_NaN(), last = first, min = first, max = first;
  double sum = 0;
  int64_t index = 0, count = 0, finite = 0;
  double mean() const { return finite > 0 ? sum / static_cast<double>(finite) : first; }
};
// Appends the points of `next`, which must follow those of `bucket`.
void mergeBucket(Bucket& bucket, const Bucket& next);

inline constexpr int64_t kPyramidFactor = 16;

class SeriesPyramid {
 public:
  SeriesPyramid() = default;
  SeriesPyramid(std::vector<double> x, std::vector<double> values);

  // x must not decrease; a smaller one is taken as the one before, so that ranges can be found by bisection.
  void append(double x, double value);
  void clear();
  int64_t size() const { return static_cast<int64_t>(m_x.size()); }
  const std::vector<double>& x() const { return m_x; }
  const std::vector<double>& values() const { return m_values; }

  // Neighbouring buckets that together hold every point with x0 <= x <= x1 and one neighbour on either side (so that
  // lines enter the picture from outside); about maxBuckets of them at most, single points where there are few.
  std::vector<Bucket> range(double x0, double x1, int64_t maxBuckets) const;
  Bucket summary(int64_t begin, int64_t end) const;  // exact over any index range, in O(log n)

 private:
  struct Block {
    double first, last, min, max, sum;
    int64_t finite;
  };
  void closeBlocks();
  Bucket blockAt(int64_t i, size_t level, int64_t span) const;
  std::vector<double> m_x, m_values;
  std::vector<std::vector<Block>> m_levels;  // m_levels[k] holds complete blocks of 16^(k+1) points
};

}  // namespace rankscope
