#include "core/store/pyramid.h"

#include <algorithm>
#include <cmath>

#include "core/store/pyramid_build.h"

namespace rankscope {
namespace {

Bucket pointBucket(double x, double value, int64_t index) {
  Bucket bucket;
  bucket.x0 = bucket.x1 = x;
  bucket.index = index;
  bucket.count = 1;
  if (std::isfinite(value)) {
    bucket.first = bucket.last = bucket.min = bucket.max = bucket.sum = value;
    bucket.finite = 1;
  }
  return bucket;
}

}  // namespace

void mergeBucket(Bucket& bucket, const Bucket& next) {
  if (bucket.count == 0) {
    bucket = next;
    return;
  }
  bucket.x1 = next.x1;
  bucket.count += next.count;
  if (next.finite == 0) return;
  if (bucket.finite == 0) {
    bucket.first = next.first;
    bucket.min = next.min;
    bucket.max = next.max;
  } else {
    bucket.min = std::min(bucket.min, next.min);
    bucket.max = std::max(bucket.max, next.max);
  }
  bucket.last = next.last;
  bucket.sum += next.sum;
  bucket.finite += next.finite;
}

std::vector<Bucket> pointBuckets(const std::vector<double>& x, const std::vector<double>& values, int64_t firstIndex) {
  std::vector<Bucket> buckets;
  buckets.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    buckets.push_back(pointBucket(x[i], values[i], firstIndex + static_cast<int64_t>(i)));
  return buckets;
}

std::vector<Bucket> blockBuckets(const std::vector<Bucket>& fine, int64_t factor) {
  std::vector<Bucket> coarse;
  coarse.reserve(fine.size() / static_cast<size_t>(factor) + 1);
  for (size_t i = 0; i < fine.size(); ++i) {
    if (i % static_cast<size_t>(factor) == 0)
      coarse.push_back(fine[i]);
    else
      mergeBucket(coarse.back(), fine[i]);
  }
  return coarse;
}

void BucketCollapser::add(const Bucket& next) {
  const double place = (next.x0 - m_x0) * m_scale;
  const int64_t column = next.x0 < m_x0   ? -1
                         : next.x0 > m_x1 ? m_columns
                                          : std::min(static_cast<int64_t>(place), m_columns - 1);
  if (m_buckets.empty() || column != m_column)
    m_buckets.push_back(next);
  else
    mergeBucket(m_buckets.back(), next);
  m_column = column;
}

BucketCollapser::BucketCollapser(double x0, double x1, int64_t columns)
    : m_x0(x0), m_x1(x1), m_columns(std::max<int64_t>(columns, 1)) {
  m_scale = x1 > x0 ? static_cast<double>(m_columns) / (x1 - x0) : 0;
  if (!std::isfinite(m_scale)) m_scale = 0;
  m_buckets.reserve(static_cast<size_t>(std::min<int64_t>(m_columns, 100000)) + 2);
}

SeriesPyramid::SeriesPyramid(std::vector<double> x, std::vector<double> values) {
  const size_t count = std::min(x.size(), values.size());
  m_x.reserve(count);
  m_values.reserve(count);
  for (size_t i = 0; i < count; ++i) append(x[i], values[i]);
}

void SeriesPyramid::clear() {
  m_x.clear();
  m_values.clear();
  m_levels.clear();
}

void SeriesPyramid::append(double x, double value) {
  if (!m_x.empty() && !(x >= m_x.back())) x = m_x.back();
  m_x.push_back(x);
  m_values.push_back(value);
  if (m_x.size() % kPyramidFactor == 0) closeBlocks();
}

void SeriesPyramid::closeBlocks() {
  const auto factor = static_cast<size_t>(kPyramidFactor);
  size_t complete = m_x.size();
  for (size_t level = 0; complete % factor == 0 && complete > 0; ++level) {
    complete /= factor;
    if (m_levels.size() <= level) m_levels.emplace_back();
    const size_t begin = (complete - 1) * factor;
    Bucket all;
    for (size_t i = begin; i < begin + factor; ++i) {
      if (level == 0) {
        mergeBucket(all, pointBucket(m_x[i], m_values[i], 0));
      } else {
        const Block& block = m_levels[level - 1][i];
        Bucket part;
        part.first = block.first, part.last = block.last, part.min = block.min, part.max = block.max;
        part.sum = block.sum, part.finite = block.finite, part.count = 1;
        mergeBucket(all, part);
      }
    }
    m_levels[level].push_back({all.first, all.last, all.min, all.max, all.sum, all.finite});
  }
}

Bucket SeriesPyramid::summary(int64_t begin, int64_t end) const {
  Bucket all;
  begin = std::clamp<int64_t>(begin, 0, size());
  end = std::clamp<int64_t>(end, begin, size());
  for (int64_t i = begin; i < end;) {
    // The largest complete block that starts here and ends within the range.
    int64_t span = 1;
    size_t level = 0;
    while (level < m_levels.size() && i % (span * kPyramidFactor) == 0 && i + span * kPyramidFactor <= end) {
      span *= kPyramidFactor;
      ++level;
    }
    mergeBucket(all, blockAt(i, level, span));
    i += span;
  }
  return all;
}

Bucket SeriesPyramid::blockAt(int64_t i, size_t level, int64_t span) const {
  const auto at = static_cast<size_t>(i);
  if (level == 0) return pointBucket(m_x[at], m_values[at], i);
  const Block& block = m_levels[level - 1][static_cast<size_t>(i / span)];
  Bucket bucket;
  bucket.x0 = m_x[at];
  bucket.x1 = m_x[static_cast<size_t>(i + span - 1)];
  bucket.first = block.first, bucket.last = block.last, bucket.min = block.min, bucket.max = block.max;
  bucket.sum = block.sum, bucket.finite = block.finite;
  bucket.index = i;
  bucket.count = span;
  return bucket;
}

std::vector<Bucket> SeriesPyramid::range(double x0, double x1, int64_t maxBuckets) const {
  if (m_x.empty() || !(x1 >= x0)) return {};
  maxBuckets = std::max<int64_t>(maxBuckets, 1);
  const auto low = std::lower_bound(m_x.begin(), m_x.end(), x0) - m_x.begin();
  const auto high = std::upper_bound(m_x.begin(), m_x.end(), x1) - m_x.begin();
  const int64_t begin = std::max<int64_t>(low - 1, 0), end = std::min<int64_t>(high + 1, size());
  if (end - begin <= maxBuckets + 2) {
    std::vector<Bucket> points;
    for (int64_t i = begin; i < end; ++i) points.push_back(blockAt(i, 0, 1));
    return points;
  }
  size_t level = 0;
  int64_t span = 1;
  while (level < m_levels.size() && span * kPyramidFactor * maxBuckets <= high - low) {
    span *= kPyramidFactor;
    ++level;
  }
  BucketCollapser collapser(x0, x1, maxBuckets);
  for (int64_t i = begin; i < end;) {
    // The neighbours outside and the uncovered rest at either end point by point.
    const bool whole = i >= low && i % span == 0 && i + span <= high && level > 0 &&
                       static_cast<size_t>(i / span) < m_levels[level - 1].size();
    collapser.add(whole ? blockAt(i, level, span) : blockAt(i, 0, 1));
    i += whole ? span : 1;
  }
  return collapser.take();
}

}  // namespace rankscope
