#include "core/store/series_chunk.h"

#include <cstring>

#include "core/store/codec.h"

namespace rankscope {
namespace {

[[noreturn]] void damagedChunk(const char* what) {
  throw ErrorException(
      Error{ErrorCode::Store, kDamagedStore, "curves", what, "",
            "Run `rankscope-train store rebuild`, which makes the curves again from the run folders."});
}

}  // namespace

std::string packAxis(const std::vector<SeriesPoint>& points) {
  std::vector<int64_t> steps, tokens;
  std::vector<double> epochs, seconds;
  for (const SeriesPoint& point : points) {
    steps.push_back(point.step);
    epochs.push_back(point.epoch);
    tokens.push_back(point.tokens);
    seconds.push_back(point.seconds);
  }
  return joinColumns({packIntegers(steps), packClock(epochs), packIntegers(tokens), packClock(seconds)});
}

std::vector<SeriesPoint> axisEnds(const std::vector<SeriesPoint>& points, size_t block) {
  std::vector<SeriesPoint> ends;
  for (size_t i = 0; i + block <= points.size(); i += block) {
    ends.push_back(points[i]);
    ends.push_back(points[i + block - 1]);
  }
  return ends;
}

std::vector<double> unpackAxis(std::string_view bytes, size_t count, Axis axis) {
  const std::vector<std::string_view> columns = splitColumns(bytes, 4);
  if (axis == Axis::Epoch) return unpackReals(columns[1], count);
  if (axis == Axis::Seconds) return unpackReals(columns[3], count);
  const std::vector<int64_t> whole = unpackIntegers(columns[axis == Axis::Step ? 0 : 2], count);
  return {whole.begin(), whole.end()};
}

double axisOf(const SeriesPoint& point, Axis axis) {
  switch (axis) {
    case Axis::Step: return static_cast<double>(point.step);
    case Axis::Epoch: return point.epoch;
    case Axis::Tokens: return static_cast<double>(point.tokens);
    case Axis::Seconds: return point.seconds;
  }
  return 0;
}

std::string packBlocks(const std::vector<Bucket>& blocks) {
  std::vector<double> values, sums;
  for (double Bucket::*member : {&Bucket::first, &Bucket::last, &Bucket::min, &Bucket::max})
    for (const Bucket& block : blocks) values.push_back(block.*member);
  for (const Bucket& block : blocks) values.push_back(static_cast<double>(block.finite));
  for (const Bucket& block : blocks) sums.push_back(block.sum);
  return joinColumns({packReals(values), packReals(sums)});
}

std::vector<Bucket> unpackBlocks(std::string_view bytes, size_t count) {
  const std::vector<std::string_view> columns = splitColumns(bytes, 2);
  const std::vector<double> values = unpackReals(columns[0], count * 5), sums = unpackReals(columns[1], count);
  std::vector<Bucket> blocks(count);
  for (size_t i = 0; i < count; ++i) {
    Bucket& block = blocks[i];
    block.first = values[i];
    block.last = values[count + i];
    block.min = values[2 * count + i];
    block.max = values[3 * count + i];
    block.finite = static_cast<int64_t>(values[4 * count + i]);
    block.sum = sums[i];
  }
  return blocks;
}

std::vector<SeriesPoint> readTail(StoreDatabase& database, int64_t sid) {
  Query query(database, "SELECT points FROM series_tails WHERE sid = ?");
  query.bind(sid);
  if (!query.step()) return {};
  const std::string_view bytes = query.blob(0);
  if (bytes.size() % sizeof(SeriesPoint) != 0 || bytes.size() >= kSmallChunk * sizeof(SeriesPoint))
    damagedChunk("the newest points of a series have a senseless length");
  std::vector<SeriesPoint> points(bytes.size() / sizeof(SeriesPoint));
  std::memcpy(points.data(), bytes.data(), bytes.size());
  return points;
}

std::vector<SeriesPoint> readChunkPoints(StoreDatabase& database, int64_t sid, int64_t from, int64_t to) {
  std::vector<SeriesPoint> points;
  Query query(database,
              "SELECT c.start, c.count, a.points, c.points FROM series_chunks c JOIN axis_blocks a ON a.aid = c.aid "
              "WHERE c.sid = ? AND c.start + c.count > ? AND c.start < ? ORDER BY c.start");
  query.bind(sid, from, to);
  while (query.step()) {
    const int64_t start = query.integer(0), stored = query.integer(1);
    if (stored <= 0 || stored > kLargeChunk) damagedChunk("a chunk of senseless length");
    const auto count = static_cast<size_t>(stored);
    const std::vector<std::string_view> axes = splitColumns(query.blob(2), 4);
    const std::vector<int64_t> steps = unpackIntegers(axes[0], count), tokens = unpackIntegers(axes[2], count);
    const std::vector<double> epochs = unpackReals(axes[1], count), seconds = unpackReals(axes[3], count);
    const std::vector<double> values = unpackReals(query.blob(3), count);
    for (size_t i = 0; i < count; ++i) {
      const int64_t index = start + static_cast<int64_t>(i);
      if (index >= from && index < to) points.push_back({steps[i], epochs[i], tokens[i], seconds[i], values[i]});
    }
  }
  return points;
}

}  // namespace rankscope
