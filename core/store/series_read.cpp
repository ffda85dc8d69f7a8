// Reading of curves: whole, from an index on, or as buckets at the level of the pyramid that the picture needs.

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/store/codec.h"
#include "core/store/series_chunk.h"
#include "core/store/series_rows.h"

namespace rankscope {
namespace {

struct ChunkMeta {
  int64_t cid = 0, aid = 0;
  Bucket all;  // the chunk as one bucket
};

std::vector<ChunkMeta> chunkMetas(StoreDatabase& database, int64_t sid, Axis axis) {
  static const char* kEnds[] = {"a.first_step, a.last_step", "a.first_epoch, a.last_epoch",
                                "a.first_tokens, a.last_tokens", "a.first_seconds, a.last_seconds"};
  std::vector<ChunkMeta> metas;
  Query query(database,
              std::string("SELECT c.cid, c.aid, c.start, c.count, c.finite, c.first, c.last, c.min, c.max, c.sum, ") +
                  kEnds[static_cast<int>(axis)] +
                  " FROM series_chunks c JOIN axis_blocks a ON a.aid = c.aid WHERE c.sid = ? ORDER BY c.start");
  query.bind(sid);
  while (query.step()) {
    ChunkMeta meta;
    meta.cid = query.integer(0), meta.aid = query.integer(1);
    Bucket& all = meta.all;
    all.index = query.integer(2), all.count = query.integer(3), all.finite = query.integer(4);
    all.first = query.real(5), all.last = query.real(6), all.min = query.real(7), all.max = query.real(8);
    all.sum = query.real(9), all.x0 = query.real(10), all.x1 = query.real(11);
    metas.push_back(meta);
  }
  return metas;
}

// The chunk's points or blocks of `level` points, in order.
std::vector<Bucket> chunkBuckets(StoreDatabase& database, const ChunkMeta& meta, int64_t level, Axis axis) {
  const int64_t chunk = meta.all.count;
  if (level >= kLargeChunk && chunk == kLargeChunk) return {meta.all};
  const bool packed = level > 1 && chunk == kLargeChunk;
  const std::string part = !packed ? "points" : level == 16 ? "blocks16" : "blocks256";
  const std::string ends = !packed ? "points" : level == 16 ? "ends16" : "ends256";
  Query query(database, "SELECT c." + part + ", a." + ends +
                            " FROM series_chunks c JOIN axis_blocks a ON a.aid = c.aid WHERE c.cid = ?");
  query.bind(meta.cid);
  if (!query.step()) return {};
  if (!packed) {
    const auto count = static_cast<size_t>(std::clamp<int64_t>(chunk, 0, kLargeChunk));
    return pointBuckets(unpackAxis(query.blob(1), count, axis), unpackReals(query.blob(0), count), meta.all.index);
  }
  const auto count = static_cast<size_t>(kLargeChunk / level);
  std::vector<Bucket> blocks = unpackBlocks(query.blob(0), count);
  const std::vector<double> x = unpackAxis(query.blob(1), count * 2, axis);
  for (size_t i = 0; i < count; ++i) {
    blocks[i].x0 = x[2 * i];
    blocks[i].x1 = x[2 * i + 1];
    blocks[i].index = meta.all.index + static_cast<int64_t>(i) * level;
    blocks[i].count = level;
  }
  return blocks;
}

// About how many of the bucket's points lie in [x0, x1], taking them as evenly spread.
double pointsWithin(const Bucket& bucket, double x0, double x1) {
  const double low = std::max(x0, bucket.x0), high = std::min(x1, bucket.x1);
  if (low > high) return 0;
  const double share = bucket.x1 > bucket.x0 ? (high - low) / (bucket.x1 - bucket.x0) : 1;
  return share * static_cast<double>(bucket.count);
}

}  // namespace

std::vector<SeriesPoint> readPoints(StoreDatabase& database, int64_t sid, int64_t from) {
  std::vector<SeriesPoint> points = readChunkPoints(database, sid, from, std::numeric_limits<int64_t>::max());
  const std::vector<SeriesPoint> tail = readTail(database, sid);
  if (tail.empty()) return points;
  Query query(database, "SELECT count FROM series WHERE sid = ?");
  query.bind(sid);
  const int64_t count = query.step() ? query.integer(0) : 0;
  const int64_t tailStart = count - static_cast<int64_t>(tail.size());
  const int64_t skip = std::clamp<int64_t>(from - tailStart, 0, static_cast<int64_t>(tail.size()));
  points.insert(points.end(), tail.begin() + static_cast<std::ptrdiff_t>(skip), tail.end());
  return points;
}

Series readColumns(StoreDatabase& database, int64_t sid, int64_t from) {
  Series series;
  const std::vector<SeriesPoint> points = readPoints(database, sid, from);
  series.steps.reserve(points.size());
  series.epochs.reserve(points.size());
  series.tokens.reserve(points.size());
  series.seconds.reserve(points.size());
  series.values.reserve(points.size());
  for (const SeriesPoint& point : points) {
    series.steps.push_back(point.step);
    series.epochs.push_back(point.epoch);
    series.tokens.push_back(point.tokens);
    series.seconds.push_back(point.seconds);
    series.values.push_back(point.value);
  }
  return series;
}

SeriesRange readRange(StoreDatabase& database, const SeriesState& series, double x0, double x1, int64_t maxBuckets,
                      Axis axis) {
  SeriesRange range;
  range.axis = axis;
  range.total = series.count;
  if (!(x1 >= x0)) return range;
  maxBuckets = std::clamp<int64_t>(maxBuckets, 1, 1000000);
  const std::vector<ChunkMeta> metas = chunkMetas(database, series.sid, axis);
  const std::vector<SeriesPoint> tail = readTail(database, series.sid);

  double inside = 0;
  for (const ChunkMeta& meta : metas) inside += pointsWithin(meta.all, x0, x1);
  for (const SeriesPoint& point : tail) inside += axisOf(point, axis) >= x0 && axisOf(point, axis) <= x1;
  int64_t level = 1;
  while (level < kLargeChunk && static_cast<double>(level * kPyramidFactor * maxBuckets) <= inside)
    level *= kPyramidFactor;
  range.pointsPerBlock = level;

  // Chunks that touch the range, and one more on either side for its neighbour.
  size_t begin = 0, end = metas.size();
  while (begin < end && metas[begin].all.x1 < x0) ++begin;
  while (end > begin && metas[end - 1].all.x0 > x1) --end;
  if (begin > 0) --begin;
  if (end < metas.size()) ++end;

  std::vector<Bucket> base;
  for (size_t i = begin; i < end; ++i) {
    const std::vector<Bucket> part = chunkBuckets(database, metas[i], level, axis);
    base.insert(base.end(), part.begin(), part.end());
  }
  if (end == metas.size()) {
    std::vector<double> x, values;
    for (const SeriesPoint& point : tail) {
      x.push_back(axisOf(point, axis));
      values.push_back(point.value);
    }
    const std::vector<Bucket> part = pointBuckets(x, values, series.count - static_cast<int64_t>(tail.size()));
    base.insert(base.end(), part.begin(), part.end());
  }
  size_t low = 0, high = base.size();
  while (low < high && base[low].x1 < x0) ++low;
  while (high > low && base[high - 1].x0 > x1) --high;
  if (low > 0) --low;
  if (high < base.size()) ++high;
  if (static_cast<int64_t>(high - low) <= maxBuckets + 2) {
    range.buckets.assign(base.begin() + static_cast<std::ptrdiff_t>(low),
                         base.begin() + static_cast<std::ptrdiff_t>(high));
    return range;
  }
  BucketCollapser collapser(x0, x1, maxBuckets);
  for (size_t i = low; i < high; ++i) collapser.add(base[i]);
  range.buckets = collapser.take();
  return range;
}

}  // namespace rankscope
