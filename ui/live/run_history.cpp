#include "ui/live/run_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace rankscope::ui {
uint32_t RunHistory::tick(const event::Point& point) {
  const ClockTick now{static_cast<double>(point.step), point.epoch, static_cast<double>(point.tokens), point.seconds};
  // Metrics, sites and evaluations of one step share a tick.
  if (m_clock.empty() || m_clock.back().step != now.step) m_clock.push_back(now);
  m_step = point.step;
  m_epoch = now.epoch;
  return static_cast<uint32_t>(m_clock.size() - 1);
}

void RunHistory::append(const std::string& name, uint32_t tick, double value) {
  auto& series = m_series[name];
  if (!series.ticks.empty() && series.ticks.back() == tick) {
    series.values.back() = value;  // said again for the same step: the newer word counts
    return;
  }
  series.ticks.push_back(tick);
  series.values.push_back(value);
}

void RunHistory::rewindTo(double step) {
  const auto keep = std::partition_point(m_clock.begin(), m_clock.end(),
                                         [step](const ClockTick& t) { return t.step <= step; });
  const auto count = static_cast<uint32_t>(keep - m_clock.begin());
  m_clock.erase(keep, m_clock.end());
  for (auto& [name, series] : m_series) {
    const auto end = std::lower_bound(series.ticks.begin(), series.ticks.end(), count);
    series.values.resize(static_cast<size_t>(end - series.ticks.begin()));
    series.ticks.erase(end, series.ticks.end());
  }
  std::erase_if(m_samples, [step](const SampleText& s) { return static_cast<double>(s.step) > step; });
  m_step = static_cast<int64_t>(step);
  ++m_rewinds;
}

void RunHistory::addLog(double time, int64_t step, std::string level, std::string line) {
  m_log.push_back({time, step, std::move(level), std::move(line)});
  ++m_logCount;
  if (m_log.size() > kMaxLogLines) m_log.pop_front();
}

struct RunHistory::Applier {
  RunHistory& h;
  double time;

  void operator()(const event::Metrics& e) {
    const uint32_t at = h.tick(e.at);
    for (const auto& [name, value] : e.values) h.append(name, at, value);
  }
  void operator()(const event::Eval& e) {
    const uint32_t at = h.tick(e.at);
    for (const auto& [name, value] : e.values) h.append(name, at, value);
    if (e.best) h.m_bestStep = e.at.step;
  }
  void operator()(const event::Sites& e) {
    const uint32_t at = h.tick(e.at);
    for (const auto& [name, values] : e.values) {
      const size_t count = std::min(values.size(), h.m_sites.size());
      for (size_t i = 0; i < count; ++i) h.append("site/" + h.m_sites[i].name + "/" + name, at, values[i]);
    }
  }
  void operator()(const event::Start& e) {
    h.m_start = e;
    h.m_startedAt = time;
    h.m_life = static_cast<int>(e.life);
    if (e.totalSteps > 0) h.m_totalSteps = e.totalSteps;
    h.m_ended = false;
    h.m_error.reset();
    h.m_summary = nullptr;
    h.m_sites = e.sites;
    if (h.m_state.empty() || h.m_life > 1) h.m_state = "loading";
    if (h.m_life > 1) {
      h.m_marks.push_back({HistoryMark::Kind::Resume, time, e.step, "resumed"});
      h.addLog(time, e.step, "info", fmt::format("Resumed from step {} (life {}).", e.step, e.life));
    }
  }
  void operator()(const event::Rewind& e) { h.rewindTo(static_cast<double>(e.step)); }
  void operator()(const event::State& e) {
    h.m_state = event::runStateName(e.state);
    h.m_stateDetail = e.detail;
    h.m_stateSince = time;
    if (e.state == event::RunState::Running || e.state == event::RunState::Paused || event::isFinal(e.state)) {
      h.m_doing.clear();
    }
    h.m_ended = event::isFinal(e.state);
  }
  void operator()(const event::Progress& e) {
    h.m_step = std::max(h.m_step, e.step);
    if (e.totalSteps > 0) h.m_totalSteps = e.totalSteps;
    h.m_eta = std::isfinite(e.etaSeconds) ? std::optional(e.etaSeconds) : std::nullopt;
    h.m_doing = e.what;
  }
  void operator()(const event::Checkpoint& e) {
    h.m_lastCheckpoint = e.path;
    h.m_lastCheckpointStep = e.step;
    if (e.best) h.m_bestStep = e.step;
    h.addLog(time, e.step, "info",
             fmt::format("Checkpoint ({}) at step {}: {}", event::checkpointReasonName(e.reason), e.step, e.path));
  }
  void operator()(const event::CommandDone& e) {
    h.m_acks.push_back({e.id, e.command, e.appliedStep});
    h.m_marks.push_back({HistoryMark::Kind::Command, time, e.appliedStep, e.command});
    h.addLog(time, e.appliedStep, "info", fmt::format("Command carried out at step {}: {}", e.appliedStep, e.command));
  }
  void operator()(const event::Change& e) {
    const auto show = [](const nlohmann::json& value) {
      return value.is_string() ? value.get<std::string>()
                               : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    };
    const std::string what = e.key + ": " + show(e.from) + " → " + show(e.to);
    h.m_marks.push_back({HistoryMark::Kind::Change, time, e.step, what});
    h.addLog(time, e.step, "info", "Changed by hand: " + what);
  }
  void operator()(const event::Sample& e) { h.m_samples.push_back({time, e.step, e.prompt, e.text}); }
  void operator()(const event::Log& e) { h.addLog(time, h.m_step, e.level, e.text); }
  void operator()(const event::Failure& e) {
    h.m_error = e.error;
    h.m_errorStep = e.step;
    h.addLog(time, e.step, "error", e.error.message());
  }
  void operator()(const event::End& e) {
    h.m_ended = true;
    h.m_state = event::runStateName(e.state);
    h.m_stateDetail.clear();
    h.m_doing.clear();
    h.m_stateSince = time;
    h.m_step = e.step;
    h.m_eta.reset();
    h.m_summary = e.summary;
    h.addLog(time, e.step, e.state == event::RunState::Failed ? "error" : "info", "Run ended: " + h.m_state + ".");
  }
  void operator()(const event::Other&) {}
};

void RunHistory::apply(const event::Event& event) {
  m_lastEventAt = event.time;
  std::visit(Applier{*this, event.time}, event.body);
}

const HistorySeries* RunHistory::series(const std::string& name) const {
  const auto it = m_series.find(name);
  return it == m_series.end() ? nullptr : &it->second;
}

std::vector<std::string> RunHistory::seriesNames() const {
  std::vector<std::string> names;
  names.reserve(m_series.size());
  for (const auto& [name, series] : m_series) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<double> RunHistory::last(const std::string& name) const {
  const auto* found = series(name);
  if (!found) return std::nullopt;
  for (auto it = found->values.rbegin(); it != found->values.rend(); ++it) {
    if (std::isfinite(*it)) return *it;
  }
  return std::nullopt;
}

}  // namespace rankscope::ui
