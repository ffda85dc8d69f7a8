#pragma once
// Rows of curves: appending points, taking them back at a rewind, reading them. A series of n points is laid out the
// same however it was written: chunks of 4096 points, then of 512, then of 64, and fewer than 64 in the tail, each
// chunk aligned to its size. Used inside transactions of StoreDatabase; failures are exceptions there.

#include <string>
#include <unordered_map>
#include <vector>

#include "core/store/database.h"
#include "core/store/run_types.h"
#include "core/store/series_types.h"

namespace rankscope {

int64_t nameId(StoreDatabase& database, const std::string& text);  // made where missing
std::optional<int64_t> findNameId(StoreDatabase& database, const std::string& text);

struct SeriesState {
  int64_t sid = 0, nameId = 0;
  std::string name;
  int64_t count = 0, finite = 0;
  int64_t firstStep = 0, lastStep = 0;
  double first = kUnknown, last = kUnknown, min = kUnknown, max = kUnknown;
  int64_t minStep = -1, maxStep = -1;
  MetricSummary summary() const;
};

// Writes the series of one run within one transaction.
class SeriesWriter {
 public:
  SeriesWriter(StoreDatabase& database, int64_t rid) : m_database(database), m_rid(rid) {}
  void append(const std::string& name, const std::vector<SeriesPoint>& points);
  void dropAfter(int64_t step);  // of every series of the run: points with a larger step

 private:
  struct Axis {
    int64_t aid = 0;
    uint64_t hash = 0;
  };
  SeriesState& state(const std::string& name);
  void appendTo(SeriesState& series, const std::vector<SeriesPoint>& points);
  void writeChunk(int64_t sid, int64_t start, const std::vector<SeriesPoint>& points);
  void mergeChunks(int64_t sid, int64_t start, int64_t end);
  int64_t axisBlock(const std::vector<SeriesPoint>& points);
  void releaseAxis(int64_t aid);
  void dropChunks(int64_t sid, int64_t from, int64_t to);
  void summarise(SeriesState& series);
  void save(const SeriesState& series);
  StoreDatabase& m_database;
  int64_t m_rid;
  std::unordered_map<std::string, SeriesState> m_states;
};

std::optional<SeriesState> findSeries(StoreDatabase& database, int64_t rid, const std::string& name);
std::vector<SeriesState> allSeries(StoreDatabase& database, int64_t rid);
// Points [from, end).
std::vector<SeriesPoint> readPoints(StoreDatabase& database, int64_t sid, int64_t from);
Series readColumns(StoreDatabase& database, int64_t sid, int64_t from);
SeriesRange readRange(StoreDatabase& database, const SeriesState& series, double x0, double x1, int64_t maxBuckets,
                      Axis axis);
bool isSiteSeries(const std::string& name);  // "site/…": kept out of run_metrics

}  // namespace rankscope
