#include "core/store/series_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/store/codec.h"
#include "core/store/series_chunk.h"

namespace rankscope {
namespace {

constexpr int64_t kSizes[] = {kLargeChunk, kMiddleChunk, kSmallChunk};

uint64_t axisHash(const std::vector<SeriesPoint>& points) {
  uint64_t hash = 0x9e3779b97f4a7c15ULL ^ points.size();
  const auto mix = [&hash](uint64_t bits) {
    hash = (hash ^ bits) * 0xff51afd7ed558ccdULL;
    hash ^= hash >> 32;
  };
  for (const SeriesPoint& point : points) {
    mix(static_cast<uint64_t>(point.step));
    mix(std::bit_cast<uint64_t>(point.epoch));
    mix(static_cast<uint64_t>(point.tokens));
    mix(std::bit_cast<uint64_t>(point.seconds));
  }
  return hash;
}

void takeValue(SeriesState& series, double value, int64_t step) {
  if (!std::isfinite(value)) return;
  if (series.finite == 0) series.first = value;
  if (series.finite == 0 || value < series.min) series.min = value, series.minStep = step;
  if (series.finite == 0 || value > series.max) series.max = value, series.maxStep = step;
  series.last = value;
  ++series.finite;
}

const char* kSeriesColumns =
    "SELECT s.sid, s.name_id, n.text, s.count, s.finite, s.first_step, s.last_step, s.first, s.last, s.min, s.max, "
    "s.min_step, s.max_step FROM series s JOIN names n ON n.id = s.name_id WHERE s.rid = ?";

SeriesState seriesFrom(const Query& row) {
  SeriesState series;
  series.sid = row.integer(0), series.nameId = row.integer(1), series.name = row.text(2);
  series.count = row.integer(3), series.finite = row.integer(4);
  series.firstStep = row.integer(5), series.lastStep = row.integer(6);
  series.first = row.real(7), series.last = row.real(8), series.min = row.real(9), series.max = row.real(10);
  series.minStep = row.integer(11), series.maxStep = row.integer(12);
  return series;
}

std::string tailBytes(const std::vector<SeriesPoint>& points) {
  return {reinterpret_cast<const char*>(points.data()), points.size() * sizeof(SeriesPoint)};
}

}  // namespace

int64_t nameId(StoreDatabase& database, const std::string& text) {
  if (const auto found = findNameId(database, text)) return *found;
  Query(database, "INSERT INTO names (text) VALUES (?)").bind(text).run();
  return database.lastInsertId();
}

std::optional<int64_t> findNameId(StoreDatabase& database, const std::string& text) {
  Query query(database, "SELECT id FROM names WHERE text = ?");
  query.bind(text);
  if (!query.step()) return std::nullopt;
  return query.integer(0);
}

MetricSummary SeriesState::summary() const {
  MetricSummary all;
  all.first = first, all.last = last, all.min = min, all.max = max;
  all.count = count;
  all.lastStep = lastStep;
  switch (betterDirection(name)) {
    case Better::Lower: all.best = min, all.bestStep = minStep; break;
    case Better::Higher: all.best = max, all.bestStep = maxStep; break;
    case Better::Neither: all.best = last, all.bestStep = lastStep; break;
  }
  return all;
}

bool isSiteSeries(const std::string& name) { return name.rfind("site/", 0) == 0; }

std::optional<SeriesState> findSeries(StoreDatabase& database, int64_t rid, const std::string& name) {
  Query query(database, std::string(kSeriesColumns) + " AND n.text = ?");
  query.bind(rid, name);
  if (!query.step()) return std::nullopt;
  return seriesFrom(query);
}

std::vector<SeriesState> allSeries(StoreDatabase& database, int64_t rid) {
  std::vector<SeriesState> all;
  Query query(database, std::string(kSeriesColumns) + " ORDER BY n.text");
  query.bind(rid);
  while (query.step()) all.push_back(seriesFrom(query));
  return all;
}

SeriesState& SeriesWriter::state(const std::string& name) {
  if (auto found = m_states.find(name); found != m_states.end()) return found->second;
  if (auto stored = findSeries(m_database, m_rid, name)) return m_states.emplace(name, *stored).first->second;
  SeriesState series;
  series.name = name;
  series.nameId = nameId(m_database, name);
  Query(m_database, "INSERT INTO series (rid, name_id) VALUES (?, ?)").bind(m_rid, series.nameId).run();
  series.sid = m_database.lastInsertId();
  return m_states.emplace(name, series).first->second;
}

void SeriesWriter::append(const std::string& name, const std::vector<SeriesPoint>& points) {
  if (points.empty()) return;
  SeriesState& series = state(name);
  for (const SeriesPoint& point : points) takeValue(series, point.value, point.step);
  if (series.count == 0) series.firstStep = points.front().step;
  series.lastStep = points.back().step;
  appendTo(series, points);
  save(series);
}

void SeriesWriter::appendTo(SeriesState& series, const std::vector<SeriesPoint>& points) {
  std::vector<SeriesPoint> pending = readTail(m_database, series.sid);
  int64_t start = series.count - static_cast<int64_t>(pending.size());
  pending.insert(pending.end(), points.begin(), points.end());
  series.count += static_cast<int64_t>(points.size());
  size_t taken = 0;
  while (true) {
    int64_t size = 0;
    for (const int64_t candidate : kSizes) {
      if (start % candidate == 0 && static_cast<int64_t>(pending.size() - taken) >= candidate) {
        size = candidate;
        break;
      }
    }
    if (size == 0) break;
    const auto from = pending.begin() + static_cast<std::ptrdiff_t>(taken);
    writeChunk(series.sid, start, std::vector<SeriesPoint>(from, from + static_cast<std::ptrdiff_t>(size)));
    start += size;
    taken += static_cast<size_t>(size);
    if (size == kSmallChunk && start % kMiddleChunk == 0) {
      mergeChunks(series.sid, start - kMiddleChunk, start);
      size = kMiddleChunk;
    }
    if (size == kMiddleChunk && start % kLargeChunk == 0) mergeChunks(series.sid, start - kLargeChunk, start);
  }
  pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(taken));
  if (pending.empty()) {
    Query(m_database, "DELETE FROM series_tails WHERE sid = ?").bind(series.sid).run();
    return;
  }
  const std::string bytes = tailBytes(pending);
  Query query(m_database,
              "INSERT INTO series_tails (sid, points) VALUES (?1, ?2) "
              "ON CONFLICT (sid) DO UPDATE SET points = ?2");
  query.bind(series.sid).bindBlob(bytes).run();
}

