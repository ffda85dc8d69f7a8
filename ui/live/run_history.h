#pragma once
// All that a run's event log has told so far, in the form the live view draws from: series over one shared clock, the
// log, samples, evaluations, states, marks. Built by applying events in order; a `rewind` drops what a resumed life
// replaces. A plain value type: built on the feed's thread for the history of a run, then moved to the GUI thread, where
// the few events of each batch are applied. No Qt, so that it is tested without a display.

#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/config/result.h"
#include "core/runlog/events.h"

namespace rankscope::ui {

// Where a point sits on each of the x axes. `seconds` is training time, pauses not counted.
struct ClockTick {
  double step = 0, epoch = 0, tokens = 0, seconds = 0;
};

// Values over ticks of the history's clock, in order of time. NaN stands for "not finite".
struct HistorySeries {
  std::vector<uint32_t> ticks;
  std::vector<double> values;
};

struct HistoryLine {
  double time = 0;  // unix seconds
  int64_t step = 0;
  std::string level, text;
};

struct SampleText {
  double time = 0;
  int64_t step = 0;
  std::string prompt, text;
};

// Something done to the run by hand or by itself that every plot marks.
struct HistoryMark {
  enum class Kind { Command, Change, Resume, Checkpoint, Best };
  Kind kind = Kind::Command;
  double time = 0;
  int64_t step = 0;
  std::string text;
};

struct CommandAck {
  std::string id, command;
  int64_t appliedStep = 0;
};

class RunHistory {
 public:
  // Applies one event. Kinds that this version does not know are passed over: a newer log still shows.
  void apply(const event::Event& event);

  const std::vector<ClockTick>& clock() const { return m_clock; }
  const HistorySeries* series(const std::string& name) const;
  std::vector<std::string> seriesNames() const;  // sorted
  // The newest finite value of a series.
  std::optional<double> last(const std::string& name) const;

  const std::vector<event::SiteInfo>& sites() const { return m_sites; }
  const std::deque<HistoryLine>& log() const { return m_log; }
  uint64_t logCount() const { return m_logCount; }  // lines ever seen; the deque keeps the newest kMaxLogLines
  const std::vector<SampleText>& samples() const { return m_samples; }
  const std::vector<HistoryMark>& marks() const { return m_marks; }
  const std::vector<CommandAck>& acknowledged() const { return m_acks; }
  const std::optional<Error>& error() const { return m_error; }
  int64_t errorStep() const { return m_errorStep; }

  // Newest state word, "" before the first event; its detail, and when it began.
  const std::string& state() const { return m_state; }
  const std::string& stateDetail() const { return m_stateDetail; }
  double stateSince() const { return m_stateSince; }
  bool ended() const { return m_ended; }
  double startedAt() const { return m_startedAt; }  // of the present life, unix seconds
  double lastEventAt() const { return m_lastEventAt; }
  // Series are only ever appended to until this number changes (a rewind made some shorter).
  uint64_t rewinds() const { return m_rewinds; }
  int64_t step() const { return m_step; }
  int64_t totalSteps() const { return m_totalSteps; }
  double epoch() const { return m_epoch; }
  std::optional<double> etaSeconds() const { return m_eta; }
  const std::string& doing() const { return m_doing; }
  int life() const { return m_life; }
  const std::optional<event::Start>& start() const { return m_start; }
  const nlohmann::json& summary() const { return m_summary; }
  std::optional<int64_t> bestStep() const { return m_bestStep; }
  const std::string& lastCheckpoint() const { return m_lastCheckpoint; }
  int64_t lastCheckpointStep() const { return m_lastCheckpointStep; }

  static constexpr size_t kMaxLogLines = 20000;

 private:
  struct Applier;
  uint32_t tick(const event::Point& point);
  void append(const std::string& name, uint32_t tick, double value);
  void rewindTo(double step);
  void addLog(double time, int64_t step, std::string level, std::string text);

  std::vector<ClockTick> m_clock;
  std::unordered_map<std::string, HistorySeries> m_series;
  std::vector<event::SiteInfo> m_sites;
  std::deque<HistoryLine> m_log;
  uint64_t m_logCount = 0;
  std::vector<SampleText> m_samples;
  std::vector<HistoryMark> m_marks;
  std::vector<CommandAck> m_acks;
  std::optional<Error> m_error;
  std::string m_state, m_stateDetail, m_doing, m_lastCheckpoint;
  double m_stateSince = 0, m_epoch = 0, m_startedAt = 0, m_lastEventAt = 0;
  uint64_t m_rewinds = 0;
  bool m_ended = false;
  int m_life = 0;
  int64_t m_step = 0, m_totalSteps = 0, m_lastCheckpointStep = -1, m_errorStep = 0;
  std::optional<double> m_eta;
  std::optional<int64_t> m_bestStep;
  std::optional<event::Start> m_start;
  nlohmann::json m_summary;
};

}  // namespace rankscope::ui
