// Curves and what else a run said: log, samples, checkpoints, changes by hand, sites.

#include <sys/stat.h>

#include <algorithm>

#include "core/config/json_text.h"
#include "core/store/run_rows.h"
#include "core/store/series_chunk.h"
#include "core/store/series_rows.h"
#include "core/store/sql_functions.h"
#include "core/store/store.h"

namespace rankscope {
namespace {

Error noSeries(const std::string& id, const std::string& name) {
  return {ErrorCode::Usage,
          "the run has no such series",
          id,
          name,
          "one of the run's series",
          "It may not have been recorded, or not yet."};
}

}  // namespace

std::vector<double> Series::axis(Axis which) const {
  switch (which) {
    case Axis::Step: return {steps.begin(), steps.end()};
    case Axis::Epoch: return epochs;
    case Axis::Tokens: return {tokens.begin(), tokens.end()};
    case Axis::Seconds: return seconds;
  }
  return {};
}

Result<std::vector<std::string>> Store::seriesNames(const std::string& id) {
  return m_database->read("series are listed", [&]() -> Result<std::vector<std::string>> {
    std::vector<std::string> names;
    for (const SeriesState& series : allSeries(*m_database, requireRid(*m_database, id))) names.push_back(series.name);
    return names;
  });
}

Result<std::vector<SeriesInfo>> Store::seriesInfo(const std::string& id) {
  return m_database->read("series are listed", [&]() -> Result<std::vector<SeriesInfo>> {
    std::vector<SeriesInfo> all;
    for (const SeriesState& s : allSeries(*m_database, requireRid(*m_database, id)))
      all.push_back({s.name, s.count, s.firstStep, s.lastStep, s.first, s.last, s.min, s.max});
    return all;
  });
}

Result<Series> Store::readSeries(const std::string& id, const std::string& name) { return readSeriesFrom(id, name, 0); }

Result<Series> Store::readSeriesFrom(const std::string& id, const std::string& name, int64_t from) {
  return m_database->read("a series is read", [&]() -> Result<Series> {
    const auto found = findSeries(*m_database, requireRid(*m_database, id), name);
    if (!found) return noSeries(id, name);
    Series series = readColumns(*m_database, found->sid, std::max<int64_t>(from, 0));
    series.name = name;
    return series;
  });
}

Result<SeriesRange> Store::readSeriesRange(const std::string& id, const std::string& name, double x0, double x1,
                                           int64_t maxBuckets, Axis axis) {
  return m_database->read("a series is read", [&]() -> Result<SeriesRange> {
    const auto found = findSeries(*m_database, requireRid(*m_database, id), name);
    if (!found) return noSeries(id, name);
    return readRange(*m_database, *found, x0, x1, maxBuckets, axis);
  });
}

Result<std::vector<RunLogLine>> Store::readLog(const std::string& id, const LogQuery& wanted) {
  return m_database->read("a run's log is read", [&]() -> Result<std::vector<RunLogLine>> {
    std::vector<RunLogLine> lines;
    Query query(*m_database,
                "SELECT sequence, time, step, level, kind, text FROM run_log WHERE rid = ?1 AND level >= ?2 "
                "AND (?3 < 0 OR sequence < ?3) AND sequence > ?4 AND (?5 = '' OR instr(rs_fold(text), ?5) > 0) "
                "ORDER BY sequence DESC LIMIT ?6");
    query.bind(requireRid(*m_database, id), static_cast<int64_t>(wanted.minimum), wanted.before, wanted.after,
               foldText(wanted.contains), wanted.limit);
    while (query.step()) {
      RunLogLine line;
      line.sequence = query.integer(0), line.time = query.real(1), line.step = query.integer(2);
      line.level = static_cast<LogLevel>(std::clamp<int64_t>(query.integer(3), 0, 3));
      line.kind = query.text(4), line.text = query.text(5);
      lines.push_back(std::move(line));
    }
    std::reverse(lines.begin(), lines.end());
    return lines;
  });
}

Result<std::vector<SampleRow>> Store::samples(const std::string& id) {
  return m_database->read("samples are read", [&]() -> Result<std::vector<SampleRow>> {
    std::vector<SampleRow> rows;
    Query query(*m_database, "SELECT sequence, step, time, prompt, text FROM samples WHERE rid = ? ORDER BY sequence");
    query.bind(requireRid(*m_database, id));
    while (query.step())
      rows.push_back({query.integer(0), query.integer(1), query.real(2), query.text(3), query.text(4)});
    return rows;
  });
}

Result<std::vector<CheckpointRow>> Store::checkpoints(const std::string& id) {
  return m_database->read("checkpoints are listed", [&]() -> Result<std::vector<CheckpointRow>> {
    std::vector<CheckpointRow> rows;
    std::string folder;
    const int64_t rid = requireRid(*m_database, id);
    {
      Query query(*m_database, "SELECT folder FROM runs WHERE rid = ?");
      query.bind(rid);
      if (query.step()) folder = query.text(0);
    }
    Query query(*m_database,
                "SELECT step, bytes, time, path, reason, best FROM checkpoints WHERE rid = ? ORDER BY sequence");
    query.bind(rid);
    while (query.step()) {
      CheckpointRow row{query.integer(0), query.integer(1),      query.real(2), query.text(3),
                        query.text(4),    query.integer(5) != 0, false};
      struct stat status {};
      row.present = stat((folderPath(*m_database, folder) / row.path).c_str(), &status) == 0;
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

Result<std::vector<ChangeRow>> Store::changes(const std::string& id) {
  return m_database->read("changes are read", [&]() -> Result<std::vector<ChangeRow>> {
    std::vector<ChangeRow> rows;
    Query query(*m_database,
                "SELECT sequence, step, time, key, old_value, new_value FROM changes WHERE rid = ? ORDER BY sequence");
    query.bind(requireRid(*m_database, id));
    while (query.step())
      rows.push_back({query.integer(0), query.integer(1), query.real(2), query.text(3), query.text(4), query.text(5)});
    return rows;
  });
}

Result<std::vector<SiteRow>> Store::sites(const std::string& id) {
  return m_database->read("sites are read", [&]() -> Result<std::vector<SiteRow>> {
    std::vector<SiteRow> rows;
    Query query(*m_database,
                "SELECT position, name, kind, layer, rows, columns, rank FROM sites WHERE rid = ? ORDER BY position");
    query.bind(requireRid(*m_database, id));
    while (query.step())
      rows.push_back({static_cast<int>(query.integer(0)), query.text(1), query.text(2), query.integer(3),
                      query.integer(4), query.integer(5), query.integer(6)});
    return rows;
  });
}

Result<nlohmann::json> Store::summary(const std::string& id) {
  return m_database->read("a run's summary is read", [&]() -> Result<nlohmann::json> {
    Query query(*m_database, "SELECT body FROM run_summaries WHERE rid = ?");
    query.bind(requireRid(*m_database, id));
    if (!query.step()) return nlohmann::json();
    return parseJsonRecord(query.text(0), "summary of " + id);
  });
}

}  // namespace rankscope