void SeriesWriter::writeChunk(int64_t sid, int64_t start, const std::vector<SeriesPoint>& points) {
  const int64_t aid = axisBlock(points);
  SeriesState all;
  double sum = 0;
  std::vector<double> values, x;
  values.reserve(points.size());
  for (const SeriesPoint& point : points) {
    values.push_back(point.value);
    takeValue(all, point.value, point.step);
    if (std::isfinite(point.value)) sum += point.value;
  }
  std::string blocks16, blocks256;
  if (static_cast<int64_t>(points.size()) == kLargeChunk) {
    x.assign(points.size(), 0);
    const std::vector<Bucket> level16 = blockBuckets(pointBuckets(x, values, 0), 16);
    blocks16 = packBlocks(level16);
    blocks256 = packBlocks(blockBuckets(level16, 16));
  }
  const std::string packed = packReals(values);
  Query query(
      m_database,
      "INSERT INTO series_chunks (sid, start, count, aid, finite, first, last, min, max, sum, min_step, max_step, "
      "blocks256, blocks16, points) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  query.bind(sid, start, static_cast<int64_t>(points.size()), aid, all.finite, all.first, all.last, all.min, all.max,
             sum, all.minStep, all.maxStep);
  query.bindBlob(blocks256).bindBlob(blocks16).bindBlob(packed).run();
}

void SeriesWriter::mergeChunks(int64_t sid, int64_t start, int64_t end) {
  std::vector<SeriesPoint> points = readChunkPoints(m_database, sid, start, end);
  dropChunks(sid, start, end);
  writeChunk(sid, start, points);
}

