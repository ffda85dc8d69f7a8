#include "core/train/run_recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/config/task_heads.h"
#include "core/methods/factor_probes.h"
#include "core/train/process_memory.h"
#include "core/train/spectrum_probe.h"

namespace rankscope {
namespace {

using Clock = std::chrono::steady_clock;

void addBand(event::Values& values, const std::string& name, const std::vector<double>& bySite) {
  const Band band = bandOf(bySite);
  if (std::isnan(band.median)) return;
  values.emplace_back(name, band.median);
  values.emplace_back(name + "/q10", band.low);
  values.emplace_back(name + "/q90", band.high);
}

}  // namespace

RunRecorder::RunRecorder(EventWriter& events, Heartbeat& heartbeat, ProgressSink sink)
    : m_events(events), m_heartbeat(heartbeat), m_sink(std::move(sink)) {}

void RunRecorder::state(event::RunState state, const std::string& detail, int64_t step) {
  m_events.append(event::State{state, detail, step});
  m_heartbeat.set(state, step);
  m_progress.state = state;
  m_progress.step = step;
  m_lastProgress = {};
  progress(detail);
}

void RunRecorder::log(const char* level, const std::string& text) {
  m_events.append(event::Log{level, text});
  if (!m_sink) return;
  TrainProgress line = m_progress;
  line.what = std::string(level) == "info" ? text : std::string(level) + ": " + text;
  line.line = true;
  m_sink(line);
}

void RunRecorder::failure(const Error& error, int64_t step) { m_events.append(event::Failure{error, step}); }

void RunRecorder::metrics(const event::Point& at, event::Values values) {
  for (const auto& [name, value] : values) m_last[name] = value;
  m_events.append(event::Metrics{at, std::move(values)});
}

void RunRecorder::step(const event::Point& at, const StepResult& result, double stepSeconds, bool record) {
  m_smoothStepSeconds = m_smoothStepSeconds == 0 ? stepSeconds : 0.95 * m_smoothStepSeconds + 0.05 * stepSeconds;
  const double speed = static_cast<double>(result.tokens) / std::max(stepSeconds, 1e-9);
  m_progress.step = at.step;
  m_progress.epoch = at.epoch;
  m_progress.loss = result.loss;
  m_progress.perSecond = static_cast<double>(result.tokens) / std::max(m_smoothStepSeconds, 1e-9);
  m_progress.etaSeconds = m_smoothStepSeconds * static_cast<double>(m_progress.totalSteps - at.step);
  m_heartbeat.set(event::RunState::Running, at.step);
  if (record) {
    const ProcessMemory memory = readProcessMemory();
    metrics(at, {{"train/loss", result.loss},
                 {"train/learning_rate", result.learningRate},
                 {"train/grad_norm", result.gradNorm},
                 {speedSeries(m_progress.unit), speed},
                 {"train/step_seconds", stepSeconds},
                 {"memory/resident", static_cast<double>(memory.resident)},
                 {"memory/peak", static_cast<double>(memory.peak)}});
  }
  progress("");
}

void RunRecorder::probes(const event::Point& at, std::vector<std::pair<std::string, std::vector<double>>> bySite) {
  event::Values overSites;
  for (const auto& [name, values] : bySite) addBand(overSites, "factors/" + name, values);
  if (!overSites.empty()) metrics(at, std::move(overSites));
  if (!bySite.empty()) m_events.append(event::Sites{at, std::move(bySite)});
}

void RunRecorder::spectrum(const event::Point& at, const RunSpectrum& spectrum) {
  constexpr int64_t k = SpectrumProbe::kLeading;
  std::vector<double> intruders, ranks;
  for (const SiteSpectrum& site : spectrum.sites) {
    intruders.push_back(static_cast<double>(site.intruders(SpectrumProbe::kEps, k)));
    ranks.push_back(site.deltaSigma.empty() ? std::nan("") : site.effectiveRank);
  }
  event::Values overSites;
  overSites.emplace_back("spectrum/intruders", static_cast<double>(spectrum.intruders(SpectrumProbe::kEps, k)));
  addBand(overSites, "spectrum/effective_rank", ranks);
  metrics(at, std::move(overSites));
  m_events.append(event::Sites{at, {{"intruders", std::move(intruders)}, {"effective_rank", std::move(ranks)}}});
}

void RunRecorder::evaluation(const event::Point& at, const std::map<std::string, double>& values, bool best,
                             double seconds) {
  event::Values named;
  std::string text;
  for (const auto& [name, value] : values) {
    named.emplace_back("eval/" + name, value);
    m_last["eval/" + name] = value;
    text += fmt::format("{}{} {:.4f}", text.empty() ? "" : ", ", name, value);
  }
  m_events.append(event::Eval{at, std::move(named), best});
  log("info", fmt::format("step {}: evaluation: {}{} ({:.1f} s)", at.step, text, best ? " (best so far)" : "", seconds));
}

void RunRecorder::checkpoint(const CheckpointInfo& info, event::CheckpointReason reason, bool best) {
  m_events.append(event::Checkpoint{info.step, "checkpoints/" + info.path.filename().string(), reason, info.bytes, best});
}

void RunRecorder::sample(int64_t step, const std::string& prompt, const std::string& text) {
  m_events.append(event::Sample{step, prompt, text});
}

void RunRecorder::progress(const std::string& what) {
  const auto now = Clock::now();
  if (now - m_lastProgress < std::chrono::milliseconds(500)) return;
  m_lastProgress = now;
  m_progress.what = what;
  const bool known = m_progress.step > 0 && m_smoothStepSeconds > 0;
  m_events.append(event::Progress{m_progress.step, m_progress.totalSteps,
                                  known ? m_progress.etaSeconds : std::nan(""), what});
  if (m_sink) m_sink(m_progress);
}

nlohmann::json RunRecorder::lastValues() const {
  nlohmann::json values = nlohmann::json::object();
  for (const auto& [name, value] : m_last)
    values[name] = std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
  return values;
}

void RunRecorder::restoreLastValues(const nlohmann::json& values) {
  for (const auto& [name, value] : values.items())
    if (value.is_number()) m_last["eval/" + name] = value.get<double>();
}

}  // namespace rankscope
