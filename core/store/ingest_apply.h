#pragma once
// One batch of a run's events turned into rows, inside one transaction.

#include <unordered_map>
#include <vector>

#include "core/runlog/events.h"
#include "core/store/run_rows.h"
#include "core/store/series_rows.h"

namespace rankscope {

struct NumberedEvent {
  int64_t sequence = 0;
  event::Event event;
};

class EventApplier {
 public:
  EventApplier(StoreDatabase& database, RunRecord& run, RunCursor& cursor)
      : m_database(database), m_run(run), m_cursor(cursor), m_series(database, run.rid) {}
  void apply(const NumberedEvent& numbered);
  void finish();  // writes what was gathered; the run's row is the caller's to save

 private:
  void on(const event::Start& start);
  void on(const event::Rewind& rewind);
  void on(const event::Metrics& metrics);
  void on(const event::Sites& sites);
  void on(const event::Eval& eval);
  void on(const event::State& state);
  void on(const event::Progress& progress);
  void on(const event::Checkpoint& checkpoint);
  void on(const event::CommandDone& command);
  void on(const event::Change& change);
  void on(const event::Sample& sample);
  void on(const event::Log& log);
  void on(const event::Failure& failure);
  void on(const event::End& end);
  void on(const event::Other&) {}
  void points(const event::Point& at, const event::Values& values);
  void point(const std::string& name, const event::Point& at, double value);
  void log(LogLevel level, int64_t step, const char* kind, const std::string& text);
  void flush();

  StoreDatabase& m_database;
  RunRecord& m_run;
  RunCursor& m_cursor;
  SeriesWriter m_series;
  std::vector<std::string> m_siteNames;
  bool m_sitesKnown = false;
  std::unordered_map<std::string, std::vector<SeriesPoint>> m_pending;
  std::vector<std::string> m_order;  // of first appearance, so that rows are made in one order
  bool m_seriesChanged = false, m_lossChanged = false;
  int64_t m_sequence = 0;
  double m_time = 0;
};

}  // namespace rankscope