// Series that were logged together have the same axis, so it is kept once. Equality is taken from a 64-bit hash of all
// columns with the count: within one run a false match is not going to happen.
int64_t SeriesWriter::axisBlock(const std::vector<SeriesPoint>& points) {
  const auto hash = static_cast<int64_t>(axisHash(points));
  const auto count = static_cast<int64_t>(points.size());
  {
    Query found(m_database, "SELECT aid FROM axis_blocks WHERE rid = ? AND hash = ? AND count = ?");
    found.bind(m_rid, hash, count);
    if (found.step()) {
      const int64_t aid = found.integer(0);
      Query(m_database, "UPDATE axis_blocks SET refs = refs + 1 WHERE aid = ?").bind(aid).run();
      return aid;
    }
  }
  std::string ends256, ends16;
  if (count == kLargeChunk) {
    ends256 = packAxis(axisEnds(points, 256));
    ends16 = packAxis(axisEnds(points, 16));
  }
  const std::string packed = packAxis(points);
  const SeriesPoint &a = points.front(), &b = points.back();
  Query query(m_database,
              "INSERT INTO axis_blocks (rid, hash, refs, count, first_step, last_step, first_epoch, last_epoch, "
              "first_tokens, last_tokens, first_seconds, last_seconds, ends256, ends16, points) "
              "VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  query.bind(m_rid, hash, count, a.step, b.step, a.epoch, b.epoch, a.tokens, b.tokens, a.seconds, b.seconds);
  query.bindBlob(ends256).bindBlob(ends16).bindBlob(packed).run();
  return m_database.lastInsertId();
}

void SeriesWriter::releaseAxis(int64_t aid) {
  Query(m_database, "UPDATE axis_blocks SET refs = refs - 1 WHERE aid = ?").bind(aid).run();
  Query(m_database, "DELETE FROM axis_blocks WHERE aid = ? AND refs <= 0").bind(aid).run();
}

void SeriesWriter::dropChunks(int64_t sid, int64_t from, int64_t to) {
  std::vector<int64_t> axes;
  {
    Query query(m_database, "SELECT aid FROM series_chunks WHERE sid = ? AND start >= ? AND start < ?");
    query.bind(sid, from, to);
    while (query.step()) axes.push_back(query.integer(0));
  }
  Query(m_database, "DELETE FROM series_chunks WHERE sid = ? AND start >= ? AND start < ?").bind(sid, from, to).run();
  for (const int64_t aid : axes) releaseAxis(aid);
}

void SeriesWriter::dropAfter(int64_t step) {
  m_states.clear();
  for (SeriesState& series : allSeries(m_database, m_rid)) {
    if (series.lastStep <= step) continue;
    int64_t from = 0;
    {
      Query query(m_database,
                  "SELECT MIN(c.start) FROM series_chunks c JOIN axis_blocks a ON a.aid = c.aid "
                  "WHERE c.sid = ? AND a.last_step > ?");
      query.bind(series.sid, step);
      if (query.step() && !query.isNull(0))
        from = query.integer(0);
      else
        from = series.count - static_cast<int64_t>(readTail(m_database, series.sid).size());
    }
    std::vector<SeriesPoint> points = readPoints(m_database, series.sid, from);
    std::erase_if(points, [step](const SeriesPoint& point) { return point.step > step; });
    dropChunks(series.sid, from, series.count);
    Query(m_database, "DELETE FROM series_tails WHERE sid = ?").bind(series.sid).run();
    series.count = from;
    appendTo(series, points);
    if (series.count == 0) {
      Query(m_database, "DELETE FROM series WHERE sid = ?").bind(series.sid).run();
      Query(m_database, "DELETE FROM run_metrics WHERE name_id = ? AND rid = ?").bind(series.nameId, m_rid).run();
      continue;
    }
    summarise(series);
    save(series);
  }
}

void SeriesWriter::summarise(SeriesState& series) {
  SeriesState all = series;
  all.finite = 0, all.minStep = all.maxStep = -1;
  all.first = all.last = all.min = all.max = kUnknown;
  bool begun = false;
  Query query(m_database,
              "SELECT c.finite, c.first, c.last, c.min, c.max, c.min_step, c.max_step, a.first_step, a.last_step "
              "FROM series_chunks c JOIN axis_blocks a ON a.aid = c.aid WHERE c.sid = ? ORDER BY c.start");
  query.bind(series.sid);
  while (query.step()) {
    if (!begun) all.firstStep = query.integer(7);
    begun = true;
    all.lastStep = query.integer(8);
    if (query.integer(0) == 0) continue;
    if (all.finite == 0) all.first = query.real(1);
    if (all.finite == 0 || query.real(3) < all.min) all.min = query.real(3), all.minStep = query.integer(5);
    if (all.finite == 0 || query.real(4) > all.max) all.max = query.real(4), all.maxStep = query.integer(6);
    all.last = query.real(2);
    all.finite += query.integer(0);
  }
  for (const SeriesPoint& point : readTail(m_database, series.sid)) {
    if (!begun) all.firstStep = point.step;
    begun = true;
    all.lastStep = point.step;
    takeValue(all, point.value, point.step);
  }
  series = all;
}

void SeriesWriter::save(const SeriesState& series) {
  Query query(m_database,
              "UPDATE series SET count = ?, finite = ?, first_step = ?, last_step = ?, first = ?, last = ?, min = ?, "
              "max = ?, min_step = ?, max_step = ? WHERE sid = ?");
  query.bind(series.count, series.finite, series.firstStep, series.lastStep, series.first, series.last, series.min,
             series.max, series.minStep, series.maxStep, series.sid);
  query.run();
  if (isSiteSeries(series.name)) return;
  const MetricSummary all = series.summary();
  Query metric(
      m_database,
      "INSERT OR REPLACE INTO run_metrics (name_id, rid, count, first, last, best, min, max, best_step, last_step) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  metric.bind(series.nameId, m_rid, all.count, all.first, all.last, all.best, all.min, all.max, all.bestStep,
              all.lastStep);
  metric.run();
}

}  // namespace rankscope
