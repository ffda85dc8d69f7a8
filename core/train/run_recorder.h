#pragma once
// Writes what happens in a run into its event log and heartbeat, and remembers the last value of each series for the
// summary at the end. The names of series are here and nowhere else in the trainer. The trainer's thread.

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/runlog/event_log.h"
#include "core/runlog/heartbeat.h"
#include "core/runlog/spectrum_file.h"
#include "core/train/checkpoint.h"
#include "core/train/step_engine.h"

namespace rankscope {

// What a front end shows while a run goes on.
struct TrainProgress {
  event::RunState state = event::RunState::Loading;
  int64_t step = 0, totalSteps = 0;
  double epoch = 0, loss = 0, perSecond = 0, etaSeconds = 0;
  std::string unit;  // of perSecond: "tokens", "images"
  std::string what;  // "evaluating", "loading the model", or a line to tell
  bool line = false; // `what` is a line of its own (an evaluation's result, a warning)
};
using ProgressSink = std::function<void(const TrainProgress&)>;

class RunRecorder {
 public:
  RunRecorder(EventWriter& events, Heartbeat& heartbeat, ProgressSink sink);

  void setUnit(const std::string& unit) { m_progress.unit = unit; }  // before the first step

  void setTotal(int64_t totalSteps) { m_progress.totalSteps = totalSteps; }
  void state(event::RunState state, const std::string& detail, int64_t step);
  void log(const char* level, const std::string& text);
  void failure(const Error& error, int64_t step);
  // Loss, learning rate, speed, memory after a step.
  void step(const event::Point& at, const StepResult& result, double stepSeconds, bool record);
  // Norms and balance per site and over sites.
  void probes(const event::Point& at, std::vector<std::pair<std::string, std::vector<double>>> bySite);
  // Intruder dimensions in all and per site, effective ranks of the updates.
  void spectrum(const event::Point& at, const RunSpectrum& spectrum);
  void evaluation(const event::Point& at, const std::map<std::string, double>& values, bool best, double seconds);
  void checkpoint(const CheckpointInfo& info, event::CheckpointReason reason, bool best);
  void sample(int64_t step, const std::string& prompt, const std::string& text);
  void progress(const std::string& what);  // at most twice a second, unless something changed

  // Last value of each series, as "values" of the end's summary.
  nlohmann::json lastValues() const;
  // Values of the last evaluation of an earlier life, by metric.
  void restoreLastValues(const nlohmann::json& values);
  EventWriter& events() { return m_events; }

 private:
  void metrics(const event::Point& at, event::Values values);

  EventWriter& m_events;
  Heartbeat& m_heartbeat;
  ProgressSink m_sink;
  TrainProgress m_progress;
  std::map<std::string, double> m_last;
  double m_smoothStepSeconds = 0;
  std::chrono::steady_clock::time_point m_lastProgress{};
};

}  // namespace rankscope
